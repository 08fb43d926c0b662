"""The command `vm move`: a VM goes to another host, over the datastore that both have."""

from homelab.commands.carry_out import carry_out
from homelab.commands.lab_run import open_run
from homelab.commands.options import Options
from homelab.commands.vm_names import named_vms
from homelab.commands.wanted_lab import lab_of, vault_of
from homelab.errors import UsageError
from homelab.formats.near import known_names
from homelab.lab import meant
from homelab.steps.vms.vm_move import MoveVms


def vm_move(options: Options, name: str, host: str) -> int:
    """Shut the VM down, register it on the host, and switch it on again there."""
    lab = lab_of(options, vault_of(options))
    targets = named_vms(lab, [name])
    known = [one.name for one in lab.esxi]
    destination = meant(host, known)
    if destination is None:
        raise UsageError(
            f"no ESXi host of the inventory is called {host}",
            where="command line",
            advice=known_names([host], known, "hosts"),
        )
    return carry_out(open_run(options, (MoveVms(destination),), lab=lab, targets=targets), f"vm move {name} {host}")
