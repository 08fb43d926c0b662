"""Virtual machines: create, power, change, destroy."""

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from pyVmomi import vim

from homelab.errors import DeadlinePassed, HostFault, Interrupted, Refused
from homelab.ports.vsphere.autostart import end_autostart
from homelab.ports.vsphere.drives import image_drives
from homelab.ports.vsphere.session import DATACENTER, Session
from homelab.ports.vsphere.tasks import Progress, Watch, wait_for

CONTROLLER = 1000
MOVED_OR_COPIED = "msg.uuid.altered"
# How often a VM that comes on by itself is looked at.
AWAIT_SECONDS = 0.25
# Every VM is born with two IDE controllers, 200 and 201.
CDROM_CONTROLLER = 200


@dataclass(frozen=True)
class VmSpec:
    """What a VM is made of. `disk` and `seed` are datastore paths; `mac` is unset when ESXi may choose.

    The disk is there already, unless it is to be made as a child of `parent`, as large as that. Without a seed there is
    no CD-ROM drive; `guestinfo` is what the VM's own configuration tells the guest instead, and holds secrets.
    """

    name: str
    datastore: str
    cpus: int
    memory_mib: int
    disk: str
    seed: str | None
    network: str
    mac: str | None
    marks: Mapping[str, str]
    instance_uuid: str | None = None
    parent: str | None = None
    guestinfo: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def path(self) -> str:
        """The datastore path of its .vmx."""
        return vmx_path(self.datastore, self.name)

    @property
    def settings(self) -> dict[str, str]:
        """What its configuration says beside the hardware."""
        return {**self.marks, **self.guestinfo}


@dataclass(frozen=True)
class VmEdit:
    """What a VM gets instead of what it has, each where it is set; `network` is the MAC of a NIC and its port group."""

    cpus: int | None = None
    memory_mib: int | None = None
    network: tuple[str, str] | None = None


def vmx_path(datastore: str, name: str) -> str:
    """The datastore path of the .vmx of a VM that we make."""
    return f"[{datastore}] {name}/{name}.vmx"


def split_path(path: str) -> tuple[str, str]:
    """The datastore of a datastore path, and the path in it."""
    datastore, _, relative = path.removeprefix("[").partition("]")
    return datastore, relative.removeprefix(" ")


def create_vm(session: Session, spec: VmSpec, *, seconds: float, progress: Progress) -> Any:
    """Create a VM around a disk that exists, or with a child of one; its managed object."""
    config = vim.vm.ConfigSpec(
        name=spec.name,
        numCPUs=spec.cpus,
        memoryMB=spec.memory_mib,
        guestId="otherLinux64Guest",
        version="vmx-13",
        instanceUuid=spec.instance_uuid,
        files=vim.vm.FileInfo(vmPathName=spec.path),
        extraConfig=[vim.option.OptionValue(key=key, value=value) for key, value in spec.settings.items()],
        deviceChange=[_add(device, create=bool(spec.parent)) for device in _devices(spec)],
    )
    folder = session.managed(vim.Folder, "ha-folder-vm")
    pool = session.managed(vim.ResourcePool, "ha-root-pool")
    task = folder.CreateVM_Task(config=config, pool=pool, host=session.host_system)
    return wait_for(session, task, f"creating the VM {spec.name}", seconds=seconds, progress=progress)


def _add(device: Any, *, create: bool) -> Any:
    made = "create" if create and isinstance(device, vim.vm.device.VirtualDisk) else None
    return vim.vm.device.VirtualDeviceSpec(operation="add", fileOperation=made, device=device)


def _devices(spec: VmSpec) -> list[Any]:
    device = vim.vm.device
    flat = device.VirtualDisk.FlatVer2BackingInfo
    nic = device.VirtualVmxnet3(
        key=4000,
        backing=device.VirtualEthernetCard.NetworkBackingInfo(deviceName=spec.network),
        connectable=device.VirtualDevice.ConnectInfo(startConnected=True, connected=True, allowGuestControl=True),
        addressType="manual" if spec.mac else "generated",
    )
    if spec.mac:
        nic.macAddress = spec.mac
    return [
        device.ParaVirtualSCSIController(key=CONTROLLER, busNumber=0, sharedBus="noSharing"),
        device.VirtualDisk(
            key=2000,
            controllerKey=CONTROLLER,
            unitNumber=0,
            backing=flat(
                fileName=spec.disk,
                diskMode="persistent",
                thinProvisioned=True,
                parent=flat(fileName=spec.parent, diskMode="persistent") if spec.parent else None,
            ),
        ),
        *([_drive(spec.seed)] if spec.seed else []),
        nic,
    ]


def _drive(seed: str) -> Any:
    device = vim.vm.device
    return device.VirtualCdrom(
        key=3000,
        controllerKey=CDROM_CONTROLLER,
        unitNumber=0,
        backing=device.VirtualCdrom.IsoBackingInfo(fileName=seed),
        connectable=device.VirtualDevice.ConnectInfo(startConnected=True, connected=True, allowGuestControl=True),
    )


