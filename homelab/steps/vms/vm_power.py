"""What is done to a VM that exists and stays: switched on, shut down, changed. What the change says."""

from homelab.errors import DeadlinePassed, HomelabError
from homelab.ports.guest.look import GuestAway
from homelab.ports.vm_writer import VmWriter
from homelab.ports.vsphere.vms import VmEdit
from homelab.ports.world import World
from homelab.steps.vms.sitters import check_nobody_at
from homelab.steps.vms.vm_changes import PowerOnVm, ReconfigureVm, ShutDownVm

TASK_SECONDS = 300.0
POWER_OFF = ["sudo", "-n", "systemctl", "--no-block", "poweroff"]


def switch_on(world: World, change: PowerOnVm) -> None:
    """Switch it on."""
    progress = world.progress(f"{change.target} is on", TASK_SECONDS)
    with world.vm_writer(change.host) as writer:
        writer.power_on(change.path, change.target, seconds=TASK_SECONDS, progress=progress)


def reconfigure(world: World, change: ReconfigureVm) -> None:
    """Give it what the inventory says; before its disk grows, every host is asked once more who sits on it."""
    if change.disk:
        datastore, _, place = change.disk[0].removeprefix("[").partition("] ")
        what = f"the disk of {change.target} is not made larger"
        check_nobody_at(world, change.host, datastore, place, what, (change.host, change.path))
    progress = world.progress(f"{change.target} is changed", TASK_SECONDS)
    with world.vm_writer(change.host) as writer:
        if change.disk:
            writer.files.extend_disk(*change.disk, seconds=TASK_SECONDS, progress=progress)
        edit = VmEdit(change.cpus, change.memory_mib, change.network)
        writer.reconfigure(change.path, change.target, edit, seconds=TASK_SECONDS, progress=progress)


def shut_down(world: World, change: ShutDownVm) -> None:
    """Ask the guest; pull the plug when nobody hears, or when it takes too long."""
    progress = world.progress(f"{change.target} is off", TASK_SECONDS)
    with world.vm_writer(change.host) as writer:
        if why := _not_by_itself(world, writer, change):
            world.run.log(f"{change.target} is switched off: {why}")
            writer.power_off(change.path, change.target, seconds=TASK_SECONDS, progress=progress)
    world.forget(change.target)


def _not_by_itself(world: World, writer: VmWriter, change: ShutDownVm) -> str:
    """Why the guest did not shut itself down; empty when it did."""
    if not writer.ask_to_shut_down(change.path, change.target) and (why := _not_asked(world, change)):
        return f"no VMware Tools run in it, and {why}"
    try:
        world.wait(
            f"{change.target} shuts down",
            lambda: "still on" if writer.is_on(change.path, change.target) else None,
            seconds=change.seconds,
            where=change.target,
            advice="It is switched off",
        )
    except DeadlinePassed as error:
        return error.what
    return ""


def _not_asked(world: World, change: ShutDownVm) -> str:
    """Ask a guest without VMware Tools over SSH; why that was not possible. Debian's cloud images have none."""
    found = world.guest(change.target)
    if isinstance(found, GuestAway):
        return f"it is away: {found.reason}"
    try:
        with world.guest_shell(change.target) as shell:
            shell.must(POWER_OFF, writes=True)
    except HomelabError as error:
        return error.what
    return ""
