"""Step `reboot`: a host whose configuration differs from what runs is rebooted once, and seen to be really back."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from homelab.errors import DeadlinePassed, HomelabError, LoginRefused, PersonNeeded, Refused
from homelab.lab import Lab
from homelab.ports.host_writer import HostWriter
from homelab.ports.vsphere import HostLook
from homelab.ports.vsphere.host_look import CONFIGURED_SCRATCH, PREFER_VMKLINUX
from homelab.ports.world import World
from homelab.step import Blocked, Change, Node, Planned, Step
from homelab.steps.host_state import (
    RIGHT,
    WRONG,
    awaits_scratch,
    differences,
    fixable,
    log_folder,
    log_store,
    needs_fix,
    scratch_pending,
)
from homelab.steps.ssh_left_on import SwitchSshOff, ssh_left_on

MAINTENANCE_SECONDS = 120.0


@dataclass(frozen=True)
class RebootHost(Change):
    """Reboot one host, in maintenance mode.

    `nic` is the one that must have a driver afterwards, and not `unwanted`; `boot_time` is the boot that has to end.
    """

    nic: str
    unwanted: str
    boot_time: datetime
    because: tuple[str, ...] = field(compare=False)
    disruptive = True

    @property
    def sentence(self) -> str:
        """What will be done."""
        return f"reboot {self.target} in maintenance mode, and wait until it answers again"

    @property
    def reason(self) -> str:
        """Why."""
        return "; ".join(self.because)

    @property
    def before(self) -> str:
        """As found."""
        return "what runs is not what is configured"

    @property
    def after(self) -> str:
        """As wanted."""
        return "what is configured runs"

    @property
    def undo(self) -> str:
        """How to go back."""
        return f"a reboot cannot be undone; the driver fix can: homelab driver-fix {self.target} --undo"


@dataclass(frozen=True)
class LeaveMaintenance(Change):
    """Take one host out of the maintenance mode that an interrupted run put it in."""

    @property
    def sentence(self) -> str:
        """What will be done."""
        return f"take {self.target} out of maintenance mode"

    @property
    def reason(self) -> str:
        """Why."""
        return "an earlier run put it there for its reboot, and was interrupted"

    @property
    def before(self) -> str:
        """As found."""
        return "in maintenance mode"

    @property
    def after(self) -> str:
        """As wanted."""
        return "in use"

    @property
    def undo(self) -> str:
        """How to go back."""
        return "esxcli system maintenanceMode set --enable=true"


@dataclass(frozen=True)
class Boot:
    """What the step sees: the host, and whether maintenance mode, and SSH that is on, are a run's of ours."""

    look: HostLook
    maintenance_is_ours: bool = False
    ssh_is_ours: bool = False


class Reboot(Step):
    """One node a host. `undo` expects the driver that the fix had disabled; `logs` waits for usb-housekeeping."""

    name = "reboot"

    def __init__(self, *, undo: bool = False, logs: bool = True) -> None:
        self.undo, self.logs = undo, logs

    def targets(self, lab: Lab) -> Sequence[str]:
        """Every ESXi host."""
        return [host.name for host in lab.esxi]

    def after(self, lab: Lab, target: str) -> Sequence[Node]:
        """No host reboots whose drivers are in doubt."""
        return [Node("driver-fix", target)]

    def settled(self, lab: Lab, target: str) -> Sequence[Node]:
        """Logs that found no place do not keep the drivers from taking effect."""
        return [Node("usb-housekeeping", target)]

    def observe(self, world: World, target: str) -> Boot:
        """The host's look, and our note about its maintenance mode."""
        look, noted = world.host(target), world.files.in_maintenance(target)
        return Boot(look, noted, ssh_left_on(world, target))

    def plan(self, lab: Lab, target: str, observed: Boot) -> Sequence[Planned]:
        """Reboot when what is configured differs from what runs; refuse while VMs run."""
        look = observed.look
        if not self.undo and needs_fix(lab, target, look) and fixable(look):
            return [Blocked(target, f"driver-fix has disabled {WRONG} on {target}")]
        because = self._because(lab, target, look)
        if because:
            if look.running:
                raise _under_vms(target, look)
            unwanted = RIGHT if self.undo else WRONG
            nic = lab.host(target).management_nic
            return [RebootHost(target, nic, unwanted, look.boot_time, tuple(because))]
        if self.logs and awaits_scratch(lab, target, look):
            return [Blocked(target, f"usb-housekeeping has given {target} a place for its logs")]
        changes: list[Planned] = [SwitchSshOff(target)] if observed.ssh_is_ours else []
        if look.in_maintenance and observed.maintenance_is_ours:
            changes.append(LeaveMaintenance(target))
        return changes

    def _because(self, lab: Lab, target: str, look: HostLook) -> list[str]:
        nic, wrong = look.nic(lab.host(target).management_nic), look.modules.get(WRONG)
        if self.undo and nic and nic.driver == RIGHT and wrong and wrong.enabled:
            return [f"{WRONG} is enabled again and does not run yet"]
        return differences(look)

    def apply(self, world: World, change: RebootHost | LeaveMaintenance | SwitchSshOff) -> None:
        """Enter maintenance mode, reboot, wait for a new boot time and a driver, and leave maintenance mode."""
        if isinstance(change, SwitchSshOff):
            world.switch_ssh_off(change.target)
            return
        if isinstance(change, RebootHost):
            _reboot(world, change)
        _leave_maintenance(world, change.target)


