"""The command `destroy`: the lab in which every VM is wanted absent, and its image with them."""

from homelab.commands.carry_out import carry_out
from homelab.commands.lab_run import open_run
from homelab.commands.options import Options
from homelab.commands.vm_names import managed_vms
from homelab.commands.wanted_lab import lab_of, vault_of
from homelab.steps.vms.image import Image
from homelab.steps.vms.vm import VmStep


def destroy(options: Options) -> int:
    """Destroy all VMs of the lab, workers, control planes, balancers; then the image that they were copied from."""
    lab = lab_of(options, vault_of(options))
    run = open_run(options, (VmStep(in_order=True), Image()), lab=lab.wanting("absent", managed_vms(lab)))
    return carry_out(run, "destroy")
