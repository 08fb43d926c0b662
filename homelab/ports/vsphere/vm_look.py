"""What one look tells of a VM, and which of the VMs that carry a mark of ours is ours."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from homelab.errors import Refused

SEED = "seed.iso"
LAB, NAME, ID = "homelab.lab", "homelab.name", "homelab.id"
IMAGE, HOST_KEY, MADE = "homelab.image", "homelab.host_key", "homelab.made"
# Stands beside a seed of ours in the VM's configuration, and goes with it: then guestinfo is somebody else's.
SEEDED, GUESTINFO = "homelab.seed", "guestinfo"


def identity(instance_uuid: str, path: str) -> str:
    """What the mark `homelab.id` says of a VM: its instance UUID and the datastore path of its .vmx.

    Both, for a .vmx that was copied and registered keeps its `vc.uuid` (hashicorp/packer#7141), and a folder can be
    used again by another VM.
    """
    return f"{instance_uuid.lower()} {path}"


@dataclass(frozen=True)
class VmDisk:
    """A disk that a VM has in it: the path of its descriptor, and its size in bytes, 0 where it is not told."""

    path: str
    size: int


@dataclass(frozen=True)
class VmNic:
    """A NIC of a VM: its MAC, and the port group that it is plugged into; empty what is not told."""

    mac: str
    network: str


@dataclass(frozen=True)
class VmLook:
    """A VM. `marks` are its extraConfig keys that begin with `homelab.`; `files` the paths of its disks and images.

    All paths are datastore paths, `path` that of its .vmx. `seed` is the seed in one of its CD-ROM drives, if it is
    the one in the VM's own folder; no other image is ours. `seed_connected` is whether a VM that is on sees it.
    `readable` is False for a VM whose .vmx the host cannot
    read: it has neither marks nor files then, whatever it carries.
    """

    moid: str
    name: str
    powered_on: bool
    path: str
    marks: Mapping[str, str]
    seed: str | None
    nics: tuple[VmNic, ...]
    files: tuple[str, ...] = ()
    instance_uuid: str = ""
    readable: bool = True
    cpus: int = 0
    memory_mib: int = 0
    disks: tuple[VmDisk, ...] = ()
    booted: datetime | None = None
    seed_connected: bool = True

    @property
    def guestinfo(self) -> bool:
        """Whether our seed stands in its configuration."""
        return self.marks.get(SEEDED) == GUESTINFO

    @property
    def seeded(self) -> bool:
        """Whether it still has a seed of ours, in a drive or in its configuration."""
        return bool(self.seed) or self.guestinfo

    def uses(self, datastore: str) -> bool:
        """Whether any of its files lies on a datastore."""
        return any(path.startswith(f"[{datastore}]") for path in (self.path, *self.files))

    def uses_place(self, place: str) -> bool:
        """Whether a datastore path is one of its files, or a folder that one of them lies in."""
        return any(path == place or path.startswith(f"{place}/") for path in (self.path, *self.files))

    def carries(self, lab: str, name: str) -> bool:
        """Whether it carries our mark for this name, whatever it is called now; a copy carries it too."""
        return self.marks.get(LAB) == lab and self.marks.get(NAME) == name

    def may_be(self, name: str) -> bool:
        """Whether a VM that cannot be read may be the one of that name: that is what we call the .vmx.

        A host that never read it since its boot may tell the .vmx in place of the name, or nothing at all: then it may
        be any VM ("no configuration can be returned", VirtualMachineConnectionState).
        """
        if self.readable:
            return False
        told = [text for text in (self.path, self.name) if text.endswith(".vmx")]
        return self.name == name or not told or any(text.endswith(f"/{name}.vmx") for text in told)

    @property
    def identity(self) -> str:
        """What its mark says if it is the VM that was marked."""
        return identity(self.instance_uuid, self.path)

    @property
    def original(self) -> bool:
        """Whether it is the VM that was marked; earlier versions did not say which one that was."""
        return self.marks.get(ID, self.identity) == self.identity


Found = tuple[str, VmLook]


def own_seed(path: str, images: Sequence[str]) -> str | None:
    """The seed of a VM whose .vmx is at `path`, if it is among the images in its drives."""
    seed = f"{path.rpartition('/')[0]}/{SEED}"
    return seed if seed in images else None


def the_one(name: str, found: Sequence[Found]) -> Found | None:
    """The VM of ours among those that carry the mark of one name, with its host; None when nobody carries it.

    Raises Refused when there are two, or when the only one is not the VM that was marked: then none is touched.
    """
    if len(found) > 1:
        raise Refused(
            f"{len(found)} VMs carry the mark of {name}, and neither is touched: {', '.join(map(_told, found))}",
            where=name,
            advice="Unregister the one that is not wanted (its files stay), or take the keys homelab.* out of its "
            "configuration parameters, and run again",
        )
    if found and not found[0][1].original:
        host, vm = found[0]
        raise Refused(
            f"the VM {vm.path} on {host} carries the mark of {name}, but it is not the VM that was marked: "
            f"{ID} is '{vm.marks[ID]}'",
            where=name,
            advice=f"If it is a copy, take the keys homelab.* out of its configuration parameters, or unregister it; "
            f"if you moved {name} there yourself, set {ID} to '{vm.identity}'; then run again",
        )
    return found[0] if found else None


def _told(found: Found) -> str:
    host, vm = found
    if ID not in vm.marks:
        return f"{vm.path} on {host}"
    made = vm.marks[ID].partition(" ")[2]
    return f"{vm.path} on {host} ({'the one that was made' if vm.original else f'a copy of {made}'})"
