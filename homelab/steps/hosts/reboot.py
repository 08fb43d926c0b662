"""Step `reboot`: a host whose configuration differs from what runs is rebooted once, and seen to be really back."""

from collections.abc import Sequence
from dataclasses import dataclass

from homelab.engine.step import Blocked, Node, Planned, Step
from homelab.errors import DeadlinePassed, HomelabError, LoginRefused, PersonNeeded, Refused
from homelab.lab import Lab
from homelab.ports.esxi.shell import BootLook, look_at_boot
from homelab.ports.host_writer import HostWriter
from homelab.ports.vsphere import HostLook, NicLook
from homelab.ports.vsphere.host_look import CONFIGURED_SCRATCH, PREFER_VMKLINUX
from homelab.ports.world import World
from homelab.steps.hosts.driver_guards import check_medium
from homelab.steps.hosts.host_state import awaits_scratch, differences, log_folder, log_store, row_of, scratch_pending
from homelab.steps.hosts.maintenance import enter, leave, ours
from homelab.steps.hosts.nic_drivers import (
    RIGHT,
    WRONG,
    enabled,
    fixable,
    in_doubt,
    lost_at_boot,
    names,
    needs_fix,
    to_undo,
)
from homelab.steps.hosts.reboot_changes import LeaveMaintenance, NicAfter, RebootHost, console_steps
from homelab.steps.hosts.ssh_left_on import SwitchSshOff, ssh_left_on


@dataclass(frozen=True)
class RebootState:
    """What the step sees: the host; what its shell tells of the next boot, where one is in question and SSH runs.

    `maintenance_is_ours` when it was a run of ours that put it into maintenance mode, and nobody else since;
    `maintenance_was_noted` when a run of ours did so once; `ssh_is_ours` when SSH is on because of a run of ours.
    """

    look: HostLook
    maintenance_is_ours: bool = False
    boot: BootLook | None = None
    maintenance_was_noted: bool = False
    ssh_is_ours: bool = False


Changes = RebootHost | LeaveMaintenance | SwitchSshOff


