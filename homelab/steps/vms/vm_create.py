"""Creating a VM: its folder begun, its disk copied, its seed written, the VM made around them. What the change says."""

import io
import secrets
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime

from homelab.errors import HomelabError
from homelab.formats.guest.cloud_init import seed
from homelab.formats.guest.guestinfo import guestinfo, too_large
from homelab.formats.guest.seed_iso import seed_iso
from homelab.formats.trust.ssh_key import HostKey, new_key
from homelab.ports.vm_writer import VmWriter
from homelab.ports.vsphere.vm_look import GUESTINFO, HOST_KEY, ID, IMAGE, LAB, MADE, NAME, SEED, SEEDED, identity
from homelab.ports.vsphere.vms import VmSpec, vmx_path
from homelab.ports.world import World
from homelab.steps.vms.sitters import forget, sitters_at
from homelab.steps.vms.vm_changes import CreateVm
from homelab.steps.vms.vm_folder import NOTE, FolderLook, leftovers
from homelab.steps.vms.vm_seed import seed_refused

COPY_SECONDS = 3600.0
TASK_SECONDS = 300.0


def create(world: World, change: CreateVm) -> None:
    """Make the VM, from an empty folder or from what an interrupted run left of ours; the note goes last.

    A place among the copies on the datastore is taken before the session begins, and given up once the disk is there.
    """
    making = change.making
    key = new_key(making.vm)
    boot = change.boot if change.boot.authorized_keys else replace(change.boot, authorized_keys=_own_key(world))
    files = seed(boot, key, secrets.token_hex(4))
    spec = _spec(change, key, files)
    with ExitStack() as place:
        if not making.linked:
            place.enter_context(world.copying(change.host, making.datastore))
        _create(world, change, place, spec, files)


def _create(world: World, change: CreateVm, place: ExitStack, spec: VmSpec, files: Mapping[str, str]) -> None:
    making = change.making
    with world.vm_writer(change.host) as writer:
        _begin_folder(world, writer, change)
        if not making.linked:
            _copy_image(world, writer, change)
        place.close()
        if spec.seed:
            iso = seed_iso(files)
            writer.files.upload(making.datastore, f"{making.vm}/{SEED}", io.BytesIO(iso), len(iso))
        progress = world.progress(f"the VM {change.target} is created", TASK_SECONDS)
        world.files.trust.forget_host_keys({change.boot.address})  # it gets a key of its own
        writer.create_vm(spec, seconds=TASK_SECONDS, progress=progress)
        world.remember_vm(change.target, change.host)
        if change.autostart:
            path = f"{making.place}/{making.vmx}"
            with world.starts.place(change.host, path, change.autostart) as autostart:
                writer.set_autostart(path, change.target, autostart)
        writer.files.withdraw(making.datastore, f"{making.vm}/{NOTE}")


def _begin_folder(world: World, writer: VmWriter, change: CreateVm) -> None:
    """Look once more at what is there now, remove what is ours file by file, and say whose the folder is."""
    making = change.making
    progress = world.progress(f"the folder {making.place} is begun", TASK_SECONDS)
    found = writer.files.list_folder(making.datastore, making.vm, seconds=TASK_SECONDS, progress=progress)
    note: bytes | None = None
    users: tuple[str, ...] = ()
    if found and NOTE in found.files:
        note = writer.files.small_file(making.datastore, f"{making.vm}/{NOTE}")
        users = _users(world, change)
    left = leftovers(making, FolderLook(found.files, found.folders, note, users) if found else None)
    if set(left) - set(change.leftovers):
        raise HomelabError(
            f"{making.place} holds more of a half-made VM than was seen: {', '.join(left)}",
            where=writer.where,
            advice="Another run may be making it just now; run again when it has ended",
        )
    for name in left:
        world.run.log(f"{making.place}/{name} is left over from an interrupted run; it is deleted")
        delete = writer.files.delete_disk if name == making.disk_among(left) else writer.files.delete_file
        delete(making.datastore, f"{making.vm}/{name}", seconds=TASK_SECONDS, progress=progress)
    if found is None:
        writer.files.make_folder(making.datastore, making.vm)
    if note != making.note:
        writer.files.upload(making.datastore, f"{making.vm}/{NOTE}", io.BytesIO(making.note), len(making.note))


def _users(world: World, change: CreateVm) -> tuple[str, ...]:
    """Whose VMs have files in the folder by now: others may have been copied for an hour before its turn came."""
    forget(world, world.reachable_hosts())
    return sitters_at(world, change.host, change.making.datastore, change.making.vm).users


def _copy_image(world: World, writer: VmWriter, change: CreateVm) -> None:
    disk = f"{change.making.place}/{change.making.disk}"
    progress = world.progress(f"the disk of {change.target} is copied", COPY_SECONDS)
    writer.files.copy_disk(change.image, disk, seconds=COPY_SECONDS, progress=progress)
    writer.files.extend_disk(disk, change.hardware.disk_gib, seconds=TASK_SECONDS, progress=progress)


def _own_key(world: World) -> tuple[str, ...]:
    return (world.files.trust.own_key(),)


def _spec(change: CreateVm, key: HostKey, files: Mapping[str, str]) -> VmSpec:
    making, hardware = change.making, change.hardware
    told = guestinfo(files) if change.seed == GUESTINFO else {}
    if why := too_large(told):
        raise seed_refused(change.target, why)
    return VmSpec(
        name=making.vm,
        datastore=making.datastore,
        cpus=hardware.cpus,
        memory_mib=hardware.memory_mib,
        disk=f"{making.place}/{making.disk}",
        seed=None if told else f"{making.place}/{SEED}",
        network=hardware.network,
        mac=hardware.mac,
        instance_uuid=making.instance_uuid,
        parent=change.image if making.linked else None,
        marks={
            LAB: making.lab,
            NAME: making.vm,
            ID: identity(making.instance_uuid, vmx_path(making.datastore, making.vm)),
            IMAGE: change.image_sha256,
            HOST_KEY: key.public,
            MADE: datetime.now(UTC).isoformat(timespec="seconds"),
            **({SEEDED: GUESTINFO} if told else {}),
        },
        guestinfo=told,
    )
