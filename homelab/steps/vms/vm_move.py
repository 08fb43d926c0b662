"""Step `vm-move`: a VM is on the host that it was asked to, by a cold move over the datastore that both hosts have.

Its files stay where they are. Nothing moves by itself: only the command `vm move` has this step.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from homelab.engine.step import Blocked, Change, Planned, Step, Words
from homelab.errors import HomelabError, Interrupted, Refused
from homelab.lab import Lab, short_name
from homelab.ports.vm_writer import VmWriter
from homelab.ports.vsphere import HostLook, VmLook
from homelab.ports.vsphere.autostart import Autostart
from homelab.ports.world import World
from homelab.steps.vms.vm_autostart import autostart_of, place_of, starts_of, taken_along
from homelab.steps.vms.vm_changes import ShutDownVm, started_by
from homelab.steps.vms.vm_ends import SHUT_DOWN_SECONDS, in_doubt
from homelab.steps.vms.vm_files import is_vmx_of
from homelab.steps.vms.vm_folder import Making
from homelab.steps.vms.vm_identity import making_of
from homelab.steps.vms.vm_power import shut_down

TASK_SECONDS = 300.0


@dataclass(frozen=True)
class MoveVm(Change):
    """Register the VM of a .vmx on another host; it is off meanwhile, and on again when it was `running`.

    `source` is None when no host has it: an earlier run was interrupted. `autostart` is how it starts with the other
    host, `back` how it started with its own, and does again when it goes back.
    """

    disruptive = True

    source: str | None
    destination: str
    path: str
    instance_uuid: str
    running: bool
    autostart: Autostart | None = None
    back: Autostart | None = None

    def _words(self) -> Words:
        return Words(
            sentence=self._sentence,
            reason="it was asked for" if self.source else "an earlier move was interrupted: no host has it",
            undo=f"homelab vm move {self.target} {self.source or 'HOST'}",
            before=self.source or "registered nowhere",
            after=self.destination,
        )

    @property
    def _sentence(self) -> str:
        there = f"register {self.path} on {self.destination}"
        starts = started_by(self.destination, self.autostart)
        if self.source is None:
            return f"{there} and switch the VM {self.target} on, for nobody knows whether it was{starts}"
        off, on = ("shut it down, ", ", switch it on again") if self.running else ("", "")
        return f"move the VM {self.target} from {self.source} to {self.destination}: {off}{there}{on}{starts}"


@dataclass(frozen=True)
class VmMoveState:
    """Where the VM is, what its host and the other one look like.

    Where no host has it, `left` is the making whose .vmx lies in its folder, and `silent` and `unread` tell what may
    have it all the same.
    """

    there: HostLook
    host: str | None = None
    here: HostLook | None = None
    vm: VmLook | None = None
    left: Making | None = None
    silent: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()


class MoveVms(Step[VmMoveState, MoveVm]):
    """One node for each VM that is ours to make."""

    name = "vm-move"

    def __init__(self, destination: str) -> None:
        self.destination = destination

    def targets(self, lab: Lab) -> Sequence[str]:
        """Every managed VM."""
        return [vm.name for vm in lab.vms if vm.managed]

    def observe(self, world: World, lab: Lab, target: str) -> VmMoveState:
        """Look for our mark on every host that answers; where none has the VM, look at what lies in its folder."""
        there, found = world.host(self.destination), world.vm(target)
        if found:
            host, vm = found
            return VmMoveState(there, host, world.host(host), vm)
        looks = world.reachable_hosts().items()
        return VmMoveState(
            there,
            left=_left(world, self.destination, there, making_of(lab, lab.vm(target))),
            silent=world.silent_hosts,
            unread=tuple(
                f"{vm.name} on {name}" for name, look in looks for vm in look.vms if vm.may_be(short_name(target))
            ),
        )

    def plan(self, lab: Lab, target: str, observed: VmMoveState) -> Sequence[Planned[MoveVm]]:
        """Move it, once nothing keeps the other host from having it. Raises Refused with all that does."""
        if observed.host == self.destination:
            return []
        if observed.vm is None:
            return self._plan_interrupted(lab, target, observed)
        assert observed.host and observed.here
        vm, here = observed.vm, observed.here
        plugged = [nic.network for nic in vm.nics if nic.network]
        problems = _problems_there(self.destination, observed.there, vm.name, vm.memory_mib, plugged)
        self._check(target, [*problems, *_problems_of_files(self.destination, here, observed.there, vm)])
        starts, ahead = starts_of(lab, observed.host, here), starts_of(lab, self.destination, observed.there)
        change = MoveVm(target, observed.host, self.destination, vm.path, vm.instance_uuid, vm.powered_on)
        along = taken_along(lab, lab.vm(target), vm.path, starts, ahead)
        return [replace(change, autostart=along, back=place_of(vm.path, starts))]

    def _check(self, target: str, problems: Sequence[str]) -> None:
        if problems:
            raise Refused(
                f"{target} is not moved to {self.destination}: {'; '.join(problems)}",
                where=target,
                advice="Put that right, and run again",
            )

    def _plan_interrupted(self, lab: Lab, target: str, observed: VmMoveState) -> Sequence[Planned[MoveVm]]:
        if doubt := in_doubt(lab.vm(target), observed.silent, observed.unread):
            return [item for item in doubt if isinstance(item, Blocked)]
        if observed.left is None:
            raise Refused(
                f"no host has the VM {target}, and no .vmx of it lies on a datastore of {self.destination}",
                where=target,
                advice=f"Make it: homelab vm create {target}",
            )
        vm, making = lab.vm(target), observed.left
        problems = _problems_there(self.destination, observed.there, making.vm, vm.memory_mib, [vm.network])
        self._check(target, problems)
        autostart = autostart_of(lab, vm, starts_of(lab, self.destination, observed.there))
        path = f"{making.place}/{making.vmx}"
        return [MoveVm(target, None, self.destination, path, making.instance_uuid, running=True, autostart=autostart)]

    def remarks(self, lab: Lab, target: str, observed: VmMoveState) -> Sequence[str]:
        """That it is off, where it is already; and what a rebuild would do."""
        said = []
        if observed.vm and observed.host == self.destination and not observed.vm.powered_on:
            said.append(f"{target} is on {self.destination} and off; homelab up -l {target} switches it on")
        if (wanted := lab.vm(target).host) and wanted != self.destination:
            said.append(f"the inventory says vm_host: {wanted}; homelab vm rebuild {target} would make it there")
        return said

    def apply(self, world: World, change: MoveVm) -> None:
        """Shut down, unregister, register, switch on; back to the old place when the new one does not take it."""
        move(world, change)


def move(world: World, change: MoveVm) -> None:
    """Both hosts are logged in at before the VM is touched."""
    with world.vm_writer(change.destination) as there:
        if change.source is None:
            _arrive(world, there, change)
        else:
            _leave_and_arrive(world, there, change, change.source)
        if change.autostart:
            _have_it_start(world, there, change, change.autostart)
    world.remember_vm(change.target, change.destination)
    world.forget(change.target)


def _have_it_start(world: World, there: VmWriter, change: MoveVm, wanted: Autostart) -> None:
    try:
        with world.starts.place(change.destination, change.path, wanted) as autostart:
            there.set_autostart(change.path, change.target, autostart)
    except HomelabError as error:
        raise HomelabError(
            f"{change.target} is moved to {change.destination}, and does not start with it: {error.what}",
            where=error.where,
            advice=f"homelab bootstrap --only vm -l {change.target} sets that",
        ) from error


def _leave_and_arrive(world: World, there: VmWriter, change: MoveVm, source: str) -> None:
    with world.vm_writer(source) as here:
        if change.running:
            shut_down(world, ShutDownVm(change.target, source, change.path, SHUT_DOWN_SECONDS))
        left = False
        try:
            here.unregister(change.path, change.target, change.instance_uuid, autostart=change.back is not None)
            left = True
            _arrive(world, there, change)
        except Interrupted:
            raise
        except HomelabError as error:
            _go_back(world, here, there if left else None, change, error)


def _arrive(world: World, writer: VmWriter, change: MoveVm) -> None:
    progress = world.progress(f"{change.target} is on {writer.host}", TASK_SECONDS)
    writer.register(change.path, short_name(change.target), seconds=TASK_SECONDS, progress=progress)
    _switch_on(world, writer, change)


def _switch_on(world: World, writer: VmWriter, change: MoveVm) -> None:
    progress = world.progress(f"{change.target} is switched on at {writer.host}", TASK_SECONDS)
    if change.running:
        writer.power_on(change.path, change.target, seconds=TASK_SECONDS, progress=progress)


def _go_back(world: World, here: VmWriter, there: VmWriter | None, change: MoveVm, error: HomelabError) -> None:
    """Raises the error, with where the VM is now; without `there` it has not left its host, and is only off."""
    world.run.log(f"{change.target} goes back to {change.source}: {error.what}")
    try:
        if there:
            there.unregister(change.path, change.target, change.instance_uuid)
            _arrive(world, here, change)
        else:
            _switch_on(world, here, change)
        if change.back:
            here.set_autostart(change.path, change.target, change.back)
    except HomelabError as second:
        raise HomelabError(
            f"{change.target} could not be moved ({error.what}), and is not back on {change.source}: {second.what}",
            where=f"{change.destination}, {change.path}",
            advice=f"All its files are there. Register {change.path} on one of the two hosts, switch it on, and say "
            "that it was moved",
        ) from second
    raise HomelabError(
        f"{change.target} was not moved, and is back on {change.source}: {error.what}",
        where=error.where,
        advice=error.advice,
    ) from error


def _problems_there(
    destination: str, there: HostLook, name: str, memory_mib: int, networks: Sequence[str]
) -> list[str]:
    """All that keeps a host from having a VM of this name, memory and port groups."""
    problems = {
        f"{destination} is in maintenance mode": there.in_maintenance,
        f"{destination} has {there.memory >> 20} MiB of memory, and the VM has {memory_mib} MiB": (
            memory_mib > there.memory >> 20
        ),
        f"{destination} has another VM of the name {name}": any(one.name == name for one in there.vms),
    }
    problems |= {f"{destination} has no port group {one}": not there.network.port_group(one) for one in networks}
    return [what for what, true in problems.items() if true]


def _problems_of_files(destination: str, here: HostLook, there: HostLook, vm: VmLook) -> list[str]:
    """The datastores with files of the VM that the other host does not have."""
    stores = sorted({path.removeprefix("[").partition("]")[0] for path in (vm.path, *vm.files)})
    return [
        f"the datastore {store} is not the same one on {destination}"
        for store in stores
        if not _same(here, there, store)
    ]


def _same(here: HostLook, there: HostLook, datastore: str) -> bool:
    """Whether a datastore is one NFS volume that both hosts have under this name, and that answers the other one."""
    ours, theirs = here.nas_named(datastore), there.nas_named(datastore)
    return bool(ours and theirs and theirs.accessible and theirs.writable and ours.directory == theirs.directory)


def _left(world: World, host: str, look: HostLook, making: Making) -> Making | None:
    """The making of the VM whose .vmx lies in its folder, as this host sees it."""
    if look.directory_of(making.datastore) is None:
        return None
    text = world.reader(host).small_file(making.datastore, f"{making.vm}/{making.vmx}")
    return making if text is not None and is_vmx_of(making, text) else None
