"""The command `down`: the lab in which every VM is wanted off."""

from homelab.commands.carry_out import carry_out
from homelab.commands.lab_run import open_run
from homelab.commands.options import Options
from homelab.commands.vm_names import managed_vms
from homelab.commands.wanted_lab import lab_of, vault_of
from homelab.steps.vms.vm import VmStep


def down(options: Options) -> int:
    """Shut all VMs of the lab down: workers, control planes, balancers."""
    lab = lab_of(options, vault_of(options))
    run = open_run(options, (VmStep(in_order=True),), lab=lab.wanting("off", managed_vms(lab)))
    return carry_out(run, "down")