def _under_vms(target: str, look: HostLook) -> Refused:
    return Refused(
        f"{target} has to reboot, and VMs are running: {', '.join(look.running)}",
        where=target,
        advice="Shut them down or move them away, then run again; homelab driver-fix --force does it itself",
    )


def _reboot(world: World, change: RebootHost) -> None:
    look = world.host(change.target)
    with world.writer(change.target) as writer:
        if not look.in_maintenance:
            world.files.note_maintenance(change.target, True)
            progress = world.progress(f"{change.target} is in maintenance mode", MAINTENANCE_SECONDS)
            writer.enter_maintenance(MAINTENANCE_SECONDS, progress)
        if look.prefers_vmklinux and not look.modules[WRONG].enabled:
            # It would prefer legacy drivers for every device, and is not needed any more (esxi-facts, The driver fix).
            writer.set_options({PREFER_VMKLINUX: False})
        _find_scratch(world, look, writer, change.target)
        writer.reboot()
    host = world.lab.host(change.target)
    where = f"{change.target} ({host.address})"
    try:
        world.wait(
            f"{change.target} answers after its reboot, and {change.nic} has a driver other than {change.unwanted}",
            lambda: _not_back(world, change),
            seconds=host.reboot_timeout,
            where=where,
            advice="",
        )
    except DeadlinePassed as error:
        raise PersonNeeded(error.what, where=where, advice=console_steps(change)) from error


def _find_scratch(world: World, look: HostLook, writer: HostWriter, target: str) -> None:
    """A boot that does not find the folder for scratch leaves the logs in memory, and would be asked for again."""
    store, folder = log_store(world.lab, target), log_folder(world.lab, target)
    ours = str(look.options.get(CONFIGURED_SCRATCH, "")).endswith(folder)
    if store and ours and scratch_pending(look) and look.directory_of(store):
        writer.make_folder(store, folder)


def console_steps(change: RebootHost) -> str:
    """What a person does at the screen of a host that did not come back."""
    enabled = "false" if change.unwanted == RIGHT else "true"
    way_back = f"esxcli system module set --enabled={enabled} --module={WRONG}"
    return (
        f"Go to {change.target} with a screen and a keyboard. 1: if it stands still, switch it off and on. "
        "2: if it shows no network, F2, log in as root, Troubleshooting Options, Enable ESXi Shell; then Alt+F1 and "
        f"log in. 3: `{way_back}` (`localcli` in place of `esxcli` if hostd is down), `/sbin/auto-backup.sh`, "
        "`reboot`. "
        f"4: or once, at boot, Shift+O and append preferVmklinux=TRUE, which makes it use {RIGHT}. "
        "Then run the same command again; it goes on from there"
    )


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
    nic = look.nic(change.nic)
    if nic is None or nic.driver in ("", change.unwanted):
        return f"back, and {change.nic} is held by {nic.driver if nic and nic.driver else 'nothing'}"
    return None


def _leave_maintenance(world: World, target: str) -> None:
    """Leave the maintenance mode that was ours; a host that its owner put there stays there."""
    if not world.files.in_maintenance(target):
        return
    if world.host(target).in_maintenance:
        progress = world.progress(f"{target} is out of maintenance mode", MAINTENANCE_SECONDS)
        with world.writer(target) as writer:
            writer.exit_maintenance(MAINTENANCE_SECONDS, progress)
    world.files.note_maintenance(target, False)
