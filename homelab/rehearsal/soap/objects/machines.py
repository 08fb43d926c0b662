"""Virtual machines."""

from collections.abc import Iterator
from typing import Any

from pyVmomi import vim

from homelab.rehearsal.host.host import Host
from homelab.rehearsal.soap.managed import data, ref
from homelab.rehearsal.soap.objects.inventory import Entity, network_id
from homelab.rehearsal.soap.objects.machine_console import MachineConsole
from homelab.rehearsal.soap.objects.machine_export import MachineExport
from homelab.rehearsal.soap.objects.machine_parts import MachineConfiguration, MachinePower
from homelab.rehearsal.soap.objects.machine_snapshots import MachineSnapshots, MachineStorage
from homelab.rehearsal.soap.objects.pools import pool_of
from homelab.rehearsal.soap.vm_config import config_of
from homelab.rehearsal.state.guest_names import full_name
from homelab.rehearsal.state.vm import Question, Vm
from homelab.rehearsal.storage.datastores import uses

CAPABILITY = vim.vm.Capability(
    snapshotOperationsSupported=True,
    multipleSnapshotsSupported=True,
    snapshotConfigSupported=True,
    poweredOffSnapshotsSupported=True,
    revertToSnapshotSupported=True,
    memorySnapshotsSupported=False,
    quiescedSnapshotsSupported=False,
    disableSnapshotsSupported=False,
    lockSnapshotsSupported=False,
    consolePreferencesSupported=False,
    cpuFeatureMaskSupported=False,
    s1AcpiManagementSupported=False,
    settingScreenResolutionSupported=False,
    toolsAutoUpdateSupported=False,
    vmNpivWwnSupported=False,
    vmNpivWwnDisableSupported=False,
    vmNpivWwnUpdateSupported=False,
    swapPlacementSupported=False,
    toolsSyncTimeSupported=True,
    virtualMmuUsageSupported=True,
    diskSharesSupported=True,
    bootOptionsSupported=True,
    bootRetryOptionsSupported=True,
    settingVideoRamSizeSupported=False,
    changeTrackingSupported=False,
    nestedHVSupported=True,
    vPMCSupported=True,
    secureBootSupported=True,
)


class VirtualMachine(MachineExport, Entity):
    """One VM."""

    PARTS = (MachinePower, MachineConfiguration, MachineSnapshots, MachineStorage, MachineConsole)

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
        return config_of(self._host, vm)

    @property
    def capability(self) -> Any:
        """What can be done with it."""
        return CAPABILITY

    @property
    def runtime(self) -> Any:
        """Whether it runs, since when, and where."""
        vm = self._vm
        return data(
            vim.vm.RuntimeInfo,
            host=ref("HostSystem", "ha-host"),
            connectionState="connected" if _is_readable(self._host, vm) else "inaccessible",
            powerState=vm.power_state,
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
        running = self._vm.powered_on and self._host.vm_power.machines.is_running(self._vm.machine_name)
        return data(
            vim.vm.GuestInfo,
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
                hwVersion=vm.hardware_version,
                cpuReservation=int(vm.settings.get("cpuAllocation.reservation", 0)),
                memoryReservation=int(vm.settings.get("memoryAllocation.reservation", 0)),
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
