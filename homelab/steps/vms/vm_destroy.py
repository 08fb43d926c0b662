"""Destroying a VM: it is unregistered, and its own files are deleted one by one. What the change says."""

from dataclasses import replace

from homelab.errors import HomelabError
from homelab.ports.vm_writer import VmWriter
from homelab.ports.vsphere.folders import Folder
from homelab.ports.world import World
from homelab.steps.vms.vm_changes import DestroyVm
from homelab.steps.vms.vm_files import own_files, remains
from homelab.steps.vms.vm_folder import NOTE, FolderLook

TASK_SECONDS = 300.0


def destroy(world: World, change: DestroyVm) -> None:
    """Unregister it and delete what is its own, the .vmx last; what else is there stays, and the folder with it."""
    making = change.making
    progress = world.progress(f"{making.place} is emptied", TASK_SECONDS)
    with world.vm_writer(change.host) as writer:
        if change.registered:
            path = f"{making.place}/{making.vmx}"
            writer.unregister(path, change.target, making.instance_uuid, autostart=change.autostart)
        found = writer.files.list_folder(making.datastore, making.vm, seconds=TASK_SECONDS, progress=progress)
        if found is not None:
            _delete_files(world, writer, change, found)
    world.files.trust.forget_host_keys({change.address})
    world.forget(change.target)


def _delete_files(world: World, writer: VmWriter, change: DestroyVm, found: Folder) -> None:
    making = change.making
    progress = world.progress(f"{making.place} is emptied", TASK_SECONDS)
    own = _own(writer, change, found)
    if disk := making.disk_among(own):
        writer.files.delete_disk(making.datastore, f"{making.vm}/{disk}", seconds=TASK_SECONDS, progress=progress)
    # Note and .vmx tell whose the others are, so they stay until those are gone.
    telling = [name for name in own if name in (NOTE, making.vmx)]
    for names in ([name for name in own if name != disk and name not in telling], *([name] for name in telling)):
        writer.files.delete_files(
            making.datastore, making.vm, names, seconds=TASK_SECONDS, progress=progress, beside=found
        )
    left = writer.files.delete_empty_folder(making.datastore, making.vm, seconds=TASK_SECONDS, progress=progress)
    if left.names:
        world.run.log(f"{making.place} stays, for it holds what is not ours: {', '.join(left.names)}")


def _own(writer: VmWriter, change: DestroyVm, found: Folder) -> tuple[str, ...]:
    """What may be deleted, as it lies there now: of a VM that is not registered, only while it is known to be ours."""
    making = change.making

    def text(name: str) -> bytes | None:
        return writer.files.small_file(making.datastore, f"{making.vm}/{name}") if name in found.files else None

    look = FolderLook(found.files, found.folders, text(NOTE))
    if change.registered:
        return own_files(making, look)
    mine = remains(making, replace(look, vmx=text(making.vmx)))
    if not mine:
        raise HomelabError(
            f"what lies in {making.place} is not known to be of the VM {change.target} any more",
            where=writer.where,
            advice="Somebody changed it since the plan was made; run again and look at the new plan",
        )
    return mine
