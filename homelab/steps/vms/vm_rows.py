"""What `vm list` tells of each VM of ours."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from homelab.errors import HomelabError
from homelab.lab import Lab, Vm
from homelab.ports.vsphere import HostLook, VmLook
from homelab.ports.vsphere.vm_look import IMAGE, MADE, the_one
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
    return rows_of(lab, names, world.reachable_hosts(), datetime.now(UTC))


def rows_of(lab: Lab, names: Sequence[str], looks: Mapping[str, HostLook], now: datetime) -> list[VmRow]:
    """What the hosts that answer tell of those VMs. Pure."""
    return [_looked_up(lab, vm, looks, now) for vm in lab.vms if vm.name in names]


def _looked_up(lab: Lab, vm: Vm, looks: Mapping[str, HostLook], now: datetime) -> VmRow:
    address = str(vm.address)
    marked = [(host, one) for host, look in looks.items() for one in look.vms_marked(lab.name, vm.short_name)]
    try:
        found = the_one(vm.name, marked)
    except HomelabError as error:
        return VmRow(vm.name, None, address, "unknown", problem=error.what)
    if found is None:
        silent = [host.name for host in lab.esxi if host.name not in looks]
        problem = f"{' and '.join(silent)} cannot be asked" if silent else ""
        return VmRow(vm.name, None, address, "unknown" if silent else "absent", problem=problem)
    return row_of(vm, *found, mac=mac_of(lab, vm), now=now)


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
