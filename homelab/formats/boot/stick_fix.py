"""The offline fix as it is planned: which boot.cfg of which stick, from what to what. Pure."""

import hashlib
from dataclasses import dataclass, field

from homelab.formats.boot.boot_bank import (
    FIXABLE,
    OPTION,
    SECTOR,
    UPGRADING,
    Bank,
    NoEsxi,
    active,
    fixed,
    has_option,
    unfixed,
)
from homelab.formats.boot.boot_cfg import BootCfgError
from homelab.formats.disk.stick_marker import read_marker
from homelab.formats.fat.volume import Batches, Read


class NotFixable(ValueError):
    """This stick cannot be mended so; the text is a clause, `advice` what to do."""

    def __init__(self, what: str, advice: str) -> None:
        super().__init__(what)
        self.advice = advice


@dataclass(frozen=True)
class Fix:
    """One boot.cfg and what it becomes. Two fixes are the same when they do the same to the same stick.

    `stick` digests what no other stick has: the head of its GPT and the first sector of the bank's volume. `bank` is
    as it was read just now, and only good for as long as its medium is open.
    """

    stick: str
    name: str
    before: bytes = field(repr=False)
    after: bytes = field(repr=False)
    bank: Bank = field(repr=False, compare=False)

    @property
    def needed(self) -> bool:
        """Whether anything is left to be done."""
        return self.before != self.after

    @property
    def tried_once(self) -> bool:
        """Whether the bank is tried once after an upgrade, and the other one started when that fails."""
        return self.bank.state == UPGRADING

    @property
    def has_option(self) -> bool:
        """Whether boot.cfg asked for vmklinux drivers when it was read."""
        return has_option(self.before)

    def batches(self) -> Batches:
        """The writes that bring it about; FatError when they cannot be."""
        return self.bank.volume.replaced(self.bank.entry, self.after)


def plan_fix(read: Read, *, undo: bool) -> Fix:
    """What the offline fix, or its undoing, would write; NoEsxi, FatError or NotFixable when nothing can be."""
    mark = read_marker(read(0, SECTOR))
    if mark:
        raise NoEsxi(str(mark))
    bank = active(read)
    if bank.release not in FIXABLE:
        advice = "The option exists on 6.5 and 6.7 only; from 7.0 on no vmklinux driver is there, and ne1000 must stay"
        raise NotFixable(f"{bank}: this release cannot be fixed so", advice)
    try:
        after = unfixed(bank.text) if undo else fixed(bank.text)
    except BootCfgError as error:
        raise NotFixable(f"boot.cfg of the active {bank} {error}", "Look at the stick's boot.cfg") from None
    heads = read(SECTOR, SECTOR) + read(bank.start, SECTOR)
    return Fix(hashlib.sha256(heads).hexdigest(), str(bank), bank.text, after, bank)


def sentences(fix: Fix, host: str, device: str, *, undo: bool) -> list[str]:
    """What is changed, why, and what undoes it."""
    back = "" if undo else " --undo"
    what = f"takes {OPTION} out of" if undo else f"appends {OPTION} to"
    return [
        f"{what} kernelopt= of boot.cfg in the active {fix.name} of the stick of {host}; nothing else on it changes",
        f"why: vmklinux drivers (e1000e) {'no longer ' if undo else ''}go before native ones (ne1000)",
        f"undo: homelab driver-fix {host} --stick {device}{back}",
    ]
