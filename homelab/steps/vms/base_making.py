"""Looking for bases, and making one: a copy of the image under another name, grown, and named once it is whole."""

from homelab.errors import HomelabError
from homelab.formats.disk.vmdk import GIB, capacity
from homelab.lab import Lab
from homelab.ports.vm_writer import VmWriter
from homelab.ports.world import World
from homelab.steps.vms.bases import (
    BasesLook,
    MakeBase,
    base_path,
    check_size,
    is_whole,
    part_path,
    unfinished,
    wanted_bases,
)
from homelab.steps.vms.image_paths import image_folder, image_path
from homelab.steps.vms.sitters import check_nobody_at
from homelab.steps.vms.unregistered import is_somewhere

COPY_SECONDS = 3600.0
TASK_SECONDS = 300.0


def look_at_bases(world: World, lab: Lab, via: str, *, whole: bool) -> BasesLook:
    """Which bases VMs wait for, and what there is of them; how large the image is, if it is `whole` and one lacks."""
    there = {vm.name for vm in lab.vms if vm.clone == "linked" and is_somewhere(world, vm.name)}
    wanted = wanted_bases(lab, there)
    if not wanted:
        return BasesLook()
    look = look_at_all_bases(world, lab, via)
    datastore, path = lab.nfs[0].datastore, image_path(lab)
    lacking = not all(is_whole(base_path(path, size), look.files) for size in wanted)
    text = world.reader(via).small_file(datastore, path) if whole and lacking else None
    return BasesLook(look.files, wanted, capacity(text))


def look_at_all_bases(world: World, lab: Lab, via: str) -> BasesLook:
    """What there is of any base."""
    folder = world.reader(via).folder(lab.nfs[0].datastore, image_folder(lab))
    return BasesLook(folder.files if folder else ())


def make_base(world: World, change: MakeBase) -> None:
    """Remove what an interrupted run left, copy, grow, and give it its name."""
    part, whole = (f"[{change.datastore}] {path}" for path in (part_path(change.path), change.path))
    with world.copying(change.via, change.datastore), world.vm_writer(change.via) as writer:
        if any(".part" not in name for name in change.leftovers):
            # It had its own name once, so a VM may have been made on it before it lost a file. Asked now: others may
            # have been copied for an hour before this one's turn came.
            check_nobody_at(world, change.via, change.datastore, change.path, "the half of a base is not replaced")
        size = capacity(writer.files.small_file(change.datastore, change.image))
        check_size(change.size_gib, change.vms, size)
        if _is_made(world, writer, change):
            return
        progress = world.progress(f"the base of {change.size_gib} GiB is copied", COPY_SECONDS)
        writer.files.copy_disk(f"[{change.datastore}] {change.image}", part, seconds=COPY_SECONDS, progress=progress)
        if size != change.size_gib * GIB:
            writer.files.extend_disk(part, change.size_gib, seconds=TASK_SECONDS, progress=progress)
        writer.files.move_disk(part, whole, seconds=TASK_SECONDS, progress=progress)


def _is_made(world: World, writer: VmWriter, change: MakeBase) -> bool:
    """Look once more what is there; whether somebody has made it meanwhile. What is half made goes, file by file."""
    folder = change.path.rpartition("/")[0]
    progress = world.progress(f"[{change.datastore}] {folder} is looked into", TASK_SECONDS)
    found = writer.files.list_folder(change.datastore, folder, seconds=TASK_SECONDS, progress=progress)
    left = unfinished(change.path, found.files) if found else ()
    if set(left) - set(change.leftovers):
        raise HomelabError(
            f"[{change.datastore}] {folder} holds more of a half-made base than was seen: {', '.join(left)}",
            where=writer.where,
            advice="Another run may be making it just now; run again when it has ended",
        )
    for name in left:
        world.run.log(f"[{change.datastore}] {folder}/{name} is left over from an interrupted run; it is deleted")
        path = f"{folder}/{name}"
        writer.files.delete_file(change.datastore, path, seconds=TASK_SECONDS, progress=progress, beside=found)
    return found is not None and is_whole(change.path, found.files)
