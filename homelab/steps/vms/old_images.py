"""Step `old-images`: what the lab uploaded once, and copies no VM from any more, is gone. Only when asked for."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from homelab.engine.step import Blocked, Planned, Step
from homelab.lab import Lab
from homelab.ports.vsphere.vm_look import IMAGE, LAB
from homelab.ports.world import World
from homelab.steps.vms.bases import linked_sizes
from homelab.steps.vms.image import RemoveImage, host_with, own_host, remove_image
from homelab.steps.vms.image_paths import image_folder, is_host
from homelab.steps.vms.sitters import Sitters, sitters_at
from homelab.steps.vms.unregistered import unregistered_children

# What we call an image or a base of it, and their data; anything else in the folder is somebody else's.
DIGITS = 64
OURS = re.compile(r"(([0-9a-f]{64})(-(\d+)g(\.part)?)?)(-flat)?\.vmdk")


@dataclass(frozen=True)
class StoredImage:
    """An image on a datastore, a base of one, or half of either; `name` is its file's, without the end.

    `sha256` is that of the image; `vms` are the VMs that were copied from it and need it no more. `size` is that of its
    data in bytes, None while that is not there; `sitters` are the VMs whose disks sit on it. `host` is the one that has
    the datastore for itself, empty for the shared one.
    """

    datastore: str
    path: str
    name: str
    sha256: str
    size: int | None
    current: bool
    vms: tuple[str, ...]
    sitters: Sitters
    host: str = ""


@dataclass(frozen=True)
class OldImagesState:
    """`via` is the host that was asked, None when none has the datastore, or the host whose own it is is silent."""

    via: str | None
    images: tuple[StoredImage, ...] = ()


def image_stores(lab: Lab) -> dict[str, str]:
    """Where images of the lab may lie: the name of the NAS with its datastore, and those of hosts with their own."""
    shared = {nas.name: nas.datastore for nas in lab.nfs}
    return shared | {host.name: host.local_datastore for host in lab.esxi if host.local_datastore}


def stored_images(world: World, lab: Lab, target: str) -> OldImagesState:
    """Every image of this lab on one of its datastores, by the names that we give them."""
    datastore, host = image_stores(lab)[target], target if is_host(lab, target) else ""
    via = own_host(world, host, datastore) if host else host_with(world, datastore)
    if via is None:
        # A host that answers and has no such datastore has no image on it.
        return OldImagesState(host if host in world.reachable_hosts() else None)
    found = world.reader(via).folder(datastore, image_folder(lab))
    names = {match[1] for name in (found.files if found else ()) if (match := OURS.fullmatch(name))}
    children = unregistered_children(world, lab, via) if not host and any(map(_is_base, names)) else ()
    stored = (_stored(world, lab, via, datastore, name, children) for name in sorted(names))
    return OldImagesState(via, tuple(replace(image, host=host) for image in stored))


def _stored(world: World, lab: Lab, via: str, datastore: str, name: str, children: tuple[str, ...]) -> StoredImage:
    sha256, path = name[:DIGITS], f"{image_folder(lab)}/{name}.vmdk"
    looks, sitters = world.reachable_hosts().items(), sitters_at(world, via, datastore, path)
    return StoredImage(
        datastore=datastore,
        path=path,
        name=name,
        sha256=sha256,
        size=world.reader(via).file_size(datastore, f"{image_folder(lab)}/{name}-flat.vmdk"),
        current=sha256 == lab.image.sha256 and (name == sha256 or _size_of(name) in linked_sizes(lab)),
        vms=tuple(
            f"{vm.name} on {host}"
            for host, look in looks
            for vm in look.vms
            if name == sha256 and (vm.marks.get(LAB), vm.marks.get(IMAGE)) == (lab.name, sha256)
        ),
        sitters=replace(sitters, users=sitters.users + children) if _is_base(name) else sitters,
    )


def _why(lab: Lab, image: StoredImage) -> str:
    another = image.sha256 != lab.image.sha256
    return "the inventory names another image" if another else "no linked VM of the inventory has that size"


def _is_base(name: str) -> bool:
    return len(name) > DIGITS


def _size_of(name: str) -> int:
    """The GiB in a base's name."""
    return int(name[DIGITS + 1 :].partition("g")[0])


class OldImages(Step[OldImagesState, RemoveImage]):
    """One node for each datastore, named after the NAS, or the host whose own it is."""

    name = "old-images"

    def targets(self, lab: Lab) -> Sequence[str]:
        """The NAS, and the hosts with a datastore of their own."""
        return list(image_stores(lab)) if lab.esxi else []

    def observe(self, world: World, lab: Lab, target: str) -> OldImagesState:
        """Look into our own folder of images."""
        return stored_images(world, lab, target)

    def plan(self, lab: Lab, target: str, observed: OldImagesState) -> Sequence[Planned[RemoveImage]]:
        """Delete all but the inventory's image and the bases that it wants VMs on; none that a disk may sit on."""
        if observed.via is None:
            datastore = image_stores(lab)[target]
            own = f"{target} can be asked what lies on its datastore {datastore}"
            return [Blocked(target, own if is_host(lab, target) else f"a host mounts the datastore {datastore}")]
        old = [image for image in observed.images if not image.current and not image.sitters.users]
        if doubt := next((image.sitters.doubt for image in old if image.sitters.doubt), ""):
            return [Blocked(target, f"{doubt}: a disk there may sit on an old image")]
        return [RemoveImage(target, image.datastore, image.path, observed.via, _why(lab, image)) for image in old]

    def remarks(self, lab: Lab, target: str, observed: OldImagesState) -> Sequence[str]:
        """Which old ones stay."""
        return [
            f"the disks of {', '.join(image.sitters.users)} sit on the image {image.path}, so it stays"
            for image in observed.images
            if not image.current and image.sitters.users
        ]

    def apply(self, world: World, change: RemoveImage) -> None:
        """Delete it, asked once more who sits on it."""
        remove_image(world, change)
