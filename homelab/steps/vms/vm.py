"""Step `vm`: every VM of the inventory exists, with its own disk and a seed, and is switched on. Pure vSphere."""

import hashlib
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from homelab.engine.step import Blocked, Node, Planned, Step
from homelab.errors import Refused
from homelab.formats.guest.cloud_init import first_boot
from homelab.lab import Lab, Vm, Wanted
from homelab.ports.vsphere import HostLook, VmLook
from homelab.ports.vsphere.folders import delete_file
from homelab.ports.vsphere.storage import small_file
from homelab.ports.vsphere.vms import vmx_path
from homelab.ports.world import World
from homelab.steps.vms.image import image_datastore, image_path
from homelab.steps.vms.vm_changes import CreateVm, DestroyVm, Hardware, PowerOnVm, ReconfigureVm, RemoveNote, ShutDownVm
from homelab.steps.vms.vm_create import create
from homelab.steps.vms.vm_destroy import destroy
from homelab.steps.vms.vm_drift import left_as_it_is, reconfigured
from homelab.steps.vms.vm_ends import destroyed, in_doubt, of_somebody_else, remains_destroyed, switched_off
from homelab.steps.vms.vm_folder import NOTE, FolderLook, Making, is_ours, leftovers
from homelab.steps.vms.vm_power import reconfigure, shut_down, switch_on

TASK_SECONDS = 300.0
# The namespace of our VMs' instance UUIDs.
INSTANCES = uuid.UUID("6f1c53a8-6a5e-4c8f-9d5b-2f6a0c5d7e11")


@dataclass(frozen=True)
class VmState:
    """Where the VM is, if a host that answers has it; `resting` when its host is in maintenance mode.

    `note` is what the note beside a VM holds that may have one. The rest tells of a VM that was not found: what its
    folder holds, which hosts cannot be asked, which VMs cannot be read (`NAME on HOST`), which other VM has its name on
    its host, and how its address answers while a host is silent.
    """

    host: str | None
    vm: VmLook | None
    resting: bool = False
    note: bytes | None = None
    folder: FolderLook | None = None
    silent: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()
    namesake: str | None = None
    answer: str | None = None


def placement(lab: Lab) -> Mapping[str, str]:
    """VM -> host: the inventory's choice, else spread so that peers do not share a host while there are enough."""
    hosts = [host.name for host in lab.esxi]
    placed: dict[str, str] = {vm.name: vm.host for vm in lab.vms if vm.host}
    for peers in (lab.control_plane, lab.load_balancers, lab.workers):
        for vm in peers:
            if vm.name in placed or not hosts:
                continue
            with_peers = Counter(placed[peer.name] for peer in peers if peer.name in placed)
            in_all = Counter(placed.values())
            placed[vm.name] = min(hosts, key=lambda h: (with_peers[h], in_all[h], hosts.index(h)))
    return placed


def mac_of(lab: Lab, vm: Vm) -> str:
    """The VM's MAC: the inventory's, else one of VMware's range for manual addresses, always the same for this VM."""
    if vm.mac:
        return vm.mac
    digest = hashlib.sha256(f"{lab.name}/{vm.name}".encode()).digest()
    return f"00:50:56:{digest[0] & 0x3F:02x}:{digest[1]:02x}:{digest[2]:02x}"


def making_of(lab: Lab, vm: Vm) -> Making:
    """How the lab makes a VM: always with the same instance UUID."""
    datastore = lab.datastore_of(vm)
    return Making(lab.name, vm.name, str(uuid.uuid5(INSTANCES, f"{lab.name}/{vm.name}")), datastore)


Changes = CreateVm | PowerOnVm | ReconfigureVm | ShutDownVm | DestroyVm | RemoveNote


