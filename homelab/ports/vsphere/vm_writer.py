"""Writes to VMs and their files over the vSphere API."""

from typing import Any, BinaryIO

from homelab.ports.vsphere import autostart, folders, storage, vms
from homelab.ports.vsphere.autostart import Autostart
from homelab.ports.vsphere.folders import Folder
from homelab.ports.vsphere.session import Session
from homelab.ports.vsphere.storage import Transferred
from homelab.ports.vsphere.tasks import Progress
from homelab.ports.vsphere.vms import VmSpec


class ApiVmWriter:
    """A `VmWriter` on one session."""

    def __init__(self, session: Session) -> None:
        self.session = session
        # What was just made need not be looked up.
        self._made: dict[str, Any] = {}

    @property
    def where(self) -> str:
        """The host as errors show it."""
        return self.session.where

    @property
    def host(self) -> str:
        """The host's name."""
        return self.session.host.name

    def list_folder(self, datastore: str, path: str, *, seconds: float, progress: Progress) -> Folder | None:
        """SearchDatastore_Task."""
        return folders.list_folder(self.session, datastore, path, seconds=seconds, progress=progress)

    def small_file(self, datastore: str, path: str) -> bytes | None:
        """GET below /folder."""
        return storage.small_file(self.session, datastore, path)

    def file_size(self, datastore: str, path: str) -> int | None:
        """HEAD below /folder."""
        return storage.file_size(self.session, datastore, path)

    def disk_whole(self, datastore: str, path: str) -> bool:
        """GET and HEAD below /folder."""
        return storage.disk_whole(self.session, datastore, path)

    def make_folder(self, datastore: str, path: str) -> None:
        """MakeDirectory."""
        storage.make_folder(self.session, datastore, path)

    def upload(self, datastore: str, path: str, file: BinaryIO, size: int, progress: Transferred | None = None) -> None:
        """PUT below /folder."""
        storage.upload(self.session, datastore, path, file, size, progress)

    def delete_file(
        self, datastore: str, path: str, *, seconds: float, progress: Progress, beside: Folder | None = None
    ) -> None:
        """DeleteDatastoreFile_Task, after a look that it is no folder."""
        if path.endswith(".vmx"):
            vms.check_not_registered(self.session, f"[{datastore}] {path}")
        folders.delete_file(self.session, datastore, path, seconds=seconds, progress=progress, beside=beside)

    def delete_empty_folder(self, datastore: str, path: str, *, seconds: float, progress: Progress) -> Folder:
        """DeleteDatastoreFile_Task, after a look that there is nothing in it."""
        return folders.delete_empty_folder(self.session, datastore, path, seconds=seconds, progress=progress)

    def copy_disk(self, source: str, target: str, *, seconds: float, progress: Progress) -> None:
        """CopyVirtualDisk_Task."""
        storage.copy_disk(self.session, source, target, seconds=seconds, progress=progress)

    def move_disk(self, source: str, target: str, *, seconds: float, progress: Progress) -> None:
        """MoveVirtualDisk_Task."""
        storage.move_disk(self.session, source, target, seconds=seconds, progress=progress)

    def extend_disk(self, path: str, size_gib: int, *, seconds: float, progress: Progress) -> None:
        """ExtendVirtualDisk_Task."""
        storage.extend_disk(self.session, path, size_gib, seconds=seconds, progress=progress)

    def delete_disk(self, datastore: str, path: str, *, seconds: float, progress: Progress) -> None:
        """DeleteVirtualDisk_Task."""
        folders.delete_disk(self.session, datastore, path, seconds=seconds, progress=progress)

    def create_vm(self, spec: VmSpec, *, seconds: float, progress: Progress) -> None:
        """CreateVM_Task."""
        self._made[spec.path] = vms.create_vm(self.session, spec, seconds=seconds, progress=progress)

    def register(self, path: str, name: str, *, seconds: float, progress: Progress) -> None:
        """RegisterVM_Task."""
        vms.register_vm(self.session, path, name, seconds=seconds, progress=progress)

    def power_on(self, path: str, name: str, *, seconds: float, progress: Progress) -> None:
        """PowerOnVM_Task."""
        vms.power_on(self.session, path, name, seconds=seconds, progress=progress)

    def power_off(self, path: str, name: str, *, seconds: float, progress: Progress) -> None:
        """PowerOffVM_Task."""
        vms.power_off(self.session, path, name, seconds=seconds, progress=progress)

    def ask_to_shut_down(self, path: str, name: str) -> bool:
        """ShutdownGuest."""
        return vms.ask_to_shut_down(self.session, path, name)

    def is_on(self, path: str, name: str) -> bool:
        """A property of the VM."""
        return vms.is_on(self.session, path, name)

    def unregister(self, path: str, name: str, instance_uuid: str) -> None:
        """UnregisterVM."""
        vms.unregister_vm(self.session, path, name, instance_uuid)

    def set_autostart(self, path: str, name: str, wanted: Autostart) -> None:
        """ReconfigureAutostart."""
        vm = self._made.get(path) or vms.registered(self.session, path, name)
        autostart.set_autostart(self.session, vm, wanted)

    def end_autostart(self, path: str, name: str, instance_uuid: str) -> None:
        """ReconfigureAutostart."""
        vm = vms.surely_registered(self.session, path, name, instance_uuid)
        if vm is not None:
            autostart.end_autostart(self.session, vm)

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
        """ReconfigVM_Task."""
        vms.reconfigure_vm(
            self.session,
            path,
            name,
            cpus=cpus,
            memory_mib=memory_mib,
            network=network,
            seconds=seconds,
            progress=progress,
        )

    def eject(self, path: str, name: str, image: str, *, seconds: float, progress: Progress) -> None:
        """ReconfigVM_Task."""
        vms.detach_image(self.session, path, name, image, seconds=seconds, progress=progress)
