"""Writes to VMs and their files in a host's own shell, where no licence forbids them.

What is to be changed is looked up over the API, by the path of its .vmx: the number that vim-cmd wants is the VM's id
there, and the text of `getallvms` may hold whatever somebody wrote into an annotation.
"""

import io
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from contextvars import copy_context
from threading import Event
from typing import Any

from homelab.errors import HostFault, Refused, Unreachable
from homelab.formats import new_vmx
from homelab.formats.vmx import changed_vmx
from homelab.ports.esxi import vm_commands as commands
from homelab.ports.esxi.datastore_writer import ShellDatastoreWriter
from homelab.ports.esxi.typed import Typed
from homelab.ports.sftp import RemoteFiles
from homelab.ports.ssh import Output, Shell
from homelab.ports.vsphere import vms
from homelab.ports.vsphere.autostart import START_SECONDS, STOP_ACTION, Autostart
from homelab.ports.vsphere.drives import image_drives, is_connected
from homelab.ports.vsphere.session import Session
from homelab.ports.vsphere.tasks import Progress
from homelab.ports.vsphere.vm_look import own_seed
from homelab.ports.vsphere.vms import VmEdit, VmSpec

# How often a VM that does not come on is asked why.
LOOK_SECONDS = 1.0


class ShellVmWriter:
    """A `VmWriter` on one session, which reads, and one SSH connection, which writes."""

    def __init__(self, session: Session, shell: Shell, remote: RemoteFiles, stop: Event) -> None:
        self.session, self.shell, self._remote = session, shell, remote
        self._typed = Typed(shell, stop)
        self.files = ShellDatastoreWriter(session, self._typed, remote)

    @property
    def where(self) -> str:
        """The host as errors show it."""
        return self.shell.login.where

    @property
    def host(self) -> str:
        """The host's name."""
        return self.session.host.name

    def create_vm(self, spec: VmSpec, *, seconds: float, progress: Progress) -> None:
        """A .vmx by SFTP, never over one that is there, and `solo/registervm`."""
        if spec.parent:
            raise Refused(
                f"the disk of {spec.name} cannot be linked: the shell has no command for it, and the API only reads",
                where=self.where,
                advice="Write vm_clone: thin for it, or assign another licence",
            )
        # The API checks this itself; registering a VM does not.
        if spec.network not in vms.networks(self.session):
            raise HostFault(
                f"there is no port group {spec.network}",
                where=self.where,
                advice="Correct vm_network in the inventory, or add the port group to the host",
            )
        text = _text_of(spec).encode()
        self._remote.write(commands.volume_path(spec.path), io.BytesIO(text), len(text), new=True)
        self._typed.must(commands.register(spec.path), seconds, progress)

    def register(self, path: str, name: str, *, seconds: float, progress: Progress) -> None:
        """`solo/registervm`, which has the name as its second argument."""
        self._typed.must([*commands.register(path), name], seconds, progress)

    def power_on(self, path: str, name: str, *, seconds: float, progress: Progress) -> None:
        """`vmsvc/power.on`, after a seed that was ejected while the VM ran is out of its .vmx too.

        One that came on by itself since it was looked at is done.
        """
        vm = vms.registered(self.session, path, name)
        if vm.runtime.powerState == "poweredOff":
            gone = [one for one in _seeds(vm, path) if self._is_gone(one.backing.fileName)]
            self._empty(vm, path, gone, seconds, progress)
        output = _switched_on(self._typed, vm, name, seconds, progress)
        if (question := vm.runtime.question) is not None:
            # A run that switched it on was ended while it asked: that start goes on once it is answered.
            if vms.moved_choice(question) is None:
                raise vms.asks(self.where, name, question)
            _answer(self._typed, vm, progress)
            vms.await_on(self.session, vm, name, seconds, progress)
        elif not self.is_on(path, name):
            raise self._typed.refused(f"the VM {name} was not switched on", output)

    def power_off(self, path: str, name: str, *, seconds: float, progress: Progress) -> None:
        """`vmsvc/power.off`."""
        vm = vms.registered(self.session, path, name)
        output = self._typed.run(commands.of_vm("power.off", vm._moId), seconds, progress)
        if self.is_on(path, name):
            raise self._typed.refused(f"the VM {name} was not switched off", output)

    def ask_to_shut_down(self, path: str, name: str) -> bool:
        """`vmsvc/power.shutdown`, if VMware Tools run."""
        vm = vms.registered(self.session, path, name)
        if vm.runtime.powerState == "poweredOff":
            return True
        if vm.guest is None or vm.guest.toolsRunningStatus != "guestToolsRunning":
            return False
        output = self.shell.run(commands.of_vm("power.shutdown", vm._moId), writes=True)
        return output.status == 0 or not self.is_on(path, name)

    def is_on(self, path: str, name: str) -> bool:
        """Over the API."""
        return vms.is_on(self.session, path, name)

    def unregister(self, path: str, name: str, instance_uuid: str, *, autostart: bool = False) -> None:
        """`vmsvc/unregister`, after `hostsvc/autostartmanager`."""
        vm = vms.surely_registered(self.session, path, name, instance_uuid)
        if vm is not None and autostart:
            self.shell.must(commands.start_no_more(vm._moId), writes=True)
        if vm is not None:
            self.shell.must(commands.of_vm("unregister", vm._moId), writes=True)

    def set_autostart(self, path: str, name: str, wanted: Autostart) -> None:
        """`vim-cmd hostsvc/autostartmanager`; a wrong position is not refused there, so it has to be right."""
        if wanted.order is not None:
            vm = vms.registered(self.session, path, name)
            self.shell.must(commands.start_with_host(vm._moId, wanted.order, START_SECONDS, STOP_ACTION), writes=True)
        if wanted.enable:
            self.shell.must(commands.enable_autostart(), writes=True)

    def reconfigure(self, path: str, name: str, edit: VmEdit, *, seconds: float, progress: Progress) -> None:
        """Another .vmx for a VM that is off, and `vmsvc/reload`."""
        vm = vms.registered(self.session, path, name)
        mac, network = edit.network or ("", "")
        nic = new_vmx.nic_on(network, _place(self.session, vm, name, mac)) if edit.network else {}
        self._rewrite(vm, path, {**new_vmx.sizes(edit.cpus, edit.memory_mib), **nic}, seconds, progress)

    def eject(self, path: str, name: str, image: str, *, seconds: float, progress: Progress) -> None:
        """`vmsvc/device.connection` while it runs: the drive stays with the image's name until the VM is off."""
        vm = vms.registered(self.session, path, name)
        if vm.runtime.powerState == "poweredOff":
            self._empty(vm, path, image_drives(vm.config.hardware.device, image), seconds, progress)
            return
        for drive in image_drives(vm.config.hardware.device, image):
            if is_connected(drive):
                self._typed.must(commands.disconnect(vm._moId, drive.key), seconds, progress)
        if any(is_connected(one) for one in image_drives(vm.config.hardware.device, image)):
            raise HostFault(
                f"{image} is still connected to {name}",
                where=self.where,
                advice=f"The guest may hold it: look at the VM's questions (vim-cmd vmsvc/message {vm._moId})",
            )

    def clear_settings(
        self, path: str, name: str, keys: Collection[str], *, seconds: float, progress: Progress
    ) -> None:
        """Another .vmx for a VM that is off, and `vmsvc/reload`."""
        self._rewrite(vms.registered(self.session, path, name), path, dict.fromkeys(keys), seconds, progress)

    def _is_gone(self, image: str) -> bool:
        return self.files.file_size(*vms.split_path(image)) is None

    def _empty(self, vm: Any, path: str, drives: list[Any], seconds: float, progress: Progress) -> None:
        """Take the images out of drives of a VM that is off."""
        if drives:
            self._rewrite(
                vm, path, {key: value for one in drives for key, value in _emptied(one).items()}, seconds, progress
            )

    def _rewrite(
        self, vm: Any, path: str, changes: Mapping[str, str | None], seconds: float, progress: Progress
    ) -> None:
        """Another .vmx in the place of the one of a VM that is off: one that runs writes its own over it."""
        if vm.runtime.powerState != "poweredOff":
            raise Refused(
                f"{path} is on, and its .vmx cannot be changed meanwhile",
                where=self.where,
                advice="Run again when it is off",
            )
        found = self.files.small_file(*vms.split_path(path))
        if found is None:
            raise HostFault(
                f"{path} cannot be read, and so nothing is written there",
                where=self.where,
                advice="Check that the datastore answers and that the file is there; then run again",
            )
        # Whatever its letters are encoded in, those that are not changed stay as they are.
        made = changed_vmx(found.decode(errors="surrogateescape"), changes).encode(errors="surrogateescape")
        # ESXi's own name for the .vmx that it is about to write; so it counts as the VM's.
        place = commands.volume_path(path)
        self._remote.write(f"{place}~", io.BytesIO(made), len(made))
        self._remote.rename(f"{place}~", place)
        self._typed.must(commands.of_vm("reload", vm._moId), seconds, progress)


