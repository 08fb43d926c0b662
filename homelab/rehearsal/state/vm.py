"""A simulated VM and its devices: plain state, no behaviour."""

import uuid as uuids
from dataclasses import dataclass, field
from datetime import datetime


@dataclass
class VmDisk:
    """A virtual disk: `path` is the descriptor's datastore path, `capacity` in bytes, `parents` nearest first."""

    key: int
    path: str
    capacity: int
    unit: int = 0
    thin: bool = True
    controller: int = 1000
    parents: tuple[str, ...] = ()


@dataclass
class VmNic:
    """A virtual NIC. `address_type` is `generated` or `manual`; `kind` is vSphere's class without its prefix."""

    key: int
    mac: str
    network: str
    address_type: str = "generated"
    kind: str = "Vmxnet3"
    start_connected: bool = True


@dataclass
class VmCdRom:
    """A CD-ROM drive: `iso` is a datastore path, or None for an empty drive."""

    key: int
    iso: str | None = None
    start_connected: bool = True
    connected: bool = False
    unit: int = 0
    controller: int = 15000


@dataclass
class Question:
    """What a VM asks before it goes on: `choices` are key, label and summary; `answer` is the key that was chosen."""

    id: str
    text: str
    choices: tuple[tuple[str, str, str], ...]
    default: int
    answer: str | None = None


@dataclass
class Vm:
    """One VM. `moid` is a decimal, and vim-cmd's vmid; `vmx_path` is a datastore path; memory in MiB.

    `controllers` are vSphere's classes by key; a disk's or drive's `controller` is such a key. `location` is a hash of
    the place that the .vmx was written for.
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

    @property
    def folder(self) -> str:
        """The datastore path of the VM's folder."""
        return self.vmx_path.rpartition("/")[0]

    @property
    def seed(self) -> str | None:
        """The ISO that the guest sees."""
        return next((drive.iso for drive in self.cdroms if drive.iso and drive.connected), None)
