"""The command `vm rebuild`: the named VMs destroyed and made anew, in two runs under one consent."""

from collections.abc import Collection, Sequence

from homelab.commands.carry_out import carry_out
from homelab.commands.lab_run import LabRun, open_run
from homelab.commands.options import Options
from homelab.commands.vm_names import named_vms
from homelab.commands.wanted_lab import lab_of, vault_of
from homelab.engine.step import AnyStep
from homelab.lab import Lab
from homelab.steps.guests.cluster_ca import ClusterCa
from homelab.steps.guests.guest import Guest
from homelab.steps.guests.kubernetes import KubernetesStep
from homelab.steps.guests.leave import Leave
from homelab.steps.guests.one_cluster import standing
from homelab.steps.vms.image import Image
from homelab.steps.vms.image_paths import image_homes
from homelab.steps.vms.vm import VmStep


def vm_rebuild(options: Options, names: Sequence[str]) -> int:
    """Want the named VMs absent, and then on: name and address stay, the disk is a new copy of the image.

    A node of a cluster that stands leaves it before, and joins it again.
    """
    lab = lab_of(options, vault_of(options))
    targets = named_vms(lab, names)
    run = open_run(options, (Leave(targets), VmStep(anew=True)), lab=lab.wanting("absent", targets), targets=targets)
    again = run.then(lab, (Image(), VmStep(), *_joining(run, lab, targets)), targets | image_homes(lab).keys())
    run.note(f"destroyed first, and then made anew from the image: {', '.join(names)}")
    return carry_out(run, " ".join(("vm rebuild", *names)), then=again)


def _joining(run: LabRun, lab: Lab, targets: Collection[str]) -> tuple[AnyStep, ...]:
    """The steps by which nodes join again; none where no cluster stands, or none of it is made anew."""
    if not any(vm.name in targets for vm in lab.nodes):
        return ()
    with run.world.run.connected():
        looks = {vm.name: run.world.guest(vm.name) for vm in lab.control_plane}
    return (Guest(), ClusterCa(), KubernetesStep()) if standing(lab, looks) else ()