class Reboot(Step[RebootState, Changes]):
    """One node for each host. `undo` expects the driver that the fix disabled; `logs` waits for usb-housekeeping."""

    name = "reboot"

    def __init__(self, *, undo: bool = False, logs: bool = True, hosts: Sequence[str] = ()) -> None:
        self.undo, self.logs, self.hosts = undo, logs, hosts
        self.row = row_of(hosts)

    def targets(self, lab: Lab) -> Sequence[str]:
        """The hosts that a person named, in that order; else every ESXi host."""
        return self.hosts or [host.name for host in lab.esxi]

    def after(self, lab: Lab, target: str) -> Sequence[Node]:
        """No host reboots whose drivers are in doubt."""
        return [Node("driver-fix", target)]

    def settled(self, lab: Lab, target: str) -> Sequence[Node]:
        """Logs that found no place do not keep the drivers from taking effect."""
        return [Node("usb-housekeeping", target)]

    def observe(self, world: World, lab: Lab, target: str) -> RebootState:
        """The host's look, our notes about it, and its shell's word where a reboot is in question."""
        look = world.host(target)
        boot = world.reader(target).boot() if in_doubt(look) or self._because(look) else None
        noted = world.files.maintenance_note(target) is not None
        return RebootState(look, ours(world, target, look), boot, noted, ssh_left_on(world, target))

    def plan(self, lab: Lab, target: str, observed: RebootState) -> Sequence[Planned[Changes]]:
        """Reboot when what is configured differs from what runs; refuse what would cost a driver, and while VMs run."""
        look = observed.look
        if not self.undo and needs_fix(lab, target, look) and fixable(look):
            return [Blocked(target, f"driver-fix has disabled {WRONG} on {target}")]
        if self.undo and to_undo(look):
            return [Blocked(target, f"driver-fix has enabled {WRONG} on {target} again")]
        because = self._because(look)
        if because:
            check_reboot(target, look, observed.boot)
            if look.running:
                raise _under_vms(target, look)
            return [self._reboot(lab, target, observed, because)]
        if self.logs and awaits_scratch(lab, target, look):
            return [Blocked(target, f"usb-housekeeping has given {target} a place for its logs")]
        changes: list[Planned[Changes]] = [SwitchSshOff(target)] if observed.ssh_is_ours else []
        if look.in_maintenance and observed.maintenance_is_ours:
            changes.append(LeaveMaintenance(target))
        return changes

    def remarks(self, lab: Lab, target: str, observed: RebootState) -> Sequence[str]:
        """What nothing is done about: a host that a power cut would cost its network, a maintenance mode not ours."""
        look, said = observed.look, []
        lost = lost_at_boot(look, observed.boot)
        if lost and not self._because(look):
            said.append(f"{_no_driver(lost)}. {_enable_advice(target, look)}")
        if look.in_maintenance and observed.maintenance_was_noted and not observed.maintenance_is_ours:
            said.append(
                "it stays in maintenance mode: a run of homelab put it there once, and somebody else set it or booted "
                "the host since; `esxcli system maintenanceMode set --enable=false` takes it out"
            )
        return said

    def _because(self, look: HostLook) -> list[str]:
        wrong = look.modules.get(WRONG)
        if self.undo and wrong and wrong.enabled and any(nic.driver == RIGHT for nic in look.nics):
            kept = [f"the boot option preferVmklinux gives its NICs to {RIGHT}"] if look.prefers_vmklinux else []
            return [f"{WRONG} is enabled again and does not run yet", *kept]
        return differences(look)

    def _reboot(self, lab: Lab, target: str, observed: RebootState, because: Sequence[str]) -> RebootHost:
        look, host = observed.look, lab.host(target)
        store = log_store(lab, target)
        doubt = in_doubt(look) if observed.boot is None else ()
        return RebootHost(
            target,
            nics=self._expected(look),
            boot_time=look.boot_time,
            address=str(host.address),
            seconds=float(host.reboot_timeout),
            scratch=(store, log_folder(lab, target)) if store else None,
            leaves_maintenance=not look.in_maintenance or observed.maintenance_is_ours,
            ends_preference=look.prefers_vmklinux and (self.undo or not enabled(look, WRONG)),
            because=(*because, *_until_read(doubt)),
        )

    def _expected(self, look: HostLook) -> tuple[NicAfter, ...]:
        """What has to hold each NIC of the management network after the boot: another driver, or any."""
        wrong = look.modules.get(WRONG)
        back = self.undo and wrong is not None and wrong.enabled
        return tuple(
            NicAfter(nic.name, nic.driver if not enabled(look, nic.driver) or (back and nic.driver == RIGHT) else "")
            for nic in look.management_nics
        )

    def apply(self, world: World, change: Changes) -> None:
        """Look anew, enter maintenance mode, reboot, wait for a new boot time and a driver, leave maintenance mode."""
        if isinstance(change, SwitchSshOff):
            world.switch_ssh_off(change.target)
            return
        if isinstance(change, RebootHost):
            _reboot(world, change)
            if not change.leaves_maintenance:
                return
        leave(world, change.target)


def _until_read(doubt: Sequence[NicLook]) -> list[str]:
    """What the plan cannot know while SSH is off."""
    return (
        [f"the drivers' maps are read first: no reboot if none that is enabled names {names(doubt)}"] if doubt else []
    )


def check_reboot(target: str, look: HostLook, boot: BootLook | None) -> None:
    """Refuse a reboot that the host may not come back from: no driver for its network, or no medium to start from."""
    if boot is not None:
        check_medium(target, boot)
    lost = lost_at_boot(look, boot)
    if lost:
        raise Refused(
            f"{target} is not rebooted: {_no_driver(lost)}", where=target, advice=_enable_advice(target, look)
        )


