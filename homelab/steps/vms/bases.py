"""Bases: the disks that linked VMs sit on, one for each size, beside the image that they are copied from. Pure.

A child disk is as large as its parent, and never grows. So each `vm_disk_gib` that a linked VM wants has a copy of the
image of that very size, made once and shared. A base has its name only once it is whole: until then it is a part.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from homelab.engine.step import Change, Words
from homelab.errors import Refused
from homelab.formats.disk.vmdk import GIB
from homelab.lab import Lab
from homelab.steps.vms.image_paths import images_of


@dataclass(frozen=True)
class MakeBase(Change):
    """Copy the image to a base of so many GiB, through one host that mounts the datastore.

    `image` and `path` are relative to the datastore; `vms` are those that wait for it. `leftovers` are the files of a
    base that an interrupted run did not finish, by name; they go first.
    """

    datastore: str
    image: str
    path: str
    size_gib: int
    via: str
    vms: tuple[str, ...]
    leftovers: tuple[str, ...] = ()

    def _words(self) -> Words:
        return Words(
            sentence=f"copy the image to a base of {self.size_gib} GiB on the datastore {self.datastore} "
            f"through {self.via}",
            reason=f"the disks of {', '.join(self.vms)} are to sit on it",
            undo=f"delete [{self.datastore}] {self.path} and its -flat.vmdk while no VM sits on it",
            before=f"half-made by an earlier run: {', '.join(self.leftovers)}" if self.leftovers else "absent",
            after=f"[{self.datastore}] {self.path}",
        )


@dataclass(frozen=True)
class BasesLook:
    """The names in the images' folder, where anybody wants to know; `wanted` is size in GiB -> the VMs that wait.

    `image_bytes` is the size of the image's disk, 0 where it was not asked.
    """

    files: tuple[str, ...] = ()
    wanted: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    image_bytes: int = 0


def base_path(image: str, size_gib: int) -> str:
    """The descriptor of the base of one size, beside its image's."""
    return f"{image.removesuffix('.vmdk')}-{size_gib}g.vmdk"


def part_path(base: str) -> str:
    """The descriptor of a base that is not whole yet."""
    return base.removesuffix(".vmdk") + ".part.vmdk"


def is_base(lab: str, datastore: str, path: str) -> bool:
    """Whether a datastore path is that of a base of a lab: nobody who destroys a VM ever deletes it."""
    folder = re.escape(f"[{datastore}] {images_of(lab)}/")
    return bool(re.fullmatch(rf"{folder}[0-9a-f]{{64}}-\d+g\.vmdk", path))


def linked_sizes(lab: Lab) -> set[int]:
    """The sizes in GiB of all linked VMs of the inventory."""
    return {vm.disk_gib for vm in lab.vms if vm.managed and vm.clone == "linked"}


def wanted_bases(lab: Lab, there: Collection[str]) -> dict[int, tuple[str, ...]]:
    """Size in GiB -> the linked VMs that are to be made on a base of it; `there` are the VMs that exist."""
    found: dict[int, tuple[str, ...]] = {}
    for vm in lab.vms:
        if vm.managed and vm.clone == "linked" and vm.wanted == "on" and vm.name not in there:
            found[vm.disk_gib] = (*found.get(vm.disk_gib, ()), vm.name)
    return found


def is_whole(base: str, files: Collection[str]) -> bool:
    """Whether a base lies among the files of its folder, which are told by name."""
    return {*_pair(base)} <= {*files}


def unfinished(base: str, files: Collection[str]) -> tuple[str, ...]:
    """What an interrupted run left of a base: its part, and half of itself. On neither can anybody sit."""
    halves = () if is_whole(base, files) else _pair(base)
    return tuple(name for name in (*_pair(part_path(base)), *halves) if name in files)


def bases_among(image: str, files: Iterable[str]) -> list[str]:
    """The descriptors of all bases, and parts of bases, of an image that any file in its folder tells of."""
    folder, _, name = image.rpartition("/")
    ours = re.compile(rf"({re.escape(name.removesuffix('.vmdk'))}-\d+g(\.part)?)(-flat)?\.vmdk")
    found = (ours.fullmatch(file) for file in files)
    return [f"{folder}/{stem}.vmdk" for stem in dict.fromkeys(one[1] for one in found if one)]


def missing_bases(target: str, datastore: str, image: str, via: str, look: BasesLook) -> list[MakeBase]:
    """The bases to make. Raises Refused for one that is smaller than the image."""
    made = []
    for size, vms in look.wanted.items():
        base = base_path(image, size)
        if not is_whole(base, look.files):
            check_size(size, vms, look.image_bytes)
            made.append(MakeBase(target, datastore, image, base, size, via, vms, unfinished(base, look.files)))
    return made


def check_size(size_gib: int, vms: Sequence[str], image_bytes: int) -> None:
    """Refused when the image is larger than the disks that are wanted of it; 0 is an image of unknown size."""
    if image_bytes > size_gib * GIB:
        raise Refused(
            f"a disk of {size_gib} GiB cannot be made of an image of {image_bytes / GIB:.4g} GiB: disks only grow",
            where=", ".join(vms),
            advice=f"Set vm_disk_gib to {-(-image_bytes // GIB)} or more",
        )


def _pair(descriptor: str) -> tuple[str, str]:
    """The names of a disk's two files."""
    name = descriptor.rpartition("/")[2]
    return name, name.removesuffix(".vmdk") + "-flat.vmdk"