def registered(session: Session, path: str, name: str) -> Any:
    """The VM whose .vmx lies at a datastore path: that names it for good, as no id of a host does."""
    datacenter = session.managed(vim.Datacenter, DATACENTER)
    vm = session.content.searchIndex.FindByDatastorePath(datacenter, path)
    if vm is None:
        raise HostFault(
            f"the VM {name} ({path}) is not there any more", where=session.where, advice="Run again; see what is left"
        )
    return vm


def power_on(session: Session, path: str, name: str, *, seconds: float, progress: Progress) -> None:
    """Switch the VM of a .vmx on. Whether it was moved or copied, it is asked on another host: it was moved."""
    vm = registered(session, path, name)
    answered = set()

    def answer(question: Any) -> None:
        moved = moved_choice(question)
        if moved is not None and question.id not in answered:
            answered.add(question.id)
            vm.AnswerVM(question.id, moved)
        elif moved is None:
            progress(f"the VM asks: {question.text}")

    watch = Watch(vm, "runtime.question", answer)
    task = vm.PowerOnVM_Task()
    try:
        wait_for(session, task, f"switching the VM {name} on", seconds=seconds, progress=progress, watch=watch)
    except DeadlinePassed as error:
        if question := vm.runtime.question:
            raise asks(session.where, name, question) from error
        raise
    except HostFault as error:
        # It is on: the host started it itself since it was looked at.
        if isinstance(error.__cause__, vim.fault.InvalidPowerState):
            return
        # A run that switched it on was ended while it asked: that start goes on once it is answered.
        if isinstance(error.__cause__, vim.fault.InvalidState) and (question := vm.runtime.question):
            if moved_choice(question) is None:
                raise asks(session.where, name, question) from error
            answer(question)
        if not answered:
            raise
        await_on(session, vm, name, seconds, progress)


def await_on(session: Session, vm: Any, name: str, seconds: float, progress: Progress) -> None:
    """Wait until a VM is on that somebody else switches on. Raises DeadlinePassed, Interrupted, HostFault if it asks.

    `progress` gets how it is meanwhile.
    """
    end = time.monotonic() + seconds
    while (state := vm.runtime.powerState) != "poweredOn":
        progress(f"its question was answered; {state}")
        if session.stop.wait(AWAIT_SECONDS):
            raise Interrupted(
                f"interrupted, and the host goes on with switching {name} on by itself",
                where=session.where,
                advice="Run again; it goes on where it stopped",
            )
        if time.monotonic() > end:
            if question := vm.runtime.question:
                raise asks(session.where, name, question)
            raise DeadlinePassed(
                f"the VM {name} is not on after {seconds:g} s, though its question was answered",
                where=session.where,
                advice="Look at it in the host's web page, and run again",
            )


def asks(where: str, name: str, question: Any) -> HostFault:
    """What is told of a VM that asks something else than whether it was moved: that is for a person to answer."""
    return HostFault(
        f"the VM {name} asks before it comes on: {question.text}",
        where=where,
        advice="Answer it in the host's web page, or with vim-cmd vmsvc/message; then run again",
    )


def moved_choice(question: Any) -> str | None:
    """The answer that a VM was moved, where it asks whether it was moved or copied; None to any other question."""
    moved = [choice.key for choice in question.choice.choiceInfo if "moved" in (choice.label or "").lower()]
    return str(moved[0]) if question.text.startswith(MOVED_OR_COPIED) and moved else None


def console_picture(session: Session, path: str, name: str, *, seconds: float, progress: Progress) -> str:
    """Have the host lay a picture of the console of the VM of a .vmx, which is on, on a datastore; its path there."""
    task = registered(session, path, name).CreateScreenshot_Task()
    return str(wait_for(session, task, f"a picture of the console of {name}", seconds=seconds, progress=progress))


def register_vm(session: Session, path: str, name: str, *, seconds: float, progress: Progress) -> None:
    """Take the VM of a .vmx that lies on a datastore into the inventory."""
    folder, pool = session.managed(vim.Folder, "ha-folder-vm"), session.managed(vim.ResourcePool, "ha-root-pool")
    task = folder.RegisterVM_Task(path=path, name=name, asTemplate=False, pool=pool)
    wait_for(session, task, f"registering the VM {name} ({path})", seconds=seconds, progress=progress)


def detach_image(session: Session, path: str, name: str, image: str, *, seconds: float, progress: Progress) -> None:
    """Take one image out of the CD-ROM drives of the VM of a .vmx; any other image stays where it is.

    The drive stays too: an IDE drive cannot be removed from a running VM.
    """
    vm = registered(session, path, name)
    device = vim.vm.device
    changes = []
    for drive in image_drives(vm.config.hardware.device, image):
        drive.backing = device.VirtualCdrom.RemotePassthroughBackingInfo(deviceName="", exclusive=False)
        drive.connectable = device.VirtualDevice.ConnectInfo(
            startConnected=False, connected=False, allowGuestControl=True
        )
        changes.append(device.VirtualDeviceSpec(operation="edit", device=drive))
    if changes:
        task = vm.ReconfigVM_Task(vim.vm.ConfigSpec(deviceChange=changes))
        wait_for(session, task, f"taking {image} out of {name}", seconds=seconds, progress=progress)


