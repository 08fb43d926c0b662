"""What is on a disk, as a person is told before it is lost; and whether all of it is ours. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from homelab.formats.boot.stick_image import NotOurs, StickImage, lone_partition, recognise
from homelab.formats.disk.stick_marker import SECTOR, read_marker
from homelab.formats.fat.layout import STAMP
from homelab.formats.fat.names import is_litter
from homelab.formats.fat.read import Fat32, NoFat32
from homelab.formats.fat.volume import Read

# Names of libblkid (util-linux) in words; others are told as they are.
WORDS = {
    "BitLocker": "BitLocker encryption",
    "LVM2_member": "a part of an LVM volume group",
    "VMFS": "a VMFS datastore",
    "VMFS_volume_member": "a VMFS datastore",
    "crypto_LUKS": "LUKS encryption",
    "ddf_raid_member": "a part of a RAID (DDF)",
    "isw_raid_member": "a part of a RAID (Intel)",
    "linux_raid_member": "a part of a RAID (md)",
    "vfat": "a FAT file system",
    "zfs_member": "a part of a ZFS pool",
}
# Tables say where data is and hold none; PMBR is the first sector of a GPT.
TABLES = {"PMBR", "aix", "atari", "bsd", "dos", "gpt", "mac", "sgi", "solaris-x86", "sun", "ultrix", "unixware"}
# What `diskutil` calls them.
TABLES |= {"Apple_partition_scheme", "FDisk_partition_scheme", "GUID_partition_scheme"}
FATS = {"vfat", "DOS_FAT_32", "Windows_FAT_32"}
NOTHING_KNOWN = "data of an unknown kind"
SHOWN_FILES = 5
# So many bytes of a stamp tell when a file was made; the rest tells of its last write.
MADE = 5


@dataclass(frozen=True)
class Sign:
    """One thing that a program recognised: `kind` as that program calls it."""

    kind: str
    label: str = ""
    uuid: str = ""

    def __str__(self) -> str:
        if self.kind in TABLES:
            return f"a partition table ({self.kind})"
        label = f' "{self.label}"' if self.label else ""
        return f"{WORDS.get(self.kind, self.kind)}{label}"


@dataclass(frozen=True)
class Part:
    """What was seen of a disk as a whole or of one partition.

    `blank`: its first and last megabyte are zero. `files` are names in the root of a FAT volume, None when they were
    not read. `unknown` is a clause: why nobody could look.
    """

    name: str
    signs: tuple[Sign, ...] = ()
    blank: bool = False
    files: tuple[str, ...] | None = None
    unknown: str = ""

    @property
    def kinds(self) -> set[str]:
        """The kinds of what was recognised."""
        return {sign.kind for sign in self.signs}


@dataclass(frozen=True)
class Contents:
    """`things` are clauses, one for each thing that would be lost; `ours` is one when all of it was written by us.

    `seen` is what these were told from: two looks are the same when it is.
    """

    things: tuple[str, ...]
    ours: str = ""
    seen: tuple[Part, ...] = ()

    @property
    def foreign(self) -> tuple[str, ...]:
        """What would be lost and is not known to be ours."""
        return () if self.ours else self.things

    def __str__(self) -> str:
        if self.ours:
            return self.ours
        return "; ".join(self.things) or "nothing: its first and its last megabyte are zero"


def contents_of(read: Read, size: int, parts: Sequence[Part]) -> Contents:
    """Put together what was seen; the whole disk comes first in `parts`."""
    whole, *partitions = parts
    first = read(0, SECTOR)
    marker, known = read_marker(first), _known(read, size)
    added = _added(read, size) if known and known.kind == "installer" else ""
    # Somebody's host with all its settings, whoever put it there.
    host = f"an installed ESXi {known.build}".rstrip() if known and known.kind == "installed" else ""
    things = [
        *filter(None, (str(marker or ""), host)),
        *_of_disk(whole, partitions),
        *(thing for part in partitions for thing in _of_partition(part)),
        *filter(None, (added,)),
    ]
    ours = ""
    if marker and not any(part.signs for part in parts):
        ours = str(marker)
    elif known and known.kind == "installer" and _alone(first, parts) and not added:
        ours = f"an installer made by homelab (ESXi {known.build or 'unknown'})"
    could_look = not any(part.unknown for part in parts)
    return Contents(tuple(things), ours if could_look else "", tuple(parts))


def _known(read: Read, size: int) -> StickImage | None:
    try:
        return recognise(read, size)
    except NotOurs:
        return None


def _added(read: Read, size: int) -> str:
    """What there is on an installer of ours that is not: a clause, empty when there is nothing."""
    try:
        found = Fat32(read, size)
    except NoFat32 as error:
        return f"a file system that cannot be read: {error}"
    if laid := laid_on(found):
        return f"what homelab did not put there: {shown(laid)}"
    return f"a file system that is not sound: {found.problems[0]}" if found.problems else ""


def laid_on(found: Fat32) -> list[str]:
    """What somebody laid on an installer of ours, or changed there, by path; what systems lay there is left out."""
    folders, laid = set(found.folders), []
    for path, stamp in sorted(found.stamps.items()):
        # A folder is dated anew whenever something is laid into it, be it litter.
        told = MADE if path in folders else len(STAMP)
        if stamp[:told] != STAMP[:told] and not is_litter(path):
            laid.append("/".join(path))
    return laid


def _alone(first: bytes, parts: Sequence[Part]) -> bool:
    """Whether a stick that begins as one of ours has one FAT partition and nothing else."""
    whole, *partitions = parts
    strange = whole.kinds - TABLES or any(part.kinds - FATS for part in partitions)
    return lone_partition(first) and len(partitions) <= 1 and not strange


def _of_disk(whole: Part, partitions: Sequence[Part]) -> Iterator[str]:
    """The things on the disk itself; a table that leads to partitions is told by them."""
    things = _things(whole)
    if partitions:
        tables = {str(sign) for sign in whole.signs if sign.kind in TABLES}
        return (thing for thing in things if thing not in tables)
    return things


def _of_partition(part: Part) -> Iterator[str]:
    return (f"{part.name}: {thing}" for thing in _things(part))


def _things(part: Part) -> Iterator[str]:
    """Each thing once, however many places of it were recognised."""
    if part.unknown:
        yield f"{NOTHING_KNOWN} ({part.unknown})"
    elif not part.signs and not part.blank:
        yield NOTHING_KNOWN
    yield from dict.fromkeys(f"{sign}{_files(part.files) if sign.kind in FATS else ''}" for sign in part.signs)


def _files(names: tuple[str, ...] | None) -> str:
    if names is None:
        return ""
    return f" with {shown(names)}" if names else " without files"


def shown(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - SHOWN_FILES} more" if len(names) > SHOWN_FILES else ""
    return f"{', '.join(names[:SHOWN_FILES])}{more}"
