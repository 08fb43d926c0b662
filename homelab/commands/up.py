"""The command `up`: the inventory's lab, as far as its VMs go."""

from homelab.commands.carry_out import carry_out
from homelab.commands.lab_run import open_run
from homelab.commands.options import Options
from homelab.steps.guests.guest import Guest
from homelab.steps.vms.vm import VmStep

# The API servers of a cluster that boots as a whole wait for each other.
API_SECONDS = 180.0


def up(options: Options) -> int:
    """Switch all VMs on, balancers first, wait for their guests and for the API."""
    run = open_run(options, (VmStep(in_order=True), Guest()))
    return carry_out(run, "up", verify_seconds=API_SECONDS)