class VmStep(Step[VmState, Changes]):
    """One node for each VM that is ours to make; `in_order` switches balancers on first, and off last."""

    name = "vm"

    def __init__(self, *, in_order: bool = False) -> None:
        self.in_order = in_order

    def targets(self, lab: Lab) -> Sequence[str]:
        """Every managed VM, when there is a host to put it on."""
        return [vm.name for vm in lab.vms if vm.managed] if lab.esxi else []

    def after(self, lab: Lab, target: str) -> Sequence[Node]:
        """Its own host is ready, and the image is there; nothing, for a VM that is to go."""
        if lab.vm(target).wanted == "absent":
            return []
        host = placement(lab)[target]
        return [Node("reboot", host), Node("nfs-datastore", host), *(Node("image", nas.name) for nas in lab.nfs)]

    def settled(self, lab: Lab, target: str) -> Sequence[Node]:
        """In order: balancers, control planes, workers are switched on, and the other way round switched off."""
        if not self.in_order:
            return []
        groups = (lab.load_balancers, lab.control_plane, lab.workers)
        own = next(n for n, group in enumerate(groups) if any(vm.name == target for vm in group))
        before = groups[:own] if lab.vm(target).wanted == "on" else groups[own + 1 :]
        return [Node("vm", vm.name) for group in before for vm in group]

    def observe(self, world: World, lab: Lab, target: str) -> VmState:
        """Look for our mark on every host that answers, and where it is on none for what else tells of the VM."""
        found, wanted = world.vm(target), lab.vm(target).wanted
        if found is None:
            return _look_around(world, lab, target)
        host, vm = found
        making = _made(lab, vm, target)
        if wanted != "on":
            absent = making is not None and wanted == "absent"
            looks = world.reachable_hosts() if absent else {}
            folder = _look_into(world, host, making, looks, but=(host, vm.path)) if making and absent else None
            return VmState(host, vm, world.host(host).in_maintenance, folder=folder)
        # Only between its creation and the end of its first boot a VM can have the note of an interrupted run.
        fresh = making and (vm.seed or not vm.powered_on)
        note = world.reader(host).small_file(making.datastore, f"{target}/{NOTE}") if making and fresh else None
        return VmState(host, vm, world.host(host).in_maintenance, note)

    def plan(self, lab: Lab, target: str, observed: VmState) -> Sequence[Planned[Changes]]:
        """Create and switch on what is missing; a host that its owner put into maintenance mode is left in peace.

        Shut down what is wanted off, and destroy what is wanted absent.
        """
        if lab.vm(target).wanted != "on":
            return _plan_end(lab, target, observed)
        if observed.resting and not (observed.vm and observed.vm.powered_on):
            host = observed.host or placement(lab)[target]
            raise Refused(
                f"{host} is in maintenance mode, so {target} cannot run there",
                where=target,
                advice=f"When you are done with {host}: esxcli system maintenanceMode set --enable=false; run again",
            )
        if observed.vm is None or observed.host is None:
            return _plan_new(lab, target, observed)
        changes: list[Planned[Changes]] = []
        making = _made(lab, observed.vm, target)
        if making and is_ours(making, observed.note):
            changes.append(RemoveNote(target, observed.host, making, f"{target}/{NOTE}"))
        changes.extend(reconfigured(lab.vm(target), observed.host, observed.vm))
        if not observed.vm.powered_on:
            changes.append(PowerOnVm(target, observed.host, observed.vm.path))
        return changes

    def remarks(self, lab: Lab, target: str, observed: VmState) -> Sequence[str]:
        """How it differs from the inventory, where that is not changed just now."""
        vm = lab.vm(target)
        return left_as_it_is(vm, observed.vm) if observed.vm and vm.wanted == "on" else []

    def apply(self, world: World, change: Changes) -> None:
        """Create, switch on or off, destroy, or take the note of an interrupted run away."""
        if isinstance(change, CreateVm):
            create(world, change)
        elif isinstance(change, ShutDownVm):
            shut_down(world, change)
        elif isinstance(change, DestroyVm):
            destroy(world, change)
        elif isinstance(change, ReconfigureVm):
            reconfigure(world, change)
        elif isinstance(change, PowerOnVm):
            switch_on(world, change)
        else:
            _remove_note(world, change)


def _made(lab: Lab, vm: VmLook, target: str) -> Making | None:
    """How a VM that exists was made; None when it does not lie where we make VMs."""
    datastore = vm.path.removeprefix("[").partition("]")[0]
    if vm.path != vmx_path(datastore, target):
        return None
    return Making(lab.name, target, vm.instance_uuid, datastore)


def _look_around(world: World, lab: Lab, target: str) -> VmState:
    """What tells of a VM that no host has which answers. Raises when the very host it belongs on does not."""
    host, making = placement(lab)[target], making_of(lab, lab.vm(target))
    own, looks = world.host(host), world.reachable_hosts()
    silent, wanted = world.silent_hosts, lab.vm(target).wanted
    return VmState(
        None,
        None,
        own.in_maintenance,
        folder=_look_for_files(world, host, making, looks, wanted) if own.directory_of(making.datastore) else None,
        silent=silent,
        unread=tuple(f"{vm.name} on {name}" for name, look in looks.items() for vm in look.vms if vm.may_be(target)),
        namesake=next((vm.path for vm in own.vms if vm.name == target and vm.readable), None),
        answer=world.lan.somebody_at(str(lab.vm(target).address)) if silent and wanted == "on" else None,
    )


