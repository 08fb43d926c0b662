"""What a look tells of a VM of ours: where it is, and where it is nowhere what else tells of it. Reads only."""

from dataclasses import dataclass, field, replace

from homelab.lab import Lab, Wanted
from homelab.ports.vsphere import VmLook
from homelab.ports.vsphere.vms import vmx_path
from homelab.ports.world import World
from homelab.steps.vms.allowed import Allowed
from homelab.steps.vms.chosen import seen_and_chosen
from homelab.steps.vms.placement import Chosen, Rooms, places
from homelab.steps.vms.sitters import Sitters, sitters_at
from homelab.steps.vms.vm_again import AgainLook, look_again
from homelab.steps.vms.vm_autostart import HostStarts, starts_of
from homelab.steps.vms.vm_drift import grows
from homelab.steps.vms.vm_folder import NOTE, FolderLook, Making
from homelab.steps.vms.vm_identity import making_of


@dataclass(frozen=True)
class VmState:
    """Where the VM is, if a host that answers has it; `resting` when its host is in maintenance mode.

    `note` is what the note beside a VM holds that may have one, `sitters` who uses a disk that is to grow, `again` what
    a VM needs that is to be made anew after it was destroyed. The rest tells of a VM that was not found: what its
    folder holds, which hosts cannot be asked, which VMs cannot be read (`NAME on HOST`), which other VM has its name on
    its host, how its address answers while a host is silent, what the hosts have for VMs (`rooms`), and where this run
    makes which (`chosen`). `starts` tells which VMs start with the host that has it, or that it belongs on, `allowed`
    what its licence allows.
    """

    host: str | None
    vm: VmLook | None
    resting: bool = False
    note: bytes | None = None
    sitters: Sitters | None = None
    again: AgainLook | None = None
    starts: HostStarts | None = None
    folder: FolderLook | None = None
    silent: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()
    namesake: str | None = None
    answer: str | None = None
    allowed: Allowed = field(default_factory=Allowed)
    rooms: Rooms = field(default_factory=dict)
    chosen: Chosen = field(default_factory=dict)


def vm_state(world: World, lab: Lab, target: str, *, anew: bool = False) -> VmState:
    """Look for our mark on every host that answers, and where it is on none for what else tells of the VM."""
    wanted = lab.vm(target).wanted
    if wanted == "absent":
        world.reachable_hosts()  # each is asked who sits on its disk, so all at once
    found = world.vm(target)
    if found is None:
        state = _look_around(world, lab, target)
    elif wanted == "on":
        state = _look_at(world, lab, target, *found)
    else:
        state = _look_at_its_end(world, lab, target, *found)
    host = found[0] if found else places(lab, state.rooms, state.chosen)[target].host
    state = replace(state, starts=starts_of(lab, host, world.host(host)))
    return replace(state, again=look_again(world, lab, target)) if anew and wanted == "absent" else state


def made(lab: Lab, vm: VmLook, target: str) -> Making | None:
    """How a VM that exists was made; None when it does not lie where we make VMs."""
    datastore, name = vm.path.removeprefix("[").partition("]")[0], lab.vm(target).short_name
    if vm.path != vmx_path(datastore, name):
        return None
    return Making(lab.name, name, vm.instance_uuid, datastore)


def _look_at(world: World, lab: Lab, target: str, host: str, vm: VmLook) -> VmState:
    """A VM that is to stay."""
    making = made(lab, vm, target)
    # Only between its creation and the end of its first boot a VM can have the note of an interrupted run.
    fresh = making and (vm.seeded or not vm.powered_on)
    note = world.reader(host).small_file(making.datastore, f"{making.vm}/{NOTE}") if making and fresh else None
    growing = making and not vm.powered_on and grows(lab.vm(target), vm)
    sitters = sitters_at(world, host, making.datastore, making.vm, (host, vm.path)) if making and growing else None
    own = world.host(host)
    return VmState(host, vm, own.in_maintenance, note, sitters, allowed=Allowed.at(own))


def _look_at_its_end(world: World, lab: Lab, target: str, host: str, vm: VmLook) -> VmState:
    """A VM that is wanted off, or absent."""
    making = made(lab, vm, target)
    absent = making is not None and lab.vm(target).wanted == "absent"
    folder = _look_into(world, host, making, but=(host, vm.path)) if making and absent else None
    return VmState(host, vm, world.host(host).in_maintenance, folder=folder)


def _look_around(world: World, lab: Lab, target: str) -> VmState:
    """What tells of a VM that no host has which answers. Raises when the very host it belongs on does not."""
    (rooms, chosen), making = seen_and_chosen(world, lab), making_of(lab, lab.vm(target))
    host = places(lab, rooms, chosen)[target].host
    own, looks = world.host(host), world.reachable_hosts()
    silent, wanted = world.silent_hosts, lab.vm(target).wanted
    return VmState(
        None,
        None,
        own.in_maintenance,
        folder=_look_for_files(world, host, making, wanted) if own.directory_of(making.datastore) else None,
        silent=silent,
        unread=tuple(f"{vm.name} on {name}" for name, look in looks.items() for vm in look.vms if vm.may_be(making.vm)),
        namesake=next((vm.path for vm in own.vms if vm.name == making.vm and vm.readable), None),
        answer=world.lan.somebody_at(str(lab.vm(target).address)) if silent and wanted == "on" else None,
        allowed=Allowed.at(own),
        rooms=rooms,
        chosen=chosen,
    )


def _look_for_files(world: World, host: str, making: Making, wanted: Wanted) -> FolderLook | None:
    """The folder of a VM that no host has; its .vmx too, where that is to tell whether the VM was ours."""
    found = _look_into(world, host, making) if wanted != "off" else None
    if found is None or wanted != "absent" or making.vmx not in found.files:
        return found
    return replace(found, vmx=world.reader(host).small_file(making.datastore, f"{making.vm}/{making.vmx}"))


def _look_into(world: World, host: str, making: Making, but: tuple[str, str] | None = None) -> FolderLook | None:
    """The VM's folder, and which VMs use it beside `but`, which is HOST and the path of a .vmx."""
    found = world.reader(host).folder(making.datastore, making.vm)
    if found is None:
        return None
    note = world.reader(host).small_file(making.datastore, f"{making.vm}/{NOTE}") if NOTE in found.files else None
    sitters = sitters_at(world, host, making.datastore, making.vm, but)
    return FolderLook(found.files, found.folders, note, sitters.users, sitters.doubt)
