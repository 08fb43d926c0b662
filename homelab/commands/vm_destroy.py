"""The command `vm destroy`: the lab in which the named VMs are wanted absent."""

from collections.abc import Sequence

from homelab.commands.carry_out import carry_out
from homelab.commands.lab_run import open_run
from homelab.commands.options import Options
from homelab.commands.vm_names import named_vms
from homelab.commands.wanted_lab import lab_of, vault_of
from homelab.steps.vms.vm import VmStep


def vm_destroy(options: Options, names: Sequence[str]) -> int:
    """Shut down and destroy the named VMs, with the files that are theirs and nothing else."""
    lab = lab_of(options, vault_of(options))
    targets = named_vms(lab, names)
    run = open_run(options, (VmStep(),), lab=lab.wanting("absent", targets), targets=targets)
    return carry_out(run, " ".join(("vm destroy", *names)))
