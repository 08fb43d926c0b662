"""How a lab stands at one moment: what `status` shows, whole and by the inventory's names. Pure."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from homelab.checks.api_server import ApiAnswer
from homelab.steps.guests.balancers import Balance, BalancerRow
from homelab.steps.vms.vm_rows import VmRow


@dataclass(frozen=True)
class NicRow:
    """A NIC that a switch of the host uses, and the driver that holds it."""

    name: str
    driver: str


@dataclass(frozen=True)
class HostRow:
    """One ESXi host. Of one that does not `answer` all else is None or empty, and `problem` tells why.

    `used_mib` is the memory of the VMs that are on, `other_vms` how many VMs on it are not the inventory's.
    """

    name: str
    address: str
    answers: bool
    version: str | None = None
    build: str | None = None
    licence: str | None = None
    uptime_seconds: int | None = None
    in_maintenance: bool | None = None
    cpus: int | None = None
    memory_mib: int | None = None
    used_mib: int | None = None
    nics: tuple[NicRow, ...] = ()
    other_vms: int | None = None
    problem: str = ""

    def fields(self) -> dict[str, Any]:
        """The contract's JSON object."""
        return asdict(self)


@dataclass(frozen=True)
class DatastoreRow:
    """One datastore of the inventory. `kind` is nfs or vmfs, `source` the NAS's export or the host whose own it is.

    `hosts` can use it, `lacking` answer and cannot, `unknown` cannot be asked. Sizes in bytes, None where nobody tells.
    """

    name: str
    kind: str
    source: str
    hosts: tuple[str, ...] = ()
    lacking: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    size: int | None = None
    free: int | None = None

    @property
    def problem(self) -> str:
        """What is wrong with it; empty when every host that should have it does."""
        if self.lacking:
            return f"{', '.join(self.lacking)} cannot use it"
        return f"{', '.join(self.unknown)} cannot be asked" if self.unknown else ""

    def fields(self) -> dict[str, Any]:
        """The contract's JSON object."""
        return asdict(self) | {"problem": self.problem}


@dataclass(frozen=True)
class MachineRow:
    """One VM of the inventory: how it stands, and what it is for. `role` is control plane, balancer or worker."""

    vm: VmRow
    role: str
    managed: bool
    cpus: int
    memory_mib: int

    @property
    def name(self) -> str:
        """The inventory's name."""
        return self.vm.name

    @property
    def power(self) -> str:
        """`on`, `off`, `absent` or `unknown`; `elsewhere` for a machine that is not ours to make."""
        return self.vm.power if self.managed else "elsewhere"

    def fields(self) -> dict[str, Any]:
        """The contract's JSON object."""
        own = {"role": self.role, "managed": self.managed, "cpus": self.cpus, "memory_mib": self.memory_mib}
        return self.vm.fields() | {"power": self.power} | own


@dataclass(frozen=True)
class ApiServerRow:
    """One API server, asked by itself; `balancers` tells how each balancer that answers has it (up, down, drain...)."""

    name: str
    address: str
    answer: ApiAnswer
    balancers: tuple[tuple[str, str], ...] = ()

    @property
    def drained(self) -> bool:
        """Whether a balancer gives it no new connections because somebody said so."""
        return any("drain" in state for _, state in self.balancers)

    def fields(self) -> dict[str, Any]:
        """The contract's JSON object."""
        return {
            "name": self.name,
            "address": self.address,
            "ready": self.answer.ready,
            "version": self.answer.version,
            "answer": self.answer.text,
            "balancers": dict(self.balancers),
        }


@dataclass(frozen=True)
class VipRow:
    """The API as clients see it: the virtual address, the balancers that hold it, and what answers there."""

    address: str
    port: int
    api_name: str
    holders: tuple[str, ...]
    answer: ApiAnswer

    def fields(self) -> dict[str, Any]:
        """The contract's JSON object."""
        return {
            "address": self.address,
            "port": self.port,
            "api_name": self.api_name,
            "holders": list(self.holders),
            "ready": self.answer.ready,
            "version": self.answer.version,
            "answer": self.answer.text,
        }


@dataclass(frozen=True)
class LabLook:
    """The whole lab; `balance` is how its balancers stand, and their servers as each of them sees them."""

    name: str
    at: datetime
    hosts: tuple[HostRow, ...]
    datastores: tuple[DatastoreRow, ...]
    vms: tuple[MachineRow, ...]
    balance: Balance
    api_servers: tuple[ApiServerRow, ...]
    vip: VipRow

    @property
    def balancers(self) -> tuple[BalancerRow, ...]:
        """The balancers."""
        return self.balance.balancers

    @property
    def anything(self) -> bool:
        """Whether there was anything to ask."""
        return bool(self.hosts or self.balancers or self.api_servers)

    @property
    def answered(self) -> bool:
        """Whether any part of it answered."""
        rows: Sequence[HostRow | BalancerRow] = (*self.hosts, *self.balancers)
        api = [self.vip.answer, *(row.answer for row in self.api_servers)]
        return any(row.answers for row in rows) or any(answer.ready for answer in api)

    def on(self, host: str | None) -> tuple[MachineRow, ...]:
        """The VMs on a host; of None those that no host that answers has."""
        return tuple(row for row in self.vms if row.vm.host == host)

    def document(self) -> dict[str, Any]:
        """The contract's JSON document."""
        return {
            "hosts": [row.fields() for row in self.hosts],
            "datastores": [row.fields() for row in self.datastores],
            "vms": [row.fields() for row in self.vms],
            "balancers": [row.fields() for row in self.balancers],
            "api_servers": [row.fields() for row in self.api_servers],
            "vip": self.vip.fields(),
        }
