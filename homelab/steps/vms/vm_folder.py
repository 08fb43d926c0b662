"""The folder that a VM is made in: what is in it, whose that is, and what of it may be removed. Pure.

Before anything else a note is laid into the folder: who makes which VM there, and which files that run writes. Only
what is in such a list, and in ours, is ever removed; the note goes when the VM is registered.
"""

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from homelab.errors import Refused
from homelab.ports.vsphere.vm_look import SEED

NOTE = ".homelab-being-made"
# The whole note of earlier versions: it names nobody, so beside anything but a VM of ours it is somebody else's.
OLD_NOTE = b"homelab\n"
NAMED = 12


@dataclass(frozen=True)
class Making:
    """One creation of one VM: the lab and the VM, the VM's instance UUID, and its folder `[datastore] vm`.

    Over SSH we write its .vmx ourselves (`writes_vmx`), and it may lie there before the host has the VM. The disk of a
    `linked` one sits on a base, and the host makes it with the VM.
    """

    lab: str
    vm: str
    instance_uuid: str
    datastore: str
    writes_vmx: bool = False
    linked: bool = False

    @property
    def place(self) -> str:
        """The folder's datastore path."""
        return f"[{self.datastore}] {self.vm}"

    @property
    def disk(self) -> str:
        """The name of the disk's descriptor."""
        return f"{self.vm}.vmdk"

    @property
    def vmx(self) -> str:
        """The name of its .vmx."""
        return f"{self.vm}.vmx"

    @property
    def files(self) -> tuple[str, ...]:
        """Every file that is written before the host has made the VM; what comes after belongs to the VM."""
        data = self.child_data if self.linked else (self.flat,)
        return (self.disk, *data, SEED, *([self.vmx] if self.writes_vmx else []))

    @property
    def flat(self) -> str:
        """The name of the data of a disk that is whole."""
        return f"{self.vm}-flat.vmdk"

    @property
    def child_data(self) -> tuple[str, ...]:
        """The names that the data of a child disk may have: on NFS and VMFS 5, and on VMFS 6 (SEsparse)."""
        return (f"{self.vm}-delta.vmdk", f"{self.vm}-sesparse.vmdk")

    @property
    def any_files(self) -> tuple[str, ...]:
        """The files of every kind: an earlier run may have gone another way."""
        return (self.disk, self.flat, *self.child_data, SEED, self.vmx)

    @property
    def any_notes(self) -> list[bytes]:
        """The notes of every kind."""
        ways = [(linked, writes) for linked in (False, True) for writes in (False, True)]
        return [replace(self, linked=linked, writes_vmx=writes).note for linked, writes in ways]

    def disk_among(self, files: Collection[str]) -> str | None:
        """The disk, if it lies whole among files that may go: one call deletes it then, descriptor and data.

        A child is deleted as files, by no call that knows of disks: what it sits on is others' too.
        """
        child = any(name in files for name in self.child_data)
        return self.disk if {self.disk, self.flat} <= {*files} and not child else None

    def listed(self, note: bytes | None) -> tuple[str, ...]:
        """The files that a note of this lab and VM lists, of those that we write."""
        named = _listed(note) if note and self.wrote(note) else ()
        return tuple(name for name in self.any_files if name in named)

    @property
    def note(self) -> bytes:
        """What the note holds: JSON, the same for the same creation."""
        told = {"made_by": "homelab", "lab": self.lab, "vm": self.vm, "id": self.instance_uuid, "files": self.files}
        return (json.dumps(told, indent=1) + "\n").encode()

    def wrote(self, note: bytes | None) -> bool:
        """Whether a note is of this lab and VM."""
        return _maker(note) == (self.lab, self.vm)


@dataclass(frozen=True)
class FolderLook:
    """What lies in the folder, by name, what its note and an unregistered .vmx hold, and which VMs have files in it.

    `doubt` is what must come first before that is known; empty when it is.
    """

    files: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    note: bytes | None = None
    users: tuple[str, ...] = ()
    doubt: str = ""
    vmx: bytes | None = None


def leftovers(making: Making, look: FolderLook | None) -> tuple[str, ...]:
    """The files of an earlier, half-made VM of ours, to be removed one by one; () in a folder that may be begun.

    Raises Refused, with all that is not ours by name, when there is anything else; None is a folder that is not there.
    """
    names = (*look.files, *look.folders) if look else ()
    if look is None or not names:
        return ()
    if look.users:
        raise _refused(making, f"it holds files of {_list(look.users)}", "Give one of the two another name")
    if look.note is None:
        raise _strangers(making, names)
    if names == (NOTE,) and any(note.startswith(look.note) for note in making.any_notes):
        return ()  # the note itself was cut off
    if not making.wrote(look.note):
        raise _of_others(making, look.note)
    mine = making.listed(look.note)
    strangers = [name for name in names if name != NOTE and (name not in mine or name in look.folders)]
    if strangers:
        raise _strangers(making, strangers)
    return tuple(name for name in mine if name in look.files)


def is_ours(making: Making, note: bytes | None) -> bool:
    """Whether a note beside the finished VM was left there by us, in this version or an earlier one."""
    return making.wrote(note) or note == OLD_NOTE


def _listed(note: bytes) -> tuple[str, ...]:
    """The files that a note of ours lists."""
    files = json.loads(note).get("files")
    return tuple(name for name in files if isinstance(name, str)) if isinstance(files, list) else ()


def _maker(note: bytes | None) -> tuple[str, str] | None:
    """The lab and the VM that a note names; None for what is no note of ours."""
    try:
        told = json.loads(note or b"")
        return (str(told["lab"]), str(told["vm"])) if told["made_by"] == "homelab" else None
    except (ValueError, TypeError, KeyError):
        return None


def _of_others(making: Making, note: bytes) -> Refused:
    maker = _maker(note)
    whose = f"the lab {maker[0]} makes its VM {maker[1]} there" if maker else "somebody makes a VM there"
    return _refused(
        making,
        f"{whose}, as its note {NOTE} {'says' if maker else 'lets suppose, which cannot be read'}",
        f"Let the other lab finish, or give {making.vm} another name; if nobody wants it any more, delete the folder",
    )


def _strangers(making: Making, names: Iterable[str]) -> Refused:
    found = tuple(names)
    if making.vmx in found:
        return _refused(
            making,
            f"it holds a whole VM that no host which answers has registered ({_list(found)})",
            f"A host that is off may have it: switch that on. Else register {making.vm}.vmx in the host's web page, "
            "or rename or delete the folder yourself",
        )
    return _refused(
        making,
        f"it holds what this lab did not lay there: {_list(found)}",
        "Look what it is, and move, rename or delete it yourself; then run again",
    )


def _refused(making: Making, what: str, advice: str) -> Refused:
    return Refused(
        f"the VM {making.vm} of the lab {making.lab} cannot be made in the folder {making.place}: {what}",
        where=making.place,
        advice=advice,
    )


def _list(names: Iterable[str]) -> str:
    found = list(names)
    more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
    return ", ".join(found[:NAMED]) + more
