"""What the steps write to VMs and their files: the words; over the API or, where that only reads, over SSH.

`ApiVmWriter` speaks vSphere. `ShellVmWriter` types the same in the host's shell and writes files by SFTP. Both read
over the API, which every licence allows. Datastore paths are `[DATASTORE] a/b`; a `path` beside a `datastore` is `a/b`.
"""

from typing import BinaryIO, Protocol

from homelab.ports.vsphere.autostart import Autostart
from homelab.ports.vsphere.folders import Folder
from homelab.ports.vsphere.storage import Transferred
from homelab.ports.vsphere.tasks import Progress
from homelab.ports.vsphere.vms import VmSpec


class VmWriter(Protocol):
    """Writes to the VMs of one host. Every method raises HostFault with the host's own words, or Unreachable."""

    @property
    def where(self) -> str:
        """The host as errors show it."""

    @property
    def host(self) -> str:
        """The host's name."""

    # -- reads that a write begins with

    def list_folder(self, datastore: str, path: str, *, seconds: float, progress: Progress) -> Folder | None:
        """What lies in a folder; None when there is no such folder."""

    def small_file(self, datastore: str, path: str) -> bytes | None:
        """What a small file holds; None when there is none."""

    def file_size(self, datastore: str, path: str) -> int | None:
        """The size of a file in bytes; None when there is none."""

    def disk_whole(self, datastore: str, path: str) -> bool:
        """Whether a disk lies there, with all its data."""

    # -- files

    def make_folder(self, datastore: str, path: str) -> None:
        """Make a folder and its parents; nothing happens when it is there."""

    def upload(self, datastore: str, path: str, file: BinaryIO, size: int, progress: Transferred | None = None) -> None:
        """Write a file into a folder that is there, over one of that name: whose it is, the caller knows."""

    def delete_file(
        self, datastore: str, path: str, *, seconds: float, progress: Progress, beside: Folder | None = None
    ) -> None:
        """Delete one file; nothing happens when it is not there. Raises Refused for a folder.

        Also Refused for the .vmx of a VM that the host has. `beside` is what was just seen in the file's folder.
        """

    def delete_empty_folder(self, datastore: str, path: str, *, seconds: float, progress: Progress) -> Folder:
        """Delete a folder in which there is nothing; what is in it, and then it stays."""

    # -- disks

    def copy_disk(self, source: str, target: str, *, seconds: float, progress: Progress) -> None:
        """A thin copy of a disk; both are datastore paths. HostFault when the target is there already."""

    def move_disk(self, source: str, target: str, *, seconds: float, progress: Progress) -> None:
        """Give a disk another name; both are datastore paths. HostFault when the target is there already."""

    def extend_disk(self, path: str, size_gib: int, *, seconds: float, progress: Progress) -> None:
        """Grow a disk to so many GiB without zeroing."""

    def delete_disk(self, datastore: str, path: str, *, seconds: float, progress: Progress) -> None:
        """Delete a disk, its descriptor and its data; nothing happens when it is not there."""

    # -- VMs, by the datastore path of their .vmx

    def create_vm(self, spec: VmSpec, *, seconds: float, progress: Progress) -> None:
        """Create a VM around a disk that exists, or with a child of one. HostFault or Refused when its .vmx is there.

        Raises Refused for a child where the API only reads: the shell makes none.
        """

    def register(self, path: str, name: str, *, seconds: float, progress: Progress) -> None:
        """Take one that lies on a datastore into the inventory."""

    def power_on(self, path: str, name: str, *, seconds: float, progress: Progress) -> None:
        """Switch it on. Whether it was moved or copied, it is asked on another host: it was moved."""

    def power_off(self, path: str, name: str, *, seconds: float, progress: Progress) -> None:
        """Pull its plug; nothing happens when it is off."""

    def ask_to_shut_down(self, path: str, name: str) -> bool:
        """Ask its guest to shut itself down; whether it heard: without VMware Tools none does."""

    def is_on(self, path: str, name: str) -> bool:
        """Whether it is on."""

    def unregister(self, path: str, name: str, instance_uuid: str) -> None:
        """Take it out of the inventory; its files stay. Refused when another VM lies there by now."""

    def set_autostart(self, path: str, name: str, wanted: Autostart) -> None:
        """Have it start with the host, and the host start VMs at all; no other VM is named."""

    def end_autostart(self, path: str, name: str, instance_uuid: str) -> None:
        """Take it out of the VMs that start with the host. Refused when another VM lies there by now."""

    def reconfigure(
        self,
        path: str,
        name: str,
        *,
        cpus: int | None,
        memory_mib: int | None,
        network: tuple[str, str] | None,
        seconds: float,
        progress: Progress,
    ) -> None:
        """Give it other CPUs, memory, or the NIC of a MAC another port group; None leaves it as it is."""

    def eject(self, path: str, name: str, image: str, *, seconds: float, progress: Progress) -> None:
        """Take one image out of its CD-ROM drives; any other stays where it is."""
