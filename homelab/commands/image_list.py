"""The command `image list`: the lab's images on its datastores; changes nothing."""

from typing import Any

from homelab.commands.lab_run import open_run
from homelab.commands.options import Options
from homelab.errors import DONE, Unreachable
from homelab.output.table import table
from homelab.steps.vms.old_images import StoredImage, image_stores, stored_images

HEADS = ("IMAGE", "DATASTORE", "SIZE", "INVENTORY", "COPIED BY", "SAT ON BY")
DIGITS = 12


def image_list(options: Options) -> int:
    """Show every image that the lab has uploaded. Raises Unreachable when no host has the shared datastore."""
    run = open_run(options, ())
    found = {name: stored_images(run.world, run.lab, name) for name in image_stores(run.lab)} if run.lab.esxi else {}
    for name in (name for name, state in found.items() if state.via is None):
        if name in [nas.name for nas in run.lab.nfs]:
            raise Unreachable(
                f"no host that answers has the datastore {run.lab.nfs[0].datastore}",
                where=", ".join(host.name for host in run.lab.esxi),
                advice="See homelab doctor; homelab bootstrap mounts it",
            )
        run.note(f"{name} does not answer: what lies on its own datastore is not shown")
    images = [image for state in found.values() for image in state.images]
    if run.ui.json:
        run.ui.document({"images": [_fields(image) for image in images]})
        return DONE
    for line in table(HEADS, [_cells(image) for image in images]):
        run.ui.say(line)
    return DONE


def _fields(image: StoredImage) -> dict[str, Any]:
    return {
        "sha256": image.sha256,
        "datastore": image.datastore,
        "host": image.host or None,
        "path": image.path,
        "size": image.size,
        "current": image.current,
        "vms": list(image.vms),
        "linked": list(image.sitters.users),
    }


def _cells(image: StoredImage) -> tuple[str, ...]:
    size = f"{image.size / 1e6:.0f} MB" if image.size is not None else "half"
    current = "this one" if image.current else "another"
    told = image.sitters.users or ((f"unknown until {image.sitters.doubt}",) if image.sitters.doubt else ())
    return (
        image.sha256[:DIGITS] + image.name.removeprefix(image.sha256),
        f"{image.datastore} of {image.host}" if image.host else image.datastore,
        size,
        current,
        ", ".join(image.vms) or "-",
        ", ".join(told) or "-",
    )
