"""The consoles of VMs: a picture of one."""

from homelab.rehearsal.soap.managed import writes
from homelab.rehearsal.soap.objects.machine_parts import MachinePart
from homelab.rehearsal.vms.screens import dark, lay_picture
from homelab.rehearsal.vms.states import must_be


class MachineConsole(MachinePart):
    """What of a VM is about its console."""

    @writes
    def CreateScreenshot_Task(self) -> str:
        """Lay a picture into the VM's folder; its datastore path. The VM must be on."""
        vm = self._vm
        must_be(vm, on=True, wanted="poweredOn")
        folder = self._host.datastores.path_of(vm.folder)
        self._host.datastores.volumes.check_space(folder, label=vm.vmx_path, size=len(dark()))
        return f"{vm.folder}/{lay_picture(folder, vm.name).name}"
