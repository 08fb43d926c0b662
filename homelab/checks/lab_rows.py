"""What is told of each part of a lab by the looks at it. Pure."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from homelab.checks.api_server import ApiAnswer
from homelab.checks.lab_look import ApiServerRow, DatastoreRow, HostRow, MachineRow, NicRow
from homelab.formats.balancer.pools import API
from homelab.lab import ControlPlane, EsxiHost, Lab, LoadBalancer, Vm
from homelab.ports.vsphere import HostLook, NasLook, VmfsLook
from homelab.steps.guests.balancers import ServerRow
from homelab.steps.vms.vm_rows import rows_of


def host_row(lab: Lab, host: EsxiHost, look: HostLook, now: datetime) -> HostRow:
    """A host that answers."""
    ours = [vm.moid for vm in look.vms if any(vm.carries(lab.name, one.short_name) for one in lab.vms)]
    return HostRow(
        name=host.name,
        address=str(host.address),
        answers=True,
        version=look.version,
        build=look.build,
        licence=look.licence,
        uptime_seconds=max(0, int((now - look.boot_time).total_seconds())),
        in_maintenance=look.in_maintenance,
        cpus=look.cpus,
        memory_mib=look.memory >> 20,
        used_mib=sum(vm.memory_mib for vm in look.vms if vm.powered_on),
        nics=tuple(NicRow(nic.name, nic.driver) for nic in look.used_nics),
        other_vms=len(look.vms) - len(ours),
    )


def datastore_rows(lab: Lab, looks: Mapping[str, HostLook], names: Sequence[str]) -> list[DatastoreRow]:
    """The NAS's datastores, and the hosts' own, as the hosts of those names see them."""
    rows = [
        _seen(DatastoreRow(nas.datastore, "nfs", f"{nas.server}:{nas.export}"), looks, names)
        for nas in lab.nfs
        if names
    ]
    local = [host for host in lab.esxi if host.local_datastore and host.name in names]
    return rows + [
        _seen(DatastoreRow(host.local_datastore or "", "vmfs", host.name), looks, [host.name]) for host in local
    ]


def _seen(row: DatastoreRow, looks: Mapping[str, HostLook], names: Sequence[str]) -> DatastoreRow:
    found = {name: _store(looks[name], row) for name in names if name in looks}
    usable = {name: store for name, store in found.items() if store and store.accessible}
    told = [store for store in usable.values() if store.size]
    return DatastoreRow(
        row.name,
        row.kind,
        row.source,
        hosts=tuple(usable),
        lacking=tuple(name for name in found if name not in usable),
        unknown=tuple(name for name in names if name not in looks),
        size=told[0].size if told else None,
        free=told[0].free if told else None,
    )


def _store(look: HostLook, row: DatastoreRow) -> NasLook | VmfsLook | None:
    return look.nas_named(row.name) if row.kind == "nfs" else look.vmfs_named(row.name)


def machine_rows(lab: Lab, looks: Mapping[str, HostLook], names: Sequence[str], now: datetime) -> list[MachineRow]:
    """The VMs of those names, the machines that are not ours to make among them."""
    rows = {row.name: row for row in rows_of(lab, names, looks, now)}
    return [
        MachineRow(rows[vm.name], role_of(vm), vm.managed, vm.cpus, vm.memory_mib) for vm in lab.vms if vm.name in rows
    ]


def role_of(vm: Vm) -> str:
    """What a VM is for."""
    return {ControlPlane: "control plane", LoadBalancer: "balancer"}.get(type(vm), "worker")


def api_server_row(vm: Vm, answer: ApiAnswer, servers: Sequence[ServerRow]) -> ApiServerRow:
    """An API server, and how each balancer has it."""
    mine = [row for row in servers if row.name == vm.name and row.pool == API]
    states = tuple((row.balancer, "drained" if row.drained else row.state) for row in mine)
    return ApiServerRow(vm.name, str(vm.address), answer, states)
