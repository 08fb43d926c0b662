"""What the steps write to VMs: the words; over the API or, where that only reads, over SSH.

`ApiVmWriter` speaks vSphere. `ShellVmWriter` types the same in the host's shell. Both read over the API, which every
licence allows. A `path` is the datastore path of the VM's .vmx.
"""

from collections.abc import Collection
from typing import Protocol

from homelab.ports.datastore_writer import DatastoreWriter
from homelab.ports.vsphere.autostart import Autostart
from homelab.ports.vsphere.tasks import Progress
from homelab.ports.vsphere.vms import VmEdit, VmSpec


class VmWriter(Protocol):
    """Writes to the VMs of one host. Every method raises HostFault with the host's own words, or Unreachable."""

    @property
    def files(self) -> DatastoreWriter:
        """The same host's datastores."""

    @property
    def where(self) -> str:
        """The host as errors show it."""

    @property
    def host(self) -> str:
        """The host's name."""

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

    def unregister(self, path: str, name: str, instance_uuid: str, *, autostart: bool = False) -> None:
        """Take it out of the inventory; its files stay. Refused when another VM lies there by now.

        With `autostart` it is taken out of the VMs that start with the host before.
        """

    def set_autostart(self, path: str, name: str, wanted: Autostart) -> None:
        """Have it start with the host, and the host start VMs at all; no other VM is named."""

    def reconfigure(self, path: str, name: str, edit: VmEdit, *, seconds: float, progress: Progress) -> None:
        """Give it other CPUs, memory, or one of its NICs another port group."""

    def eject(self, path: str, name: str, image: str, *, seconds: float, progress: Progress) -> None:
        """Take one image out of its CD-ROM drives; any other stays where it is."""

    def clear_settings(
        self, path: str, name: str, keys: Collection[str], *, seconds: float, progress: Progress
    ) -> None:
        """Take keys out of its configuration. Refused of a VM that is on where the API only reads."""
