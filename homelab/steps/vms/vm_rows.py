"""What `vm list` tells of each VM of ours."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from homelab.errors import HomelabError
from homelab.lab import Lab, Vm
from homelab.ports.vsphere import VmLook
from homelab.ports.vsphere.vm_look import IMAGE, MADE
from homelab.ports.world import World
from homelab.steps.vms.vm_drift import drift_of
from homelab.steps.vms.vm_identity import mac_of


@dataclass(frozen=True)
class VmRow:
    """One VM. `power` is on, off, absent or unknown; `age_seconds` since it was made, else since it was switched on.

    `image` is the SHA-256 of the image that it was copied from, `problem` why it cannot be told how it stands.
    """

    name: str
    host: str | None
    address: str
    power: str
    age_seconds: int | None = None
    image: str | None = None
    drift: tuple[str, ...] = ()
    problem: str = ""

    def fields(self) -> dict[str, Any]:
        """The contract's JSON object."""
        return asdict(self)


def vm_rows(world: World, lab: Lab, names: Sequence[str]) -> list[VmRow]:
    """The VMs of those names, in the inventory's order."""
    return [_looked_up(world, lab, vm) for vm in lab.vms if vm.name in names]


def _looked_up(world: World, lab: Lab, vm: Vm) -> VmRow:
    address = str(vm.address)
    try:
        found = world.vm(vm.name)
    except HomelabError as error:
        return VmRow(vm.name, None, address, "unknown", problem=error.what)
    if found is None:
        silent = world.silent_hosts
        problem = f"{' and '.join(silent)} cannot be asked" if silent else ""
        return VmRow(vm.name, None, address, "unknown" if silent else "absent", problem=problem)
    return row_of(vm, *found, mac=mac_of(lab, vm), now=datetime.now(UTC))


def row_of(vm: Vm, host: str, found: VmLook, *, mac: str, now: datetime) -> VmRow:
    """What is told of a VM that a host has. Pure."""
    since = _made(found) or found.booted
    return VmRow(
        name=vm.name,
        host=host,
        address=str(vm.address),
        power="on" if found.powered_on else "off",
        age_seconds=max(0, int((now - since).total_seconds())) if since else None,
        image=found.marks.get(IMAGE),
        drift=tuple(map(str, drift_of(vm, found, mac))),
    )


def _made(found: VmLook) -> datetime | None:
    """When it was made, as its mark says; VMs of earlier versions do not say it."""
    try:
        made = datetime.fromisoformat(found.marks.get(MADE, ""))
    except ValueError:
        return None
    return made if made.tzinfo else None
