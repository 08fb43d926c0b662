"""How a lab stands, made up of looks: for tests of what shows it."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from homelab.checks.api_server import ApiAnswer
from homelab.checks.lab_look import HostRow, LabLook, VipRow
from homelab.checks.lab_rows import api_server_row, datastore_rows, host_row, machine_rows
from homelab.formats.balanced import ServerLook
from homelab.lab import Lab
from homelab.ports.guest.balancer import BalancerLook
from homelab.ports.guest.look import GuestAway
from homelab.ports.vsphere import HostLook, NasLook, VmLook
from homelab.ports.vsphere.vm_look import VmDisk, VmNic
from homelab.steps.guests.balancers import Seen, balance_of
from homelab.steps.vms.vm_identity import mac_of
from tests.helpers.sample import DIRECTORY, host_look, sample_lab

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
TIB = 1 << 40
NAS = NasLook("nas", "192.168.2.5", "/volume1/homelab", "3", True, True, DIRECTORY, free=TIB, size=4 * TIB)
READY = ApiAnswer(True, "/readyz answers 200, Kubernetes v1.36.3", "v1.36.3")
AWAY = "no TLS connection: No route to host"


def lab_with(hosts: int) -> Lab:
    """The sample lab with so many hosts."""
    listed = [{"name": f"brix{n}", "address": f"192.168.2.{10 + n}", "password": "secret"} for n in range(1, hosts + 1)]
    return sample_lab(esxi=listed)


def looks_of(lab: Lab) -> dict[str, HostLook]:
    """What each host tells: the lab's VMs run, on one host after the other."""
    on: dict[str, list[VmLook]] = {host.name: [] for host in lab.esxi}
    for number, vm in enumerate(lab.vms):
        host = lab.esxi[number % len(lab.esxi)].name
        path = f"[nas] {vm.short_name}/{vm.short_name}.vmx"
        marks = {"homelab.lab": lab.name, "homelab.name": vm.short_name, "homelab.id": f"id-of-{vm.name} {path}"}
        nics, disks = (VmNic(mac_of(lab, vm), vm.network),), (VmDisk("", vm.disk_gib << 30),)
        look = VmLook(
            str(number), vm.short_name, True, path, marks, None, nics, (), f"id-of-{vm.name}", True, vm.cpus,
            vm.memory_mib, disks, NOW - timedelta(hours=number + 1),
        )  # fmt: skip
        on[host].append(look)
    return {
        host.name: host_look(nas=(NAS,), vms=tuple(on[host.name]), memory=32 << 30, cpus=8, driver="e1000e")
        for host in lab.esxi
    }


def balancers_of(lab: Lab) -> dict[str, Seen]:
    """The first balancer holds the address, and all servers are up."""
    servers = tuple(
        ServerLook("api", vm.name, f"{vm.address}:6443", "up", False, "200 in 2 ms", 3, 40, 0, 3600)
        for vm in lab.control_plane
    )
    return {
        vm.name: BalancerLook("haproxy", not number, "active", "3.0.11-1", 7200, servers)
        for number, vm in enumerate(lab.load_balancers)
    }


def look_of(
    lab: Lab,
    looks: Mapping[str, HostLook],
    balancers: Mapping[str, Seen],
    answers: Mapping[str, ApiAnswer],
) -> LabLook:
    """The look, as `status` makes it; a host without a look is away."""
    balance, names = balance_of(lab, balancers), [host.name for host in lab.esxi]
    holders = tuple(row.name for row in balance.balancers if row.holds_vip)
    return LabLook(
        name=lab.name,
        at=NOW,
        hosts=tuple(
            host_row(lab, host, looks[host.name], NOW)
            if host.name in looks
            else HostRow(host.name, str(host.address), answers=False, problem=AWAY)
            for host in lab.esxi
        ),
        datastores=tuple(datastore_rows(lab, looks, names)),
        vms=tuple(machine_rows(lab, looks, [vm.name for vm in lab.vms], NOW)),
        balance=balance,
        api_servers=tuple(api_server_row(vm, answers[vm.name], balance.servers) for vm in lab.control_plane),
        vip=VipRow(str(lab.api.vip), lab.api.port, lab.api_name, holders, answers["api"]),
    )


def well(hosts: int = 4) -> LabLook:
    """All is well."""
    lab = lab_with(hosts)
    return look_of(lab, looks_of(lab), balancers_of(lab), dict.fromkeys(("cp1", "cp2", "cp3", "api"), READY))


def one_host_away(hosts: int = 4) -> LabLook:
    """The last host does not answer, and what was on it is not known."""
    lab = lab_with(hosts)
    looks = looks_of(lab)
    del looks[lab.esxi[-1].name]
    return look_of(lab, looks, balancers_of(lab), dict.fromkeys(("cp1", "cp2", "cp3", "api"), READY))


def faulty(hosts: int = 4) -> LabLook:
    """A balancer is away, an API server is not ready and another one drained, and the NAS is off."""
    lab = lab_with(hosts)
    gone = replace(NAS, accessible=False, free=0, size=0)
    looks = {name: replace(look, nas=(gone,)) for name, look in looks_of(lab).items()}
    balancers = balancers_of(lab)
    first = balancers["lb1"]
    assert isinstance(first, BalancerLook)
    servers = (replace(first.servers[0], state="down", answer="Layer7 wrong status, code: 500"),
               replace(first.servers[1], state="drain", drained=True), first.servers[2])  # fmt: skip
    balancers["lb1"] = replace(first, servers=servers)
    balancers["lb2"] = GuestAway("lb2 answers on SSH (no SSH connection: No route to host)")
    answers = {"cp1": ApiAnswer(False, "/readyz answers 500"), "cp2": READY, "cp3": READY, "api": READY}
    return look_of(lab, looks, balancers, answers)
