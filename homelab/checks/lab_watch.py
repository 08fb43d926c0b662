"""How a whole lab stands, asked of all its parts at once; one that does not answer costs its own deadline, once."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from datetime import UTC, datetime
from typing import TypeVar

from homelab.checks.api_server import REQUEST_SECONDS, ApiAnswer, api_answer
from homelab.checks.lab_look import ApiServerRow, HostRow, LabLook, VipRow
from homelab.checks.lab_rows import api_server_row, datastore_rows, host_row, machine_rows
from homelab.checks.probes import Probes
from homelab.errors import HomelabError, Unreachable
from homelab.lab import EsxiHost, Lab, LoadBalancer, Vm
from homelab.ports.guest import look as guest
from homelab.ports.guest.balancer import BalancerLook
from homelab.ports.guest.look import GuestAway, GuestLook
from homelab.ports.ssh import Shell
from homelab.ports.vsphere import HostLook
from homelab.ports.world import World
from homelab.steps.guests.balancers import Balance, away, balance_of, is_not_met, look_by

# Within this a part answers, or is away; and how much longer it is waited for, so that it is told in its own words.
SECONDS = 5.0
GRACE = 0.4
# Between two questions when a lab is watched. The CA of a cluster stays what it is.
PAUSE = 4.0
LONG_PAUSE = 60.0
VIP = "api"
API_PORT = 6443

T = TypeVar("T")


class Line:
    """A connection to one guest, kept between questions where it is asked again and again."""

    def __init__(self, world: World, name: str, *, keep: bool) -> None:
        self._world, self._name, self._keep = world, name, keep
        self._open = ExitStack()
        self._shell: Shell | None = None

    @contextmanager
    def use(self) -> Iterator[Shell]:
        """Its shell; after anything that went wrong the next one is a new one."""
        well = False
        try:
            if self._shell is None:
                self._shell = self._open.enter_context(self._world.guest_shell(self._name, seconds=SECONDS))
            yield self._shell
            well = True
        finally:
            if not well or not self._keep:
                self._shell = None
                self._open.close()


def hurried(lab: Lab) -> Lab:
    """The same lab, whose hosts are given no longer than the others of its parts."""
    seconds = int(SECONDS)
    hosts = [host.model_copy(update={"api_timeout": min(host.api_timeout, seconds)}) for host in lab.esxi]
    return lab.model_copy(update={"esxi": tuple(hosts)})


class LabWatch:
    """Asks every part of a lab that is `chosen`, once or, to `keep` watch, again and again."""

    def __init__(self, world: World, lab: Lab, chosen: Callable[[str], bool], *, keep: bool = False) -> None:
        self._world, self._lab, self._keep = world, lab, keep
        self._pause = PAUSE if keep else None
        self._hosts = [host for host in lab.esxi if chosen(host.name)]
        self._vms = [vm.name for vm in lab.vms if chosen(vm.name)]
        self._balancers = [vm for vm in lab.load_balancers if chosen(vm.name)]
        self._servers = [vm for vm in lab.control_plane if chosen(vm.name)]
        # A VM may be on any host, and any control plane has the cluster's CA.
        self._host_looks = self._probes({host.name: self._of_host(host) for host in lab.esxi}, _no_host)
        guests = {vm.name: self._of_guest(vm) for vm in lab.control_plane}
        self._guests: Probes[GuestLook | GuestAway] = self._probes(guests, _no_guest)
        balancers = {vm.name: self._of_balancer(vm) for vm in self._balancers}
        self._balances: Probes[BalancerLook | GuestAway] = self._probes(balancers, _no_guest)
        port = next((vm.server_port for vm in lab.load_balancers), API_PORT)
        places = {vm.name: (str(vm.address), port) for vm in self._servers}
        if lab.load_balancers and lab.control_plane:
            places[VIP] = (str(lab.api.vip), lab.api.port)
        self._api = self._probes(
            {name: self._of_api(*place) for name, place in places.items()}, _no_api, SECONDS + REQUEST_SECONDS
        )

    def begin(self) -> None:
        """Ask all of them, at once."""
        self._guests.begin(LONG_PAUSE if self._keep else None)
        for probes in (self._host_looks, self._balances, self._api):
            probes.begin(self._pause)

    def look(self) -> LabLook:
        """What is known by now; waits for the first answers."""
        lab, now = self._lab, datetime.now(UTC)
        seen = self._host_looks.latest()
        looks = {name: look for name, look in seen.items() if isinstance(look, HostLook)}
        vms = machine_rows(lab, looks, self._vms, now)
        off = {row.name: row.power for row in vms if row.power in ("off", "absent")}
        balance = self._balance(off)
        api_servers, vip = self._api_rows(balance, off), self._vip(balance, off)
        shown = [host.name for host in self._hosts]
        return LabLook(
            name=lab.name,
            at=now,
            hosts=tuple(self._host(host, seen[host.name], now) for host in self._hosts),
            datastores=tuple(datastore_rows(lab, looks, shown)),
            vms=tuple(vms),
            balance=balance,
            api_servers=api_servers,
            vip=vip,
        )

    # -- questions

    def _anew(self, name: str) -> AbstractContextManager[None]:
        """Who is asked once may be asked by several threads at once, and answers all of them."""
        return self._world.run.afresh([name]) if self._keep else nullcontext()

    def _of_host(self, host: EsxiHost) -> Callable[[], HostLook | str]:
        def ask() -> HostLook | str:
            with self._anew(host.name):
                return self._world.host(host.name)

        return ask

    def _over(self, line: Line, name: str, look: Callable[[Shell], T]) -> Callable[[], T | GuestAway]:
        """A look over SSH, once the guest's host key is known."""

        def ask() -> T | GuestAway:
            with self._anew(name):
                met = is_not_met(self._world, self._lab, name)
            if met:
                return met
            try:
                with line.use() as shell:
                    return look(shell)
            except Unreachable as error:
                return _no_guest(name, error.what)
            except HomelabError as error:
                return away(error)

        return ask

    def _of_guest(self, vm: Vm) -> Callable[[], GuestLook | GuestAway]:
        return self._over(Line(self._world, vm.name, keep=False), vm.name, guest.look)

    def _of_balancer(self, vm: LoadBalancer) -> Callable[[], BalancerLook | GuestAway]:
        def look(shell: Shell) -> BalancerLook:
            return look_by(shell, self._lab, vm.name, seconds=SECONDS)

        return self._over(Line(self._world, vm.name, keep=self._keep), vm.name, look)

    def _of_api(self, address: str, port: int) -> Callable[[], ApiAnswer]:
        def has_ca(look: GuestLook | GuestAway) -> bool:
            return isinstance(look, GuestLook) and look.cluster_ca is not None

        def ask() -> ApiAnswer:
            knows = self._guests.first(has_ca)
            if isinstance(knows, GuestLook):
                return api_answer(address, port, knows.cluster_ca)
            return ApiAnswer(None, f"nobody tells the cluster's CA, so nothing is verified{self._why_no_ca()}")

        return ask

    def _why_no_ca(self) -> str:
        """What keeps the first control plane that is away from telling it."""
        away = (look.reason for look in self._guests.latest().values() if isinstance(look, GuestAway))
        return next((f", not before {reason}" for reason in away), "")

    def _probes(
        self, questions: Mapping[str, Callable[[], T]], no: Callable[[str, str], T], seconds: float = SECONDS
    ) -> Probes[T]:
        return Probes(questions, no, seconds=seconds + GRACE, log=self._world.run.log)

    # -- answers

    def _host(self, host: EsxiHost, seen: HostLook | str, now: datetime) -> HostRow:
        if isinstance(seen, str):
            return HostRow(host.name, str(host.address), answers=False, problem=seen)
        return host_row(self._lab, host, seen, now)

    def _balance(self, off: Mapping[str, str]) -> Balance:
        """A balancer whose VM is off is not waited for."""
        told = self._balances.latest(but=off)
        return balance_of(self._lab, {vm.name: told.get(vm.name) or _is_off(vm.name, off) for vm in self._balancers})

    def _api_rows(self, balance: Balance, off: Mapping[str, str]) -> tuple[ApiServerRow, ...]:
        told = self._api.latest(but=[*off, VIP])
        rows = ((vm, told.get(vm.name) or ApiAnswer(False, f"its VM is {off[vm.name]}")) for vm in self._servers)
        return tuple(api_server_row(vm, answer, balance.servers) for vm, answer in rows)

    def _vip(self, balance: Balance, off: Mapping[str, str]) -> VipRow:
        api, control_planes = self._lab.api, [vm.name for vm in self._lab.control_plane]
        if VIP not in self._api.names:
            answer = ApiAnswer(None, "the inventory has no balancer" if control_planes else "there is no control plane")
        elif off.keys() >= set(control_planes):
            answer = ApiAnswer(False, "no control plane is on")
        else:
            answer = self._api.latest(but=[vm.name for vm in self._servers])[VIP]
        holders = tuple(row.name for row in balance.balancers if row.holds_vip)
        return VipRow(str(api.vip), api.port, self._lab.api_name, holders, answer)


def _no_host(name: str, reason: str) -> HostLook | str:
    return reason


def _no_guest(name: str, reason: str) -> GuestAway:
    return GuestAway(f"{name} answers on SSH ({reason})")


def _no_api(name: str, reason: str) -> ApiAnswer:
    return ApiAnswer(False, reason)


def _is_off(name: str, off: Mapping[str, str]) -> GuestAway:
    return GuestAway(f"VM {name} is switched on" if off[name] == "off" else f"VM {name} exists")
