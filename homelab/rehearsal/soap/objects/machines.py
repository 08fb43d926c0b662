"""Virtual machines."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from pyVmomi import vim

from homelab.rehearsal.host.host import Host
from homelab.rehearsal.soap import vm_devices, vm_spec
from homelab.rehearsal.soap.managed import ref, writes
from homelab.rehearsal.soap.objects.inventory import Entity, network_id
from homelab.rehearsal.soap.objects.machine_export import MachineExport
from homelab.rehearsal.soap.objects.pools import pool_of
from homelab.rehearsal.state.guest_names import full_name
from homelab.rehearsal.state.vm import Question, Vm
from homelab.rehearsal.storage.datastores import uses

NEVER = datetime(1970, 1, 1, tzinfo=UTC)
# The same for every VM, and made once: a look at many VMs is to be cheap.
FLAGS = vim.vm.FlagInfo()
TOOLS = vim.vm.ToolsConfigInfo(toolsVersion=0)
BOOT = vim.vm.BootOptions(
    bootDelay=0, enterBIOSSetup=False, bootRetryEnabled=False, bootRetryDelay=10000, networkBootProtocol="ipv4"
)
POWER_OPERATIONS = vim.vm.DefaultPowerOpInfo()


class VirtualMachine(MachineExport, Entity):
    """One VM."""

    @classmethod
    def ids(cls, face: Any, caller: Any) -> Iterator[str]:
        """The VMs' numbers."""
        yield from list(face.host.registered_vms)

    @property
    def _vm(self) -> Vm:
        return self._host.vms.by_id(self._moid)

    @property
    def name(self) -> str:
        """The VM's name."""
        return self._vm.name

    @property
    def parent(self) -> Any:
        """The VM folder."""
        return ref("Folder", "ha-folder-vm")

    @property
    def resourcePool(self) -> Any:
        """The pool that it was put in."""
        return pool_of(self._host, self._moid)

    @property
    def environmentBrowser(self) -> Any:
        """What it could be."""
        return ref("EnvironmentBrowser", "ha-compute-res-env-browser")

    @property
    def config(self) -> Any:
        """How it is configured; unset where the host cannot reach its files (vSphere API, VirtualMachine.config)."""
        vm = self._vm
        if not _is_readable(self._host, vm):
            return None
        options = [vim.option.OptionValue(key=key, value=value) for key, value in vm.extra_config.items()]
        return vim.vm.ConfigInfo(
            changeVersion="",
            modified=NEVER,
            name=vm.name,
            guestFullName=full_name(vm.guest_id),
            version=vm.hardware_version,
            uuid=vm.uuid,
            instanceUuid=vm.instance_uuid,
            locationId=vm.location,
            template=False,
            guestId=vm.guest_id,
            alternateGuestName="",
            annotation=vm.annotation,
            firmware=vm.firmware,
            files=vim.vm.FileInfo(vmPathName=vm.vmx_path, logDirectory=vm.folder + "/"),
            tools=TOOLS,
            bootOptions=BOOT,
            flags=FLAGS,
            defaultPowerOps=POWER_OPERATIONS,
            hardware=vim.vm.VirtualHardware(
                numCPU=vm.cpus,
                numCoresPerSocket=1,
                memoryMB=vm.memory_mib,
                device=vm_devices.devices(self._host, vm),
            ),
            extraConfig=options,
        )

    @property
    def runtime(self) -> Any:
        """Whether it runs, since when, and where."""
        vm = self._vm
        return vim.vm.RuntimeInfo(
            host=ref("HostSystem", "ha-host"),
            connectionState="connected" if _is_readable(self._host, vm) else "inaccessible",
            powerState="poweredOn" if vm.powered_on else "poweredOff",
            faultToleranceState="notConfigured",
            toolsInstallerMounted=False,
            bootTime=vm.boot_time,
            numMksConnections=0,
            recordReplayState="inactive",
            onlineStandby=False,
            question=_question(vm.question),
            consolidationNeeded=False,
        )

    @property
    def guest(self) -> Any:
        """What the tools report: whether they run. No address: the rehearsal's guests have no such channel."""
        running = self._vm.powered_on and self._host.vm_power.machines.is_running(self._vm.name)
        return vim.vm.GuestInfo(
            toolsRunningStatus="guestToolsRunning" if running else "guestToolsNotRunning",
            guestState="running" if running else "notRunning",
        )

    @property
    def summary(self) -> Any:
        """The VM in short."""
        vm, guest = self._vm, self.guest
        return vim.vm.Summary(
            vm=self._ref,
            runtime=self.runtime,
            guest=vim.vm.Summary.GuestSummary(toolsRunningStatus=guest.toolsRunningStatus),
            config=vim.vm.Summary.ConfigSummary(
                name=vm.name,
                template=False,
                vmPathName=vm.vmx_path,
                memorySizeMB=vm.memory_mib,
                numCpu=vm.cpus,
                numEthernetCards=len(vm.nics),
                numVirtualDisks=len(vm.disks),
                uuid=vm.uuid,
                instanceUuid=vm.instance_uuid,
                guestId=vm.guest_id,
                guestFullName=full_name(vm.guest_id),
                annotation=vm.annotation,
            ),
            quickStats=vim.vm.Summary.QuickStats(guestHeartbeatStatus="gray"),
            overallStatus="green",
        )

    @property
    def datastore(self) -> Any:
        """The datastores it lies on."""
        vm = self._vm
        used = [mount for mount in self._host.datastores.mounts.values() if uses(vm, mount.name)]
        return [ref("Datastore", mount.moref) for mount in used]

    @property
    def network(self) -> Any:
        """The networks it is plugged into."""
        return [ref("Network", network_id(name)) for name in dict.fromkeys(nic.network for nic in self._vm.nics)]

    @writes
    def PowerOnVM_Task(self, host: Any) -> None:
        """Switch it on."""
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
    def ResetVM_Task(self) -> None:
        """Press its reset button."""
        self._host.vm_power.reset(self._vm)

    @writes
    def ShutdownGuest(self) -> None:
        """Ask the guest to shut down; returns at once."""
        self._host.vm_power.shut_down_guest(self._vm)

    @writes
    def ReconfigVM_Task(self, spec: Any) -> None:
        """Change it."""
        with self._host.lock:
            vm_spec.reconfigure(self._host, self._vm, spec)

    @writes
    def Destroy_Task(self) -> None:
        """Delete it, with its disks."""
        self._host.vms.destroy(self._vm)

    @writes
    def UnregisterVM(self) -> None:
        """Forget it; its files stay."""
        self._host.vms.unregister(self._vm)


def _is_readable(host: Host, vm: Vm) -> bool:
    """Whether the host can reach its files; what a running VM is configured to be is in memory."""
    mount = None if vm.powered_on else host.datastores.mounts.get(vm.vmx_path[1:].partition("]")[0])
    return vm.powered_on or (mount is not None and host.datastores.accessible(mount))


def _question(asked: Question | None) -> Any:
    if asked is None:
        return None
    choices = [vim.ElementDescription(key=key, label=label, summary=summary) for key, label, summary in asked.choices]
    identity, _, rest = asked.text.partition(":")
    return vim.vm.QuestionInfo(
        id=asked.id,
        text=asked.text,
        choice=vim.option.ChoiceOption(choiceInfo=choices, defaultIndex=asked.default),
        message=[vim.vm.Message(id=identity, text=rest)],
    )
