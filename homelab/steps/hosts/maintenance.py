"""Maintenance mode that is ours: entered with a note, left again, and never taken from an owner who set it himself."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from homelab.errors import HomelabError
from homelab.ports.files.home import MaintenanceNote
from homelab.ports.host_writer import HostWriter
from homelab.ports.vsphere import HostLook
from homelab.ports.vsphere.hosts import ENTERED, HostEvent
from homelab.ports.world import World

MAINTENANCE_SECONDS = 120.0
# How far the host's stamps may lie beside our note's.
SLACK = timedelta(seconds=60)
# How long after the note the boot may be that our reboot began; a host that was handed to a person takes days.
COMES_BACK_WITHIN = {"rebooting": timedelta(hours=1), "missing": timedelta(days=30)}


def ours(world: World, target: str, look: HostLook) -> bool:
    """Whether the maintenance mode that a host is in is a run's of ours: by our note, and the host's own events."""
    note = world.files.maintenance_note(target)
    if note is None or not look.in_maintenance:
        return False
    if note.run == world.files.run:
        return True
    return still_ours(note, look.boot_time, world.reader(target).maintenance_events(note.since - SLACK))


def still_ours(note: MaintenanceNote, boot_time: datetime, events: Sequence[HostEvent]) -> bool:
    """Whether nobody else set the mode since the note. Pure.

    The host's events tell of every entering and leaving since its boot, and are forgotten with it. Only our own
    entering may be among them; where there is none, it has to be the boot that our reboot began.
    """
    latest = note.since + timedelta(seconds=MAINTENANCE_SECONDS) + SLACK
    entered = [event for event in events if event.kind == ENTERED and event.at <= latest]
    if len(entered) != len(events) or len(entered) > 1:
        return False
    return bool(entered) or -SLACK < boot_time - note.since < COMES_BACK_WITHIN.get(note.phase, -SLACK)


def enter(world: World, target: str, writer: HostWriter) -> bool:
    """Enter maintenance mode with a note of it; False where the host is in it already. The note goes when it fails."""
    look = world.host(target)
    if look.in_maintenance:
        return False
    world.files.note_maintenance(
        target,
        MaintenanceNote(world.files.run, datetime.now(UTC) + timedelta(seconds=look.clock_error), look.boot_time),
    )
    progress = world.progress(f"{target} is in maintenance mode", MAINTENANCE_SECONDS)
    try:
        writer.enter_maintenance(MAINTENANCE_SECONDS, progress)
    except HomelabError:
        _forget_unless_in_it(world, target)
        raise
    return True


def _forget_unless_in_it(world: World, target: str) -> None:
    """A task that failed on our side may have gone on at the host; where that is not known the note stays."""
    world.forget(target)
    try:
        entered = world.host(target).in_maintenance
    except HomelabError:
        return
    if not entered:
        world.files.note_maintenance(target, None)


def leave(world: World, target: str, writer: HostWriter | None = None) -> None:
    """Leave maintenance mode where it is ours, and forget the note."""
    world.forget(target)
    look = world.host(target)
    if look.in_maintenance:
        if not ours(world, target, look):
            return
        progress = world.progress(f"{target} is out of maintenance mode", MAINTENANCE_SECONDS)
        if writer is not None:
            writer.exit_maintenance(MAINTENANCE_SECONDS, progress)
        else:
            with world.writer(target) as fresh:
                fresh.exit_maintenance(MAINTENANCE_SECONDS, progress)
        world.forget(target)
    world.files.note_maintenance(target, None)