def _switched_on(typed: Typed, vm: Any, name: str, seconds: float, progress: Progress) -> Output:
    """`vmsvc/power.on` does not end while the VM asks something: meanwhile it is asked over the API what that is."""
    with ThreadPoolExecutor(1) as beside:
        argv = commands.of_vm("power.on", vm._moId)
        ended = beside.submit(copy_context().run, typed.run, argv, seconds, progress)
        while not wait([ended], LOOK_SECONDS).done:
            _answer(typed, vm, progress)
    try:
        return ended.result()
    except Unreachable as error:
        question = vm.runtime.question if typed.shell.alive else None
        if question is None:
            raise
        raise vms.asks(typed.shell.login.where, name, question) from error


def _answer(typed: Typed, vm: Any, progress: Progress) -> None:
    question = vm.runtime.question
    if question is None:
        return
    moved = vms.moved_choice(question)
    if moved is None:
        progress(f"the VM asks: {question.text}")
    else:
        typed.shell.run(commands.of_vm("message", vm._moId, question.id, moved), writes=True)


def _place(session: Session, vm: Any, name: str, mac: str) -> int:
    """The place of a NIC among the VM's: `ethernet0` has the key 4000."""
    return int(vms.nic_of(session, vm, name, mac).key) - 4000


def _seeds(vm: Any, path: str) -> list[Any]:
    """The drives with the VM's own seed: any other image is its owner's, whether it is there or not."""
    return [one for one in image_drives(vm.config.hardware.device) if own_seed(path, [one.backing.fileName])]


def _emptied(drive: Any) -> dict[str, str]:
    """IDE 0 and 1 have the keys 200 and 201, the first SATA controller 15000."""
    sata = drive.controllerKey >= 15000
    bus = f"sata{drive.controllerKey - 15000}" if sata else f"ide{drive.controllerKey - 200}"
    return new_vmx.emptied(f"{bus}:{drive.unitNumber}")


def _text_of(spec: VmSpec) -> str:
    """The .vmx; disk and seed lie beside it."""
    folder = f"{spec.path.rpartition('/')[0]}/"
    return new_vmx.vmx_of(
        name=spec.name,
        cpus=spec.cpus,
        memory_mib=spec.memory_mib,
        disk=spec.disk.removeprefix(folder),
        seed=spec.seed.removeprefix(folder) if spec.seed else None,
        network=spec.network,
        mac=spec.mac,
        settings=spec.settings,
        instance_uuid=spec.instance_uuid,
    )
