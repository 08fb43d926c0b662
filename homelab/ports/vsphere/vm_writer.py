"""Writes to VMs over the vSphere API."""

from collections.abc import Collection
from typing import Any

from homelab.ports.vsphere import vms
from homelab.ports.vsphere.autostart import Autostart, set_autostart
from homelab.ports.vsphere.datastore_writer import ApiDatastoreWriter
from homelab.ports.vsphere.session import Session, translated
from homelab.ports.vsphere.tasks import Progress
from homelab.ports.vsphere.vms import VmEdit, VmSpec


class ApiVmWriter:
    """A `VmWriter` on one session."""

    def __init__(self, session: Session) -> None:
        self.session, self.files = session, ApiDatastoreWriter(session)
        self._made: dict[str, Any] = {}

    @property
    def where(self) -> str:
        """The host as errors show it."""
        return self.session.where

    @property
    def host(self) -> str:
        """The host's name."""
        return self.session.host.name

    def create_vm(self, spec: VmSpec, *, seconds: float, progress: Progress) -> None:
        """CreateVM_Task."""
        self._made[spec.path] = vms.create_vm(self.session, spec, seconds=seconds, progress=progress)

    def register(self, path: str, name: str, *, seconds: float, progress: Progress) -> None:
        """RegisterVM_Task."""
        with translated(self.where):
            vms.register_vm(self.session, path, name, seconds=seconds, progress=progress)

    def power_on(self, path: str, name: str, *, seconds: float, progress: Progress) -> None:
        """PowerOnVM_Task."""
        with translated(self.where):
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

    def unregister(self, path: str, name: str, instance_uuid: str, *, autostart: bool = False) -> None:
        """UnregisterVM, after ReconfigureAutostart."""
        with translated(self.where):
            vms.unregister_vm(self.session, path, name, instance_uuid, autostart=autostart)

    def set_autostart(self, path: str, name: str, wanted: Autostart) -> None:
        """ReconfigureAutostart."""
        with translated(self.where):
            vm = self._made.get(path) or vms.registered(self.session, path, name)
            set_autostart(self.session, vm, wanted)

    def reconfigure(self, path: str, name: str, edit: VmEdit, *, seconds: float, progress: Progress) -> None:
        """ReconfigVM_Task."""
        vms.reconfigure_vm(self.session, path, name, edit, seconds=seconds, progress=progress)

    def eject(self, path: str, name: str, image: str, *, seconds: float, progress: Progress) -> None:
        """ReconfigVM_Task."""
        vms.detach_image(self.session, path, name, image, seconds=seconds, progress=progress)

    def clear_settings(
        self, path: str, name: str, keys: Collection[str], *, seconds: float, progress: Progress
    ) -> None:
        """ReconfigVM_Task."""
        vms.clear_settings(self.session, path, name, keys, seconds=seconds, progress=progress)
