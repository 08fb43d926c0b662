"""The NIC driver of a host without a network: boot.cfg of its installed stick mended."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from stat import S_IFREG

from homelab.engine.consent import check_as_shown
from homelab.engine.step import Asking, Change, Step, Words
from homelab.errors import HomelabError, Refused
from homelab.formats.boot.boot_bank import OPTION, Bank, NoEsxi, active
from homelab.formats.boot.stick_fix import ActiveBank, NotFixable, read_bank, wanted_text
from homelab.formats.disk.devices import Device, refusal
from homelab.formats.fat.names import FatError
from homelab.lab import Lab
from homelab.ports.media.devices import Medium, opened
from homelab.ports.media.stick_file import kind_of
from homelab.ports.media.this_machine import ThisMachine, refuse

TRIED_ONCE = "this bank is tried once after an upgrade; if that fails, the other one is started, without the option"


@dataclass(frozen=True)
class StickState:
    """An installed stick: a disk, or None for the image of one in a file, and the bank that it starts from."""

    path: Path
    device: Device | None
    bank: ActiveBank


@dataclass(frozen=True)
class MendStick(Change):
    """Write the boot.cfg of a stick's active bank; `named` is how the person called the stick."""

    named: str
    path: Path
    device: Device | None = field(compare=False)
    bank: ActiveBank
    text: bytes = field(repr=False)
    undo: bool
    disruptive = True

    @property
    def asking(self) -> Asking:
        """A y is enough: what it takes away can be put back."""
        words = self.words
        return Asking(
            lines=(words.sentence, f"why: {words.reason}", f"undo: {words.undo}"),
            warnings=(TRIED_ONCE,) if self.bank.tried_once else (),
            loss="the stick would be changed",
            advice="Run it with --yes",
            place=str(self.path),
        )

    def differs_from(self, shown: Change) -> str:
        """Another stick, another bank of it, or another boot.cfg."""
        same = isinstance(shown, MendStick) and self.bank == shown.bank
        return "" if same else "the stick is not as it was shown any more"

    def _words(self) -> Words:
        what = f"takes {OPTION} out of" if self.undo else f"appends {OPTION} to"
        back = "" if self.undo else " --undo"
        return Words(
            sentence=f"{what} kernelopt= of boot.cfg in the active {self.bank.name} of the stick of {self.target}; "
            "nothing else on it changes",
            reason=f"vmklinux drivers (e1000e) {'no longer ' if self.undo else ''}go before native ones (ne1000)",
            undo=f"homelab driver-fix {self.target} --stick {self.named}{back}",
            before=f"{'with' if self.undo else 'without'} {OPTION}",
            after=f"{'without' if self.undo else 'with'} {OPTION}",
        )


class StickDriverFix(Step[StickState, MendStick]):
    """Has an installed stick prefer vmklinux drivers at its next boots; `undo` takes that away again."""

    name = "driver-fix"

    def __init__(self, host: str, stick: str, *, undo: bool) -> None:
        self._host, self._stick, self._undo = host, stick, undo

    def targets(self, lab: Lab) -> Sequence[str]:
        """The host whose stick it is; no inventory need know it."""
        return (self._host,)

    def observe(self, world: ThisMachine, lab: Lab, target: str) -> StickState:
        """Read the active bank of a device, or of the image of a stick."""
        path, device = Path(self._stick), None
        if kind_of(path) != S_IFREG:
            device = world.disk(self._stick)
            refuse(refusal(device), device)
            path = Path(device.path)
        with opened(path.name, path, write=False, size=_size(device)) as medium:
            bank, _ = _read_bank(medium)
        return StickState(path, device, bank)

    def plan(self, lab: Lab, target: str, observed: StickState) -> Sequence[MendStick]:
        """Change boot.cfg where it lacks what is wanted; Refused on a release that has no such option."""
        bank = observed.bank
        try:
            text = wanted_text(bank, undo=self._undo)
        except NotFixable as error:
            what = f"{error}; nothing was written"
            raise Refused(what, where=str(observed.path), advice=error.advice) from None
        if text == bank.text:
            return []
        return [MendStick(target, self._stick, observed.path, observed.device, bank, text, self._undo)]

    def apply(self, world: ThisMachine, change: MendStick) -> None:
        """Write it and read it back, after one more look through what is opened for writing."""
        with _for_writing(world, change) as medium:
            # What the system kept since the first look may be older than the stick.
            medium.forget()
            found, bank = _read_bank(medium)
            check_as_shown(change, replace(change, bank=found), world.voice)
            _put(medium, bank, change)


@contextmanager
def _for_writing(world: ThisMachine, change: MendStick) -> Iterator[Medium]:
    """The stick opened, and still the same one afterwards."""
    device, path = change.device, change.path
    if device:
        world.disks.free(world.same_disk(device))
    with opened(path.name, path, write=True, size=_size(device)) as medium:
        if device:
            world.same_disk(device)
        yield medium


def _size(device: Device | None) -> int:
    return device.size if device else 0


def _read_bank(medium: Medium) -> tuple[ActiveBank, Bank]:
    try:
        return read_bank(medium.read)
    except (NoEsxi, FatError) as error:
        advice = "Name a stick on which ESXi was installed; an installer stick is made right by `homelab usb build`"
        raise Refused(f"{error}; nothing was written", where=str(medium.path), advice=advice) from None


def _put(medium: Medium, bank: Bank, change: MendStick) -> None:
    try:
        batches = bank.volume.replaced(bank.entry, change.text)
    except FatError as error:
        what = f"{change.bank.name}: {error}; nothing was written"
        raise Refused(what, where=str(medium.path), advice="Take the console: docs/hardware.md") from None
    medium.put(batches)
    medium.forget()
    if not _holds(medium, change):
        what = "the stick gave back something else than was written"
        raise HomelabError(what, where=str(medium.path), advice="Take another stick, and install it anew")


def _holds(medium: Medium, change: MendStick) -> bool:
    with suppress(NoEsxi, FatError):
        again = active(medium.read)
        return (again.number, again.text) == (change.bank.number, change.text)
    return False
