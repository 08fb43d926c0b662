"""Exports of VMs: a lease by which their disks are read, and the descriptor that goes with them."""

from typing import Any

from homelab.rehearsal.host.host import Host
from homelab.rehearsal.soap.managed import Managed, ref, writes
from homelab.rehearsal.state.refusals import NotSimulated
from homelab.rehearsal.state.vm import Vm
from homelab.rehearsal.storage.deltas import ancestors
from homelab.rehearsal.storage.disk_files import writes_of
from homelab.rehearsal.vms.states import must_be


class MachineExport(Managed):
    """What of a VM is about its export."""

    @writes
    def ExportVm(self) -> Any:
        """A lease on its disks; the VM must be off."""
        with self._host.lock:
            vm = self._host.vms.by_id(self._moid)
            must_be(vm, on=False, wanted="poweredOff")
            _check_data(self._host, vm)
            return ref("HttpNfcLease", self._face.leases.open(lambda: vm, exports=True).id)


def _check_data(host: Host, vm: Vm) -> None:
    """What a guest wrote is kept as files, not as blocks of its disk: nobody may take the rest for all of it."""
    for disk in vm.disks:
        path = host.datastores.path_of(disk.path)
        if any(writes_of(one).exists() for one in (path, *ancestors(path))):
            raise NotSimulated(f"Exporting {disk.path}, which a guest wrote to, is not part of the rehearsal")