def clear_settings(
    session: Session, path: str, name: str, keys: Collection[str], *, seconds: float, progress: Progress
) -> None:
    """Take keys out of the extraConfig of the VM of a .vmx: an empty value does (vim.vm.ConfigSpec, extraConfig)."""
    gone = [vim.option.OptionValue(key=key, value="") for key in keys]
    task = registered(session, path, name).ReconfigVM_Task(vim.vm.ConfigSpec(extraConfig=gone))
    wait_for(session, task, f"taking the seed out of {name}", seconds=seconds, progress=progress)


def reconfigure_vm(session: Session, path: str, name: str, edit: VmEdit, *, seconds: float, progress: Progress) -> None:
    """Give the VM of a .vmx other CPUs, memory, or one of its NICs another port group."""
    vm = registered(session, path, name)
    device = vim.vm.device
    changes = []
    if edit.network is not None:
        mac, network = edit.network
        nic = nic_of(session, vm, name, mac)
        nic.backing = device.VirtualEthernetCard.NetworkBackingInfo(deviceName=network)
        changes.append(device.VirtualDeviceSpec(operation="edit", device=nic))
    task = vm.ReconfigVM_Task(vim.vm.ConfigSpec(numCPUs=edit.cpus, memoryMB=edit.memory_mib, deviceChange=changes))
    wait_for(session, task, f"changing the VM {name}", seconds=seconds, progress=progress)


def nic_of(session: Session, vm: Any, name: str, mac: str) -> Any:
    """The one NIC of a VM with a MAC. Raises Refused when there is none, or more than one."""
    cards = [one for one in vm.config.hardware.device if isinstance(one, vim.vm.device.VirtualEthernetCard)]
    found = [card for card in cards if (card.macAddress or "").lower() == mac.lower()]
    if len(found) != 1:
        raise Refused(
            f"{name} has {len(found)} NICs with the MAC {mac} by now, so none is changed",
            where=session.where,
            advice="Somebody changed it since the plan was made; run again and look at the new plan",
        )
    return found[0]


def ask_to_shut_down(session: Session, path: str, name: str) -> bool:
    """Ask the guest of the VM of a .vmx to shut itself down; whether it heard: without VMware Tools none does."""
    try:
        registered(session, path, name).ShutdownGuest()
    except vim.fault.ToolsUnavailable:
        return False
    except vim.fault.InvalidPowerState:
        return True  # it is off
    return True


def is_on(session: Session, path: str, name: str) -> bool:
    """Whether the VM of a .vmx is on."""
    return bool(registered(session, path, name).runtime.powerState != "poweredOff")


def power_off(session: Session, path: str, name: str, *, seconds: float, progress: Progress) -> None:
    """Pull the plug of the VM of a .vmx; nothing happens when it is off."""
    task = registered(session, path, name).PowerOffVM_Task()
    try:
        wait_for(session, task, f"switching the VM {name} off", seconds=seconds, progress=progress)
    except HostFault as error:
        if not isinstance(error.__cause__, vim.fault.InvalidPowerState):
            raise


def unregister_vm(session: Session, path: str, name: str, instance_uuid: str, *, autostart: bool = False) -> None:
    """Take the VM of a .vmx out of the inventory; its files stay. Nothing happens when it is not there.

    With `autostart` it is taken out of the VMs that start with the host before.

    Raises Refused when another VM than the one of that instance UUID lies there by now.
    """
    vm = surely_registered(session, path, name, instance_uuid)
    if vm is not None and autostart:
        end_autostart(session, vm)
    if vm is not None:
        vm.UnregisterVM()


def surely_registered(session: Session, path: str, name: str, instance_uuid: str) -> Any:
    """The VM of a .vmx, None when it is not there; Refused when it is not the one of that instance UUID."""
    vm = session.content.searchIndex.FindByDatastorePath(session.managed(vim.Datacenter, DATACENTER), path)
    if vm is None:
        return None
    config = vm.config
    found = config.instanceUuid if config else ""
    if found != instance_uuid:
        raise Refused(
            f"{path} is another VM by now: its instance UUID is {found or 'not known'}, not {instance_uuid}",
            where=session.where,
            advice=f"Look at {name} in the host's web page, and run again",
        )
    return vm


def check_not_registered(session: Session, path: str) -> None:
    """Refused when a file that is about to be deleted is the .vmx of a VM that the host has."""
    if not path.endswith(".vmx"):
        return
    vm = session.content.searchIndex.FindByDatastorePath(session.managed(vim.Datacenter, DATACENTER), path)
    if vm is not None:
        raise Refused(
            f"{path} is not deleted: it is a VM of this host by now",
            where=session.where,
            advice="Somebody registered it; run again and look at the new plan",
        )


def networks(session: Session) -> tuple[str, ...]:
    """The port groups that a VM of the host can be plugged into."""
    info = session.managers.networkSystem.networkInfo
    taken = {nic.portgroup for nic in info.vnic or []}
    return tuple(group.spec.name for group in info.portgroup or [] if group.spec.name not in taken)