def _look_for_files(
    world: World, host: str, making: Making, looks: Mapping[str, HostLook], wanted: Wanted
) -> FolderLook | None:
    """The folder of a VM that no host has; its .vmx too, where that is to tell whether the VM was ours."""
    found = _look_into(world, host, making, looks) if wanted != "off" else None
    if found is None or wanted != "absent" or making.vmx not in found.files:
        return found
    return replace(found, vmx=world.reader(host).small_file(making.datastore, f"{making.vm}/{making.vmx}"))


def _look_into(
    world: World, host: str, making: Making, looks: Mapping[str, HostLook], but: tuple[str, str] | None = None
) -> FolderLook | None:
    """The VM's folder, and which VMs use it beside `but`, which is HOST and the path of a .vmx."""
    found = world.reader(host).folder(making.datastore, making.vm)
    if found is None:
        return None
    note = world.reader(host).small_file(making.datastore, f"{making.vm}/{NOTE}") if NOTE in found.files else None
    # A local datastore of another host may have the same name.
    sharing = {name: look for name, look in looks.items() if name == host or look.nas_named(making.datastore)}
    users = (
        f"{vm.name} on {name}"
        for name, look in sharing.items()
        for vm in look.vms
        if vm.uses_folder(making.place) and (name, vm.path) != but
    )
    return FolderLook(found.files, found.folders, note, tuple(users))


def _plan_end(lab: Lab, target: str, observed: VmState) -> Sequence[Planned[Changes]]:
    vm, making = lab.vm(target), making_of(lab, lab.vm(target))
    if observed.vm and observed.host:
        if vm.wanted == "off":
            return switched_off(vm, observed.host, observed.vm)
        return destroyed(vm, observed.host, observed.vm, _made(lab, observed.vm, target), observed.folder)
    if doubt := in_doubt(vm, observed.silent, observed.unread):
        return doubt
    host = placement(lab)[target]
    if vm.wanted == "off":
        return []
    if observed.namesake:
        raise of_somebody_else(vm, host, making, observed.namesake)
    return remains_destroyed(vm, host, making, observed.folder)


def _plan_new(lab: Lab, target: str, observed: VmState) -> Sequence[Planned[Changes]]:
    """Create a VM, once it is sure that no host has it: two control planes with one address are worse than none."""
    vm, host = lab.vm(target), placement(lab)[target]
    making = making_of(lab, vm)
    if doubt := _doubt(lab, target, making, observed):
        return [Blocked(target, doubt)]
    if observed.namesake:
        raise Refused(
            f"{host} has another VM of the name {target} already, which is not of this lab: {observed.namesake}",
            where=host,
            advice="Give one of the two another name",
        )
    create = CreateVm(
        target,
        host=host,
        making=making,
        image=f"[{image_datastore(lab, making.datastore)}] {image_path(lab)}",
        image_sha256=lab.image.sha256,
        hardware=Hardware(vm.cpus, vm.memory_mib, vm.disk_gib, vm.network, mac_of(lab, vm)),
        boot=first_boot(lab, vm, mac_of(lab, vm)),
        leftovers=leftovers(making, observed.folder),
    )
    return [create, PowerOnVm(target, host, vmx_path(making.datastore, target))]


def _doubt(lab: Lab, target: str, making: Making, observed: VmState) -> str | None:
    """What must come first, while a VM that was not found may be there all the same.

    On the shared datastore the folder tells: a VM's files lie there whichever host has it. A local one hides it.
    """
    if observed.unread:
        return f"the files of {', '.join(observed.unread)} can be read again: that may be {target}"
    shared = making.datastore in [nas.datastore for nas in lab.nfs]
    if observed.silent and (observed.answer or not shared):
        seen = f", and somebody has its address ({observed.answer})" if observed.answer else ""
        return f"{' and '.join(observed.silent)} can be asked: no other host has {target}{seen}"
    return None


def _remove_note(world: World, change: RemoveNote) -> None:
    progress = world.progress(f"the note beside {change.target} is gone", TASK_SECONDS)
    with world.session(change.host) as session:
        if is_ours(change.making, small_file(session, change.making.datastore, change.path)):
            delete_file(session, change.making.datastore, change.path, seconds=TASK_SECONDS, progress=progress)
