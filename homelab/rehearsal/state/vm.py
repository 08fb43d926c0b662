"""A simulated VM and its devices: plain state, no behaviour."""

import re
import uuid as uuids
from dataclasses import dataclass, field
from datetime import datetime

from homelab.rehearsal.state.vm_settings import Value


@dataclass
class VmDisk:
    """A virtual disk: `path` is the descriptor's datastore path, `capacity` in bytes, `parents` nearest first.

    `mode` is vSphere's word; `io_limit` (operations a second, -1 is none) and `io_shares` are kept and without effect.
    """

    key: int
    path: str
    capacity: int
    unit: int = 0
    thin: bool = True
    controller: int = 1000
    parents: tuple[str, ...] = ()
    mode: str = "persistent"
    eager: bool = False
    io_limit: int = -1
    io_shares: str = "normal"


@dataclass
class VmNic:
    """A virtual NIC. `address_type` is `generated` or `manual`; `kind` is vSphere's class without its prefix.

    `connected` is how its plug is while the VM runs.
    """

    key: int
    mac: str
    network: str
    address_type: str = "generated"
    kind: str = "Vmxnet3"
    start_connected: bool = True
    connected: bool = False
    guest_control: bool = True
    wake_on_lan: bool = True
    direct_path: bool | None = None


@dataclass
class VmCdRom:
    """A CD-ROM drive: `iso` is a datastore path; without one, `device` is the drive of a client's or of the host's.

    `backing` is vSphere's class of that other drive without what all of them have in common.
    """

    key: int
    iso: str | None = None
    start_connected: bool = True
    connected: bool = False
    unit: int = 0
    controller: int = 15000
    guest_control: bool = True
    backing: str = "RemotePassthrough"
    device: str = ""


@dataclass
class Question:
    """What a VM asks before it goes on: `choices` are key, label and summary; `answer` is the key that was chosen."""

    id: str
    text: str
    choices: tuple[tuple[str, str, str], ...]
    default: int
    answer: str | None = None


@dataclass
class Snapshot:
    """A VM as it was: `vmx` is its .vmx of then, `parent` the uid of the snapshot that it was taken on, 0 for none."""

    uid: int
    name: str
    description: str
    made: datetime
    vmx: str
    parent: int = 0


@dataclass
class Vm:
    """One VM. `moid` is a decimal, and vim-cmd's vmid; `vmx_path` is a datastore path; memory in MiB.

    `controllers` are vSphere's classes by key; a disk's or drive's `controller` is such a key. `location` is a hash of
    the place that the .vmx was written for. `settings` are those that nothing acts on, by their paths (vm_settings).
    A suspended VM is not on; `machine` is the name of the machine behind it, which stays when the VM gets another one.
    `snapshots` are by their uid; the VM's disks sit on those of `current_snapshot`, 0 for none;
    `leftovers` are disks that no snapshot keeps any more and several children need.
    """

    moid: str
    name: str
    datastore: str
    vmx_path: str
    cpus: int = 1
    memory_mib: int = 1024
    guest_id: str = "otherLinux64Guest"
    uuid: str = field(default_factory=lambda: str(uuids.uuid4()))
    extra_config: dict[str, str] = field(default_factory=dict)
    powered_on: bool = False
    suspended: bool = False
    machine: str = ""
    boot_time: datetime | None = None
    disks: list[VmDisk] = field(default_factory=list)
    nics: list[VmNic] = field(default_factory=list)
    cdroms: list[VmCdRom] = field(default_factory=list)
    controllers: dict[int, str] = field(default_factory=dict)
    annotation: str = ""
    hardware_version: str = "vmx-13"
    firmware: str = "bios"
    instance_uuid: str = field(default_factory=lambda: str(uuids.uuid4()))
    location: str = ""
    question: Question | None = None
    settings: dict[str, Value] = field(default_factory=dict)
    change_version: str = ""
    snapshots: dict[int, Snapshot] = field(default_factory=dict)
    current_snapshot: int = 0
    last_snapshot: int = 0
    leftovers: list[str] = field(default_factory=list)

    @property
    def folder(self) -> str:
        """The datastore path of the VM's folder."""
        return self.vmx_path.rpartition("/")[0]

    @property
    def machine_name(self) -> str:
        """What the machine behind it is called."""
        return self.machine or self.name

    @property
    def power_state(self) -> str:
        """On, off or suspended, in vSphere's words."""
        return "poweredOn" if self.powered_on else "suspended" if self.suspended else "poweredOff"

    @property
    def drives(self) -> "list[VmDisk | VmCdRom]":
        """What hangs on controllers."""
        return [*self.disks, *self.cdroms]

    @property
    def pluggable(self) -> "list[VmCdRom | VmNic]":
        """What can be plugged in and pulled while the VM runs."""
        return [*self.cdroms, *self.nics]

    @property
    def guestinfo(self) -> dict[str, str]:
        """What the guest can ask for by VMware Tools."""
        told = {key.lower(): value for key, value in self.extra_config.items()}
        return {key: value for key, value in told.items() if re.fullmatch(r"guestinfo\.[\w.-]+", key)}

    @property
    def seed(self) -> str | None:
        """The ISO that the guest sees."""
        return next((drive.iso for drive in self.cdroms if drive.iso and drive.connected), None)
