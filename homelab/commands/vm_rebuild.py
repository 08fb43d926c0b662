"""The command `vm rebuild`: the named VMs destroyed and made anew, in two runs under one consent."""

from collections.abc import Sequence

from homelab.commands.carry_out import carry_out
from homelab.commands.lab_run import open_run
from homelab.commands.options import Options
from homelab.commands.vm_names import named_vms
from homelab.commands.wanted_lab import lab_of, vault_of
from homelab.steps.vms.image import Image
from homelab.steps.vms.image_paths import image_homes
from homelab.steps.vms.vm import VmStep


def vm_rebuild(options: Options, names: Sequence[str]) -> int:
    """Want the named VMs absent, and then on: name and address stay, the disk is a new copy of the image."""
    lab = lab_of(options, vault_of(options))
    targets = named_vms(lab, names)
    run = open_run(options, (VmStep(anew=True),), lab=lab.wanting("absent", targets), targets=targets)
    again = run.then(lab, (Image(), VmStep()), targets | image_homes(lab).keys())
    run.note(f"destroyed first, and then made anew from the image: {', '.join(names)}")
    return carry_out(run, " ".join(("vm rebuild", *names)), then=again)