def _no_driver(lost: Sequence[NicLook]) -> str:
    return f"after its next boot no enabled driver would claim {names(lost)}, which the management network needs"


def _enable_advice(target: str, look: HostLook) -> str:
    """What gives each NIC its driver back, before anything boots."""
    drivers = dict.fromkeys(nic.driver for nic in look.management_nics if not enabled(look, nic.driver))
    commands = " and ".join(f"`esxcli system module set --enabled=true --module={name}`" for name in drivers)
    undo = f"homelab driver-fix {target} --undo, or " if WRONG in drivers else ""
    return (
        f"Enable its driver again before anything boots it: {undo}{commands} and `/sbin/auto-backup.sh` at its shell; "
        "then run again"
    )


def _under_vms(target: str, look: HostLook) -> Refused:
    return Refused(
        f"{target} has to reboot, and VMs are running: {', '.join(look.running)}",
        where=target,
        advice="Shut them down or move them away, then run again; homelab driver-fix --force does it itself",
    )


def _reboot(world: World, change: RebootHost) -> None:
    with world.shell(change.target) as shell:
        boot = look_at_boot(shell)
    _check_now(world, change, boot)
    with world.writer(change.target) as writer:
        entered = enter(world, change.target, writer)
        try:
            _prepare(world, change, writer)
            # Minutes may have passed since the first look, and the module may be switched by another hand.
            _check_now(world, change, boot)
            world.files.note_phase(change.target, "rebooting")
            writer.reboot()
        except Refused:
            if entered:
                leave(world, change.target, writer)
            raise
    _await(world, change)


def _check_now(world: World, change: RebootHost, boot: BootLook) -> None:
    """The guards, on the host as it is now."""
    world.forget(change.target)
    look = world.host(change.target)
    check_reboot(change.target, look, boot)
    if look.running:
        raise _under_vms(change.target, look)


def _prepare(world: World, change: RebootHost, writer: HostWriter) -> None:
    """What has to be there at the boot: no preferVmklinux where its work is done, and the folder for scratch."""
    look = world.host(change.target)
    if change.ends_preference and look.prefers_vmklinux:
        # It prefers legacy drivers for every device: not needed once ne1000 is disabled, and in the way of an undo
        # (esxi-facts, The driver fix).
        writer.set_options({PREFER_VMKLINUX: False})
    if change.scratch is None or not scratch_pending(look):
        return
    # A boot that does not find the folder leaves the logs in memory, and would be asked for again.
    store, folder = change.scratch
    if str(look.options.get(CONFIGURED_SCRATCH, "")).endswith(folder) and look.directory_of(store):
        writer.make_folder(store, folder)


def _await(world: World, change: RebootHost) -> None:
    where = f"{change.target} ({change.address})"
    try:
        world.wait(
            f"{change.target} answers after its reboot, and {change.expected}",
            lambda: _not_back(world, change),
            seconds=change.seconds,
            where=where,
            advice="",
        )
    except DeadlinePassed as error:
        world.files.note_phase(change.target, "missing")
        raise PersonNeeded(error.what, where=where, advice=console_steps(change)) from error


def _not_back(world: World, change: RebootHost) -> str | None:
    world.forget(change.target)
    try:
        look = world.host(change.target)
    except LoginRefused:
        raise  # never tried twice
    except HomelabError as error:
        return error.what  # a host that is starting is silent, or answers with faults of many kinds
    if look.boot_time == change.boot_time:
        return f"still up since {look.boot_time:%H:%M:%S} UTC"
    held = {nic.name: nic.driver for nic in look.nics}
    missing = [nic.name for nic in change.nics if held.get(nic.name, "") in ("", nic.not_by)]
    if missing:
        return "back, and " + ", ".join(f"{name} is held by {held.get(name) or 'nothing'}" for name in missing)
    return None
