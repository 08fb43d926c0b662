"""Step `guest`: a VM answers on SSH, cloud-init is done, and the seed with its secrets is gone."""

from collections.abc import Sequence
from dataclasses import dataclass

from homelab.engine.step import Blocked, Change, Node, Planned, Step, Words
from homelab.errors import DeadlinePassed, HostFault
from homelab.lab import Lab
from homelab.ports.guest.look import GuestAway, GuestLook
from homelab.ports.vsphere import VmLook
from homelab.ports.vsphere.vms import split_path
from homelab.ports.world import World
from homelab.steps.guests.console import kept_picture
from homelab.steps.guests.guestinfo_seed import ClearGuestinfo, RestartWithoutGuestinfo, clear

TASK_SECONDS = 120.0
NEEDS_TOOLS = "; guest_seed: guestinfo is read by open-vm-tools only: without them in the image write nocloud"


@dataclass(frozen=True)
class AwaitGuest(Change):
    """Wait for the first boot of one guest, so many seconds at most.

    `host` and `vmx` tell where its console is, when it is a VM of ours; `guestinfo` that it is told what it is there.
    """

    address: str
    seconds: int
    host: str = ""
    vmx: str = ""
    guestinfo: bool = False

    def _words(self) -> Words:
        return Words(
            sentence=f"wait until {self.target} ({self.address}) answers on SSH and its cloud-init is done",
            reason=f"{self.target} is on and not ready yet",
            undo="nothing to undo",
            before="not ready",
            after="ready",
        )


@dataclass(frozen=True)
class RemoveSeed(Change):
    """Take the seed out of the VM of a .vmx and delete it: it holds the guest's private host key.

    `path` is the seed's, in the VM's own folder; an image that somebody else put into a drive is not ours.
    """

    host: str
    vmx: str
    path: str

    def _words(self) -> Words:
        return Words(
            sentence=f"take the seed {self.path} out of {self.target} and delete it",
            reason="it was read, and it holds secrets",
            undo="not needed: a guest reads its seed once",
            before="attached",
            after="deleted",
        )


@dataclass(frozen=True)
class GuestState:
    """The guest, its VM's power, and its seed with the host and the .vmx of the VM.

    `seed` is an image in a drive; `guestinfo` tells of one in the VM's configuration, which a host whose API only reads
    (not `api_writes`) changes of a VM that is off.
    """

    powered_on: bool
    guest: GuestLook | GuestAway
    host: str = ""
    vmx: str = ""
    seed: str | None = None
    guestinfo: bool = False
    api_writes: bool = True


Changes = AwaitGuest | RemoveSeed | ClearGuestinfo | RestartWithoutGuestinfo


class Guest(Step[GuestState, Changes]):
    """One node for each VM."""

    name = "guest"

    def targets(self, lab: Lab) -> Sequence[str]:
        """Every VM, ours or not."""
        return [vm.name for vm in lab.vms]

    def after(self, lab: Lab, target: str) -> Sequence[Node]:
        """The VM is on."""
        return [Node("vm", target)]

    def observe(self, world: World, lab: Lab, target: str) -> GuestState:
        """The VM's power and seed, and a look at the guest."""
        if not lab.vm(target).managed:
            return GuestState(True, world.guest(target))
        found = world.vm(target)
        if found is None or not found[1].powered_on:
            return GuestState(False, GuestAway(f"VM {target} is on"))
        host, vm = found
        writes = world.host(host).api_writes
        return GuestState(True, world.guest(target), host, vm.path, _seed_of(world, host, vm), vm.guestinfo, writes)

    def plan(self, lab: Lab, target: str, observed: GuestState) -> Sequence[Planned[Changes]]:
        """Wait for what is not ready; then the seed goes."""
        if not observed.powered_on:
            return [Blocked(target, f"the VM {target} exists and is on")]
        guest = observed.guest
        changes: list[Planned[Changes]] = []
        if isinstance(guest, GuestAway) or guest.cloud_init == "running":
            address, seconds = str(lab.vm(target).address), lab.guests.timeout
            changes.append(AwaitGuest(target, address, seconds, observed.host, observed.vmx, observed.guestinfo))
        elif guest.cloud_init.startswith("error"):
            raise _failed(target, guest)
        if observed.seed:
            changes.append(RemoveSeed(target, observed.host, observed.vmx, observed.seed))
        if observed.guestinfo:
            changes.append(_cleared(lab, target, observed))
        return changes

    def apply(self, world: World, change: Changes) -> None:
        """Wait, or take the seed away."""
        if isinstance(change, AwaitGuest):
            _await(world, change)
        elif isinstance(change, RemoveSeed):
            _remove_seed(world, change)
        else:
            clear(world, change)
        if isinstance(change, RestartWithoutGuestinfo):
            _await(world, AwaitGuest(change.target, change.address, change.seconds, change.host, change.vmx))


def _cleared(lab: Lab, target: str, observed: GuestState) -> ClearGuestinfo | RestartWithoutGuestinfo:
    if observed.api_writes:
        return ClearGuestinfo(target, observed.host, observed.vmx)
    address = str(lab.vm(target).address)
    return RestartWithoutGuestinfo(target, observed.host, observed.vmx, address, lab.guests.timeout)


def _seed_of(world: World, host: str, vm: VmLook) -> str | None:
    """The seed, if it is still there: over SSH a drive that was emptied while the VM runs keeps the image's name."""
    if vm.seed is None or vm.seed_connected:
        return vm.seed
    datastore, path = split_path(vm.seed)
    return vm.seed if world.reader(host).has_file(datastore, path) else None


def _failed(target: str, guest: GuestLook) -> HostFault:
    return HostFault(
        f"cloud-init ended with {guest.cloud_init}",
        where=target,
        advice=f"See /var/log/cloud-init.log on {target}; mend the inventory, destroy the VM, and run again",
    )


def _await(world: World, change: AwaitGuest) -> None:
    def not_ready() -> str | None:
        world.forget(change.target)
        guest = world.guest(change.target)
        if isinstance(guest, GuestAway):
            return f"not yet: {guest.reason}"
        if guest.cloud_init.startswith("error"):
            raise _failed(change.target, guest)
        return "answers; cloud-init is running" if guest.cloud_init == "running" else None

    try:
        world.wait(
            f"{change.target} answers on SSH and cloud-init is done",
            not_ready,
            seconds=change.seconds,
            where=f"{change.target} ({change.address})",
            advice="check vm_network, the address and the gateway" + (NEEDS_TOOLS if change.guestinfo else ""),
        )
    except DeadlinePassed as error:
        kept = kept_picture(world, change.host, change.vmx, change.target) if change.vmx else None
        looked = f"See its console in {kept}" if kept else "Look at the VM's console in the host's web page"
        raise DeadlinePassed(error.what, where=error.where, advice=f"{looked}; {error.advice}") from error


def _remove_seed(world: World, change: RemoveSeed) -> None:
    progress = world.progress(f"the seed of {change.target} is gone", TASK_SECONDS)
    datastore, path = split_path(change.path)
    with world.vm_writer(change.host) as writer:
        writer.eject(change.vmx, change.target, change.path, seconds=TASK_SECONDS, progress=progress)
        writer.files.delete_file(datastore, path, seconds=TASK_SECONDS, progress=progress)
