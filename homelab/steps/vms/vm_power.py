"""What is done to a VM that exists and stays: switched on, shut down, changed. What the change says."""

from homelab.errors import DeadlinePassed, HomelabError
from homelab.ports.guest.look import GuestAway
from homelab.ports.vsphere import Session
from homelab.ports.vsphere.storage import extend_disk
from homelab.ports.vsphere.vms import ask_to_shut_down, is_on, power_off, power_on, reconfigure_vm
from homelab.ports.world import World
from homelab.steps.vms.sitters import check_nobody_at
from homelab.steps.vms.vm_changes import PowerOnVm, ReconfigureVm, ShutDownVm

TASK_SECONDS = 300.0
POWER_OFF = ["sudo", "-n", "systemctl", "--no-block", "poweroff"]


def switch_on(world: World, change: PowerOnVm) -> None:
    """Switch it on."""
    progress = world.progress(f"{change.target} is on", TASK_SECONDS)
    with world.session(change.host) as session:
        power_on(session, change.path, change.target, seconds=TASK_SECONDS, progress=progress)


def reconfigure(world: World, change: ReconfigureVm) -> None:
    """Give it what the inventory says; before its disk grows, every host is asked once more who sits on it."""
    if change.disk:
        datastore, _, place = change.disk[0].removeprefix("[").partition("] ")
        what = f"the disk of {change.target} is not made larger"
        check_nobody_at(world, change.host, datastore, place, what, (change.host, change.path))
    progress = world.progress(f"{change.target} is changed", TASK_SECONDS)
    with world.session(change.host) as session:
        if change.disk:
            extend_disk(session, *change.disk, seconds=TASK_SECONDS, progress=progress)
        reconfigure_vm(
            session,
            change.path,
            change.target,
            cpus=change.cpus,
            memory_mib=change.memory_mib,
            network=change.network,
            seconds=TASK_SECONDS,
            progress=progress,
        )


def shut_down(world: World, change: ShutDownVm) -> None:
    """Ask the guest; pull the plug when nobody hears, or when it takes too long."""
    progress = world.progress(f"{change.target} is off", TASK_SECONDS)
    with world.session(change.host) as session:
        if why := _not_by_itself(world, session, change):
            world.run.log(f"{change.target} is switched off: {why}")
            power_off(session, change.path, change.target, seconds=TASK_SECONDS, progress=progress)
    world.forget(change.target)


def _not_by_itself(world: World, session: Session, change: ShutDownVm) -> str:
    """Why the guest did not shut itself down; empty when it did."""
    if not ask_to_shut_down(session, change.path, change.target) and (why := _not_asked(world, change)):
        return f"no VMware Tools run in it, and {why}"
    try:
        world.wait(
            f"{change.target} shuts down",
            lambda: "still on" if is_on(session, change.path, change.target) else None,
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
