"""The offline fix: the boot.cfg of a stick's active bank, and what becomes of it. Pure."""

import hashlib
from dataclasses import dataclass, field

from homelab.formats.boot.boot_bank import (
    FIXABLE,
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
from homelab.formats.fat.volume import Read


class NotFixable(ValueError):
    """This stick cannot be mended so; the text is a clause, `advice` what to do."""

    def __init__(self, what: str, advice: str) -> None:
        super().__init__(what)
        self.advice = advice


@dataclass(frozen=True)
class ActiveBank:
    """The bank that a stick starts from, as it was read: `name` tells it to people, `number` is its partition's.

    `stick` digests what no other stick has: the head of its GPT and the first sector of the bank's volume. `tried_once`
    after an upgrade: the other bank is started when this one fails.
    """

    stick: str
    name: str
    number: int
    release: str
    tried_once: bool
    text: bytes = field(repr=False)

    @property
    def has_option(self) -> bool:
        """Whether boot.cfg asks for vmklinux drivers."""
        return has_option(self.text)


def read_bank(read: Read) -> tuple[ActiveBank, Bank]:
    """The active bank, also as what is written through while its medium is open; NoEsxi or FatError when none is."""
    mark = read_marker(read(0, SECTOR))
    if mark:
        raise NoEsxi(str(mark))
    bank = active(read)
    heads = read(SECTOR, SECTOR) + read(bank.start, SECTOR)
    stick, tried_once = hashlib.sha256(heads).hexdigest(), bank.state == UPGRADING
    return ActiveBank(stick, str(bank), bank.number, bank.release, tried_once, bank.text), bank


def wanted_text(bank: ActiveBank, *, undo: bool) -> bytes:
    """What boot.cfg becomes by the offline fix, or by its undoing; NotFixable when that is nothing that could be."""
    if bank.release not in FIXABLE:
        advice = "The option exists on 6.5 and 6.7 only; from 7.0 on no vmklinux driver is there, and ne1000 must stay"
        raise NotFixable(f"{bank.name}: this release cannot be fixed so", advice)
    try:
        return unfixed(bank.text) if undo else fixed(bank.text)
    except BootCfgError as error:
        raise NotFixable(f"boot.cfg of the active {bank.name} {error}", "Look at the stick's boot.cfg") from None
