"""Step `vm`: every VM of the inventory exists, with its own disk and a seed, and is switched on. Pure vSphere."""

from collections.abc import Sequence
from dataclasses import replace

from homelab.engine.step import Blocked, Node, Planned, Step
from homelab.errors import Refused
from homelab.formats.guest.cloud_init import first_boot
from homelab.lab import Lab
from homelab.ports.vsphere.vms import vmx_path
from homelab.ports.world import World
from homelab.steps.vms.allowed import check_cpus, check_linked
from homelab.steps.vms.bases import base_path
from homelab.steps.vms.image_paths import image_path
from homelab.steps.vms.placement import place_of, places
from homelab.steps.vms.vm_again import check_again
from homelab.steps.vms.vm_autostart import SetAutostart, autostart_of, have_it_start, leaving, left_off, started
from homelab.steps.vms.vm_changes import CreateVm, DestroyVm, Hardware, PowerOnVm, ReconfigureVm, RemoveNote, ShutDownVm
from homelab.steps.vms.vm_create import create
from homelab.steps.vms.vm_destroy import destroy
from homelab.steps.vms.vm_drift import left_as_it_is, reconfigured
from homelab.steps.vms.vm_ends import destroyed, in_doubt, of_somebody_else, remains_destroyed, switched_off
from homelab.steps.vms.vm_folder import NOTE, Making, is_ours, leftovers
from homelab.steps.vms.vm_identity import mac_of, making_of
from homelab.steps.vms.vm_power import reconfigure, shut_down, switch_on
from homelab.steps.vms.vm_seed import check_seed
from homelab.steps.vms.vm_state import VmState, made, vm_state

TASK_SECONDS = 300.0


Changes = CreateVm | PowerOnVm | ReconfigureVm | ShutDownVm | DestroyVm | RemoveNote | SetAutostart


class VmStep(Step[VmState, Changes]):
    """One node for each VM that is ours to make; `in_order` switches balancers on first, and off last.

    One that is wanted absent and then `anew` is destroyed only when it can be made again.
    """

    name = "vm"

    def __init__(self, *, in_order: bool = False, anew: bool = False) -> None:
        self.in_order, self.anew = in_order, anew

    def targets(self, lab: Lab) -> Sequence[str]:
        """Every managed VM, when there is a host to put it on."""
        return [vm.name for vm in lab.vms if vm.managed] if lab.esxi else []

    def after(self, lab: Lab, target: str) -> Sequence[Node]:
        """The shared image is there; one that is to go has left the cluster, where it is asked to."""
        vm = lab.vm(target)
        if vm.wanted == "absent":
            return [Node("leave", target)]
        return [] if lab.is_local(vm) else [Node("image", nas.name) for nas in lab.nfs]

    def perhaps(self, lab: Lab, target: str) -> Sequence[Node]:
        """Its host is ready: vm_host, or any, for which one has the VM or the most room, a look alone tells."""
        vm = lab.vm(target)
        hosts = [vm.host] if vm.host else [host.name for host in lab.hosts_for(vm)]
        return _ready(lab, target, hosts) if vm.wanted == "on" else []

    def needs(self, lab: Lab, target: str, observed: VmState) -> Sequence[Node]:
        """The host that has it is ready, or the one that it is made on; no other is waited for."""
        if lab.vm(target).wanted != "on":
            return []
        return _ready(lab, target, [observed.host or places(lab, observed.rooms, observed.chosen)[target].host])

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
        return vm_state(world, lab, target, anew=self.anew)

    def plan(self, lab: Lab, target: str, observed: VmState) -> Sequence[Planned[Changes]]:
        """Create and switch on what is missing; a host that its owner put into maintenance mode is left in peace.

        Shut down what is wanted off, and destroy what is wanted absent.
        """
        if lab.vm(target).wanted != "on":
            return _check_made_again(lab, target, observed, _plan_end(lab, target, observed))
        if observed.resting and not (observed.vm and observed.vm.powered_on):
            host = observed.host or places(lab, observed.rooms, observed.chosen)[target].host
            raise Refused(
                f"{host} is in maintenance mode, so {target} cannot run there",
                where=target,
                advice=f"When you are done with {host}: esxcli system maintenanceMode set --enable=false; run again",
            )
        if observed.vm is None or observed.host is None:
            return _plan_new(lab, target, observed)
        vm, allowed = lab.vm(target), observed.allowed
        if not observed.vm.powered_on:
            check_cpus(vm, observed.host, allowed)
        changes: list[Planned[Changes]] = []
        making = made(lab, observed.vm, target)
        if making and is_ours(making, observed.note):
            changes.append(RemoveNote(target, observed.host, making, f"{making.vm}/{NOTE}"))
        if allowed.api_writes or not observed.vm.powered_on:
            changes.extend(reconfigured(vm, observed.host, observed.vm, mac_of(lab, vm), observed.sitters))
        changes.extend(started(lab, vm, observed.vm.path, observed.starts))
        if not observed.vm.powered_on:
            changes.append(PowerOnVm(target, observed.host, observed.vm.path))
        return changes

    def remarks(self, lab: Lab, target: str, observed: VmState) -> Sequence[str]:
        """How it differs from the inventory, where that is not changed just now."""
        vm = lab.vm(target)
        if observed.vm is None or vm.wanted != "on":
            return []
        left = left_as_it_is(vm, observed.vm, mac_of(lab, vm), observed.sitters)
        left += left_off(vm, observed.vm.path, observed.starts)
        if observed.allowed.api_writes or not observed.vm.powered_on:
            return left
        # What the API does to a VM that runs, its shell does not.
        possible = reconfigured(vm, "", observed.vm, mac_of(lab, vm), observed.sitters)
        off = f"changed while it is off, as by homelab down -l {target} and homelab up -l {target}"
        return [*left, *(f"{was}: the API only reads, so it is {off}" for change in possible for was in change.was)]

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
        elif isinstance(change, SetAutostart):
            have_it_start(world, change)
        else:
            _remove_note(world, change)


