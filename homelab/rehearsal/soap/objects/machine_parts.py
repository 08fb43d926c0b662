"""What can be done with a VM: its power, its configuration. Parts of VirtualMachine."""

from typing import Any

from homelab.rehearsal.soap import hardware_versions, vm_spec
from homelab.rehearsal.soap.managed import Managed, writes
from homelab.rehearsal.soap.wire import fault
from homelab.rehearsal.state.refusals import InvalidState
from homelab.rehearsal.state.vm import Vm
from homelab.rehearsal.vms.states import must_be


class MachinePart(Managed):
    """What the parts of a VM have in common."""

    @property
    def _vm(self) -> Vm:
        return self._host.vms.by_id(self._moid)


class MachinePower(MachinePart):
    """Its power, and its guest."""

    @writes
    def PowerOnVM_Task(self, host: Any) -> None:
        """Switch it on, or wake it."""
        self._host.vm_power.on(self._vm)

    @writes
    def AnswerVM(self, questionId: str, answerChoice: str) -> None:
        """Answer what it asks."""
        self._host.vm_questions.answer(self._vm, questionId, answerChoice)

    @writes
    def PowerOffVM_Task(self) -> None:
        """Pull its plug."""
        self._host.vm_power.off(self._vm)

    @writes
    def SuspendVM_Task(self) -> None:
        """Stop it where it is."""
        self._host.vm_power.suspend(self._vm)

    @writes
    def ResetVM_Task(self) -> None:
        """Press its reset button."""
        self._host.vm_power.reset(self._vm)

    @writes
    def ShutdownGuest(self) -> None:
        """Ask the guest to shut down; returns at once."""
        self._host.vm_power.shut_down_guest(self._vm)

    @writes
    def RebootGuest(self) -> None:
        """Ask the guest to start anew; returns at once."""
        self._host.vm_power.reboot_guest(self._vm)

    @writes
    def StandbyGuest(self) -> None:
        """Ask the guest to sleep."""
        self._host.vm_power.stand_by_guest(self._vm)


class MachineConfiguration(MachinePart):
    """What it is, and whether it is."""

    @writes
    def ReconfigVM_Task(self, spec: Any) -> None:
        """Change it."""
        with self._host.lock:
            vm_spec.reconfigure(self._host, self._vm, spec)

    @writes
    def Rename_Task(self, newName: str) -> None:
        """Another name; its files keep theirs."""
        self._host.vms.rename(self._vm, newName)

    def Reload(self) -> None:
        """Read its .vmx again."""
        self._host.vms.reload(self._vm)

    @writes
    def UpgradeVM_Task(self, version: str | None) -> None:
        """Newer virtual hardware: the host's newest unless another is named."""
        with self._host.lock:
            vm, newest = self._vm, hardware_versions.newest_hardware(self._host)
            must_be(vm, on=False, wanted="poweredOff")
            if self._host.in_maintenance:
                raise InvalidState("The operation is not allowed in the current state.")
            wanted = hardware_versions.number_of(version) if version else newest
            if wanted is None or wanted > newest or wanted not in hardware_versions.VERSIONS:
                raise fault("NotSupported", f"{version} is not supported by the host")
            if wanted <= (hardware_versions.number_of(vm.hardware_version) or 0):
                raise fault("AlreadyUpgraded", "The virtual machine has already been upgraded to that version.")
            vm.hardware_version = f"vmx-{wanted:02}"
            self._host.vms.update(vm)

    @writes
    def Destroy_Task(self) -> None:
        """Delete it, with its disks."""
        self._host.vms.destroy(self._vm)

    @writes
    def UnregisterVM(self) -> None:
        """Forget it; its files stay."""
        self._host.vms.unregister(self._vm)
