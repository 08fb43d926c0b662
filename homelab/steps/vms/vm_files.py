"""What of a VM's folder is the VM's own, when it is destroyed: known by name, and by what its .vmx and note say. Pure.

Ours are the files that we wrote, and what the host makes beside them for this VM. Anything else is somebody else's.
"""

import re
from collections.abc import Iterable

from homelab.formats.vmx import vmx_values
from homelab.ports.vsphere.vm_look import ID, LAB, NAME, identity
from homelab.steps.vms.vm_folder import NOTE, FolderLook, Making

# Locks of a host that has a file open on NFS 3: they go by themselves, and are never deleted.
LOCK = re.compile(r"\.lck-[0-9a-f]+|.*\.lck")


def is_its_own(making: Making, name: str) -> bool:
    """Whether a file of that name in the VM's folder is one that we wrote or that the host makes for it."""
    vm = re.escape(making.vm)
    made = rf"{vm}\.(vmx|vmx~|vmxf|nvram|vmsd)|{vm}-aux\.xml|vmware(-\d+)?\.log"
    swap = rf"{vm}-[0-9a-f]{{8}}\.(vswp|hlog)|{vm}\.vswp|vmx-{vm}-\d+-\d+\.vswp"
    return name in making.any_files or bool(re.fullmatch(f"{made}|{swap}", name))


def own_files(making: Making, look: FolderLook) -> tuple[str, ...]:
    """The files to delete, in their order: the .vmx goes last, for it tells whose the others are."""
    found = [name for name in look.files if is_its_own(making, name)]
    if making.wrote(look.note) and NOTE in look.files:
        found.append(NOTE)
    ranks = (*making.any_files, NOTE)
    return tuple(sorted(found, key=lambda name: (name == making.vmx, name not in ranks, _rank(ranks, name), name)))


def strangers(making: Making, look: FolderLook) -> tuple[str, ...]:
    """What else lies there, by name; it stays."""
    mine = own_files(making, look)
    return tuple(name for name in (*look.files, *look.folders) if name not in mine and not LOCK.fullmatch(name))


def remains(making: Making, look: FolderLook | None) -> tuple[str, ...]:
    """The files of a VM of ours that no host has registered: its .vmx says that it is ours, or our note lists them."""
    if look is None:
        return ()
    if look.vmx is not None and is_vmx_of(making, look.vmx):
        return own_files(making, look)
    if making.vmx not in look.files and making.wrote(look.note):
        return tuple(name for name in own_files(making, look) if name in (*making.listed(look.note), NOTE))
    return ()


def _rank(names: Iterable[str], name: str) -> int:
    ranks = list(names)
    return ranks.index(name) if name in ranks else len(ranks)


def is_vmx_of(making: Making, text: bytes) -> bool:
    """Whether a .vmx carries our mark, and is the very one that was marked: it lies where the mark says."""
    told = vmx_values(text.decode(errors="replace"))
    instance = re.sub(r"[^0-9a-f]", "", told.get("vc.uuid", "").lower())
    marked = (told.get(LAB), told.get(NAME)) == (making.lab, making.vm)
    same = instance == making.instance_uuid.replace("-", "").lower()
    return marked and same and told.get(ID) == identity(making.instance_uuid, f"{making.place}/{making.vmx}")
