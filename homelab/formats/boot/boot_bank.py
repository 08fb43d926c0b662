"""An installed ESXi on a stick: its two boot banks, the active one, and the boot option in its boot.cfg. Pure.

The stick has a GPT; the boot banks are the FAT16 partitions 5 and 6 (sectors 8224-520191 and 520224-1032191 on 6.x).
The active bank has the highest `updated=` of those whose `bootstate=` is 0 (valid) or 1 (about to become 2; 3 is
empty), whose `updated=` is not 0, whose `build=` is not empty and whose `quickboot=` is not set.
Source: VMware's esx-boot (safeboot/bootbank.c, safeboot/config.c), from 6.7 U1 to 9.0.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from homelab.formats.boot.boot_cfg import BootCfgError, refuse_mark, values_of, with_options, without_options, words
from homelab.formats.disk.partition_tables import NoGpt, read_gpt
from homelab.formats.fat.names import FatError
from homelab.formats.fat.volume import Entry, Read, Volume, open_volume

SECTOR = 512
BANKS = (5, 6)
VALID, UPGRADING = 0, 1
STATES = {0: "valid", 1: "to be tried once", 2: "failed", 3: "empty"}
FIXABLE = ("6.5", "6.7")
OPTION = "preferVmklinux=TRUE"


class NoEsxi(ValueError):
    """There is no installed ESXi that could be used; the text is a clause about the stick."""


@dataclass(frozen=True)
class Bank:
    """One boot bank: `number` is its partition's, which begins at the byte `start`; `values` by lower-case key."""

    number: int
    start: int
    volume: Volume = field(repr=False)
    entry: Entry
    text: bytes = field(repr=False)
    values: dict[str, str] = field(repr=False)

    @property
    def state(self) -> int:
        """`bootstate=`; 0 (valid) when it is missing, -1 when it is not a number."""
        return _number(self.values, "bootstate", -1)

    @property
    def updated(self) -> int:
        """`updated=`: the higher, the newer; 0 when it is missing or no number."""
        return _number(self.values, "updated", 0)

    @property
    def build(self) -> str:
        """`build=`, as in 6.7.0-1.28.10302608."""
        return self.values.get("build", "")

    @property
    def release(self) -> str:
        """The first two numbers of the build; empty when there is none."""
        return release_of(self.build)

    def __str__(self) -> str:
        state = STATES.get(self.state, "of an unknown state")
        state = "for one Quick Boot" if _number(self.values, "quickboot", 0) else state
        return f"boot bank {self.number} (ESXi {self.build or 'unknown'}, updated={self.updated}, {state})"


def _number(values: Mapping[str, str], key: str, otherwise: int) -> int:
    """A number as the loader reads it: 0 for none, `otherwise` for a text at which it gives up the whole file."""
    text = values.get(key) or "0"
    return int(text) if re.fullmatch(r"\d{1,18}", text) else otherwise


def release_of(build: str) -> str:
    """6.7 of 6.7.0-8169922; empty when it begins otherwise."""
    found = re.match(r"(\d+\.\d+)\.\d+", build)
    return found[1] if found else ""


# --- the banks


def partitions(read: Read) -> dict[int, tuple[int, int]]:
    """The GPT's partitions: {number: (offset, bytes)}; NoEsxi when there is no sound GPT."""
    try:
        return read_gpt(read).partitions
    except NoGpt as error:
        raise NoEsxi(str(error)) from None


def banks(read: Read) -> tuple[list[Bank], list[str]]:
    """The boot banks that can be read, and for each other one a clause that says why not."""
    places = partitions(read)
    if not set(BANKS) <= set(places):
        raise NoEsxi("it lacks the partitions 5 and 6, the boot banks of ESXi")
    found, faults = [], []
    for number in BANKS:
        try:
            volume = open_volume(read, *places[number])
            entry = volume.find("boot.cfg")
            if entry is None or entry.is_folder:
                raise FatError("it has no boot.cfg")
            text = volume.content(entry)
        except FatError as error:
            faults.append(f"boot bank {number}: {error}")
            continue
        found.append(Bank(number, places[number][0], volume, entry, text, values_of(text)))
    return found, faults


def active(read: Read) -> Bank:
    """The bank that the stick will start next; of two equal ones the first. NoEsxi when there is none."""
    found, faults = banks(read)
    doubt = "which boot bank is started cannot be told"
    for bank in found:
        try:
            refuse_mark(bank.text)
        except BootCfgError as error:
            raise NoEsxi(f"{doubt}: the boot.cfg of bank {bank.number} {error}") from None
    started = _started(found, keeps=False)
    if started is not _started(found, keeps=True):
        raise NoEsxi(f"{doubt}: a boot.cfg lacks a line, and boot loaders differ in what they take in its place")
    if started is None:
        raise NoEsxi(f"no boot bank of it can be started: {'; '.join([*map(str, found), *faults])}")
    return started


def _started(found: Sequence[Bank], *, keeps: bool) -> Bank | None:
    """The bank that a loader starts. One before 7.0.2 `keeps` what the bank before said where a line is missing."""
    told: dict[str, str] = {}
    able: list[tuple[int, Bank]] = []
    for bank in found:
        told = (told if keeps else {}) | bank.values
        updated = _number(told, "updated", 0)
        ready = _number(told, "bootstate", -1) in (VALID, UPGRADING) and not _number(bank.values, "quickboot", 1)
        if ready and updated and told.get("build"):
            able.append((updated, bank))
    return max(able, key=lambda one: (one[0], -one[1].number), default=(0, None))[1]


# --- the option


def has_option(text: bytes) -> bool:
    """Tell whether kernelopt= asks for vmklinux drivers."""
    return OPTION.lower() in words(values_of(text).get("kernelopt", "").lower())


def fixed(text: bytes) -> bytes:
    """The boot.cfg with the option that prefers vmklinux drivers; BootCfgError when that cannot be."""
    return text if has_option(text) else with_options(without_options(text, "preferVmklinux"), OPTION)


def unfixed(text: bytes) -> bytes:
    """The boot.cfg without it; BootCfgError when that cannot be."""
    return without_options(text, "preferVmklinux")
