"""The command `driver-fix --stick`: boot.cfg of an installed stick mended, for a host without a network."""

import sys
from contextlib import suppress
from pathlib import Path
from stat import S_IFREG
from typing import TYPE_CHECKING

from homelab.commands.this_machine import chosen, look_again, only_outside_of_rehearsals, refuse
from homelab.errors import DONE, USAGE, HomelabError, Refused, UsageError
from homelab.formats.boot.boot_bank import OPTION, NoEsxi, active
from homelab.formats.boot.stick_fix import Fix, NotFixable, plan_fix, sentences
from homelab.formats.disk.devices import Device, refusal
from homelab.formats.fat.volume import FatError
from homelab.ports.media.devices import Disks, Medium, here, opened
from homelab.ports.media.stick_file import kind_of
from homelab.ports.signals import ended_like_interrupted

if TYPE_CHECKING:
    from homelab.commands.options import Options
    from homelab.output.ui import Ui


def offline_fix(
    options: "Options", hosts: tuple[str, ...], device: str, *, undo: bool, disks: Disks | None = None
) -> int:
    """Have an installed stick prefer vmklinux drivers at its next boots; `undo` takes that away again."""
    only_outside_of_rehearsals(options, "driver-fix --stick")
    if len(hosts) != 1:
        raise UsageError("--stick is for one host", where="command line", advice="Name the host whose stick it is")
    disks = disks or here()
    disk, path = _stick(disks, device)
    size = disk.size if disk else 0
    with opened(path.name, path, write=False, size=size) as medium:
        shown = _planned(medium, undo=undo)
    if not shown.needed:
        return _answer(options.ui, hosts[0], path, shown, undo=undo)
    _show(options.ui, shown, hosts[0], device, undo=undo)
    if not _consents(options):
        options.ui.warn("nothing was touched")
        return USAGE
    if disk:
        disks.free(look_again(disks, disk))
    with opened(path.name, path, write=True, size=size) as medium:
        if disk:
            look_again(disks, disk)
        # What the system kept since the first look may be older than the stick.
        medium.forget()
        now = _planned(medium, undo=undo)
        if now != shown:
            _show(options.ui, now, hosts[0], device, undo=undo)
            what = "the stick is not as it was shown any more; nothing was written"
            raise Refused(what, where=str(path), advice="Read what is shown now, and run it again")
        with ended_like_interrupted():
            _put(medium, now)
    return _answer(options.ui, hosts[0], path, now, undo=undo)


def _stick(disks: Disks, named: str) -> tuple[Device | None, Path]:
    """A stick by its device, or the image of one by its file."""
    path = Path(named)
    if kind_of(path) == S_IFREG:
        return None, path
    device = chosen(disks.all(), named)
    refuse(refusal(device), device)
    return device, Path(device.path)


def _planned(medium: Medium, *, undo: bool) -> Fix:
    """What is to be done to the stick as it is now; Refused when that is nothing that could be."""
    try:
        return plan_fix(medium.read, undo=undo)
    except NotFixable as error:
        raise Refused(f"{error}; nothing was written", where=str(medium.path), advice=error.advice) from None
    except (NoEsxi, FatError) as error:
        advice = "Name a stick on which ESXi was installed; an installer stick is made right by `homelab usb build`"
        raise Refused(f"{error}; nothing was written", where=str(medium.path), advice=advice) from None


def _show(ui: "Ui", fix: Fix, host: str, device: str, *, undo: bool) -> None:
    for sentence in sentences(fix, host, device, undo=undo):
        ui.show(sentence)
    if fix.tried_once:
        ui.warn("this bank is tried once after an upgrade; if that fails, the other one is started, without the option")


def _consents(options: "Options") -> bool:
    if options.yes:
        return True
    if not sys.stdin.isatty():
        raise UsageError(
            "the stick would be changed, and nobody is there to agree", where="no terminal", advice="Run it with --yes"
        )
    with suppress(UnicodeDecodeError):
        return options.ui.confirm("Carry this out?")
    return False


def _put(medium: Medium, fix: Fix) -> None:
    try:
        batches = fix.batches()
    except FatError as error:
        what = f"{fix.name}: {error}; nothing was written"
        raise Refused(what, where=str(medium.path), advice="Take the console: docs/hardware.md") from None
    medium.put(batches)
    medium.forget()
    if not _holds(medium, fix):
        what = "the stick gave back something else than was written"
        raise HomelabError(what, where=str(medium.path), advice="Take another stick, and install it anew")


def _holds(medium: Medium, fix: Fix) -> bool:
    with suppress(NoEsxi, FatError):
        again = active(medium.read)
        return (again.number, again.text) == (fix.bank.number, fix.after)
    return False


def _answer(ui: "Ui", host: str, path: Path, fix: Fix, *, undo: bool) -> int:
    changed = fix.needed
    if ui.json:
        wanted = not undo
        fields = {"host": host, "stick": str(path), "bank": fix.bank.number, "changed": changed}
        ui.document(fields | {"preferVmklinux": wanted})
        return DONE
    if not changed:
        ui.say(f"nothing to do: {fix.name} {'has' if fix.has_option else 'lacks'} {OPTION}")
    elif undo:
        ui.say(f"{OPTION} is gone from {fix.name}")
    else:
        then = f"start {host} from it, then `homelab driver-fix {host}` makes it last"
        ui.say(f"{fix.name} prefers vmklinux drivers; {then}")
    return DONE
