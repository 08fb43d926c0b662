"""The command `vm create`: VMs of the inventory made and switched on, with the image that they are copied from."""

from collections.abc import Sequence

from homelab.commands.carry_out import carry_out
from homelab.commands.lab_run import open_run
from homelab.commands.options import Options
from homelab.commands.vm_names import named_vms
from homelab.commands.wanted_lab import lab_of, vault_of
from homelab.steps.vms.image import Image
from homelab.steps.vms.image_paths import image_homes
from homelab.steps.vms.vm import VmStep


def vm_create(options: Options, names: Sequence[str]) -> int:
    """Make the named VMs; one that exists is switched on."""
    lab = lab_of(options, vault_of(options))
    targets = named_vms(lab, names) | image_homes(lab).keys()
    run = open_run(options, (Image(), VmStep()), lab=lab, targets=targets)
    return carry_out(run, " ".join(("vm create", *names)))