def _ready(lab: Lab, target: str, hosts: Sequence[str]) -> list[Node]:
    """What must be done on these hosts before the VM is made on one of them."""
    local = lab.is_local(lab.vm(target))
    steps = ("reboot", "local-datastore", "image") if local else ("reboot", "nfs-datastore")
    return [Node(step, host) for host in hosts for step in steps]


def _plan_end(lab: Lab, target: str, observed: VmState) -> Sequence[Planned[Changes]]:
    vm, making = lab.vm(target), making_of(lab, lab.vm(target))
    if observed.vm and observed.host:
        if vm.wanted == "off":
            return switched_off(vm, observed.host, observed.vm)
        ends = destroyed(vm, observed.host, observed.vm, made(lab, observed.vm, target), observed.folder)
        return leaving(ends, observed.vm.path, observed.starts)
    if doubt := in_doubt(vm, observed.silent, observed.unread):
        return doubt
    host = places(lab, observed.rooms, observed.chosen)[target].host
    if vm.wanted == "off":
        return []
    if observed.namesake:
        raise of_somebody_else(vm, host, making, observed.namesake)
    return remains_destroyed(vm, host, making, observed.folder)


def _check_made_again(
    lab: Lab, target: str, observed: VmState, planned: Sequence[Planned[Changes]]
) -> Sequence[Planned[Changes]]:
    """The same plan, when a VM that it destroys and that is to be made anew can be. Raises Refused."""
    for change in planned:
        if observed.again and isinstance(change, DestroyVm):
            check_again(lab, target, observed.again, change.making, change.strangers)
    return planned


def _plan_new(lab: Lab, target: str, observed: VmState) -> Sequence[Planned[Changes]]:
    """Create a VM, once it is sure that no host has it: two control planes with one address are worse than none."""
    vm = lab.vm(target)
    making = replace(making_of(lab, vm), writes_vmx=not observed.allowed.api_writes)
    if doubt := _doubt(lab, target, making, observed):
        return [Blocked(target, doubt)]
    place = place_of(lab, target, observed.rooms, observed.chosen)
    host = place.host
    if observed.namesake:
        raise Refused(
            f"{host} has another VM of the name {making.vm} already, which is not of this lab: {observed.namesake}",
            where=host,
            advice="Give one of the two another name",
        )
    check_cpus(vm, host, observed.allowed)
    check_linked(vm, host, observed.allowed)
    check_seed(lab, vm)
    left = leftovers(making, observed.folder)
    if making.vmx in left and observed.silent:
        waits_for = f"{' and '.join(observed.silent)} can be asked: one of them may have registered {making.vmx}"
        return [Blocked(target, waits_for)]
    image = base_path(image_path(lab), vm.disk_gib) if making.linked else image_path(lab)
    create = CreateVm(
        target,
        host=host,
        why=place.why,
        making=making,
        image=f"[{making.datastore}] {image}",
        image_sha256=lab.image.sha256,
        hardware=Hardware(vm.cpus, vm.memory_mib, vm.disk_gib, vm.network, mac_of(lab, vm)),
        boot=first_boot(lab, vm, mac_of(lab, vm)),
        leftovers=left,
        autostart=autostart_of(lab, vm, observed.starts),
        seed=lab.guests.seed,
    )
    return [create, PowerOnVm(target, host, vmx_path(making.datastore, making.vm))]


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
    with world.vm_writer(change.host) as writer:
        if is_ours(change.making, writer.files.small_file(change.making.datastore, change.path)):
            writer.files.delete_file(change.making.datastore, change.path, seconds=TASK_SECONDS, progress=progress)
