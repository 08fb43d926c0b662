"""What the console of a VM shows, kept beside the run's logs: the last thing to look at when a guest never comes."""

from pathlib import Path

from homelab.errors import HomelabError, Refused
from homelab.ports.vsphere.folders import delete_file, list_folder
from homelab.ports.vsphere.storage import picture
from homelab.ports.vsphere.vms import console_picture, split_path
from homelab.ports.world import World

SECONDS = 60.0


def kept_picture(world: World, host: str, vmx: str, vm: str) -> Path | None:
    """A picture of the console of the VM of a .vmx; None when the host gives none, and why stands in the log.

    The host lays it into the VM's folder, where it is taken away again.
    """
    try:
        if not world.host(host).api_writes:
            raise Refused("the licence lets the API only read", where=host, advice="Look at it in the host's web page")
        return world.files.keep_picture(f"{vm}-console.png", _taken(world, host, vmx, vm))
    except HomelabError as error:
        world.run.log(f"no picture of the console of {vm}: {error.what}")
        return None


def _taken(world: World, host: str, vmx: str, vm: str) -> bytes:
    datastore, path = split_path(vmx)
    folder = path.rpartition("/")[0]
    progress = world.progress(f"a picture of the console of {vm}", SECONDS)
    with world.session(host) as session:
        before = list_folder(session, datastore, folder, seconds=SECONDS, progress=progress)
        told = console_picture(session, vmx, vm, seconds=SECONDS, progress=progress)
        place, _, name = told.rpartition("/")
        content = picture(session, datastore, f"{folder}/{name}")
        # Ours is what came by this very call: a file that was there before is somebody's.
        if place == f"[{datastore}] {folder}" and name.endswith(".png") and before and name not in before.names:
            delete_file(session, datastore, f"{folder}/{name}", seconds=SECONDS, progress=progress)
    return content
