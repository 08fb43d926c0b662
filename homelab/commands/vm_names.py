"""The VMs that a command names: they are of the inventory, and ours to make."""

from collections.abc import Sequence

from homelab.errors import UsageError
from homelab.formats.near import known_names
from homelab.lab import Lab, meant


def named_vms(lab: Lab, names: Sequence[str]) -> frozenset[str]:
    """The inventory's names for them. UsageError for one that it does not know, or that is not ours."""
    known = {vm.name: vm for vm in lab.vms}
    found = {name: meant(name, known) or name for name in names}
    if unknown := [name for name in names if found[name] not in known]:
        raise UsageError(
            f"no VM of the inventory is called {', '.join(unknown)}",
            where="command line",
            advice=known_names(unknown, known, "VMs"),
        )
    if given := [name for name in found.values() if not known[name].managed]:
        raise UsageError(
            f"{', '.join(given)}: a machine that exists already is not made or destroyed here",
            where="command line",
            advice="It says vm_managed: false in the inventory; take that away when homelab is to make it",
        )
    return frozenset(found.values())


def managed_vms(lab: Lab) -> frozenset[str]:
    """Every VM that is ours to make."""
    return frozenset(vm.name for vm in lab.vms if vm.managed)
