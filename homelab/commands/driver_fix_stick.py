"""The command `driver-fix --stick`: the stick of a host without a network mended, here."""

from typing import TYPE_CHECKING

from homelab.commands.this_machine import carry_out, only_outside_of_rehearsals
from homelab.errors import DONE, USAGE, UsageError
from homelab.formats.boot.boot_bank import OPTION
from homelab.formats.boot.stick_fix import ActiveBank
from homelab.lab import no_lab
from homelab.ports.media.devices import Disks, here
from homelab.ports.media.this_machine import ShortRun, ThisMachine
from homelab.steps.sticks.driver_fix import StickDriverFix

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
    [host], lab, world = hosts, no_lab(), ThisMachine(disks or here(), ShortRun(options.ui))
    step = StickDriverFix(host, device, undo=undo)
    made = carry_out(options, step, lab, world)
    if made is None:
        return USAGE
    found = made[0] if made else step.observe(world, lab, host)
    if options.ui.json:
        fields = {"host": host, "stick": str(found.path), "bank": found.bank.number, "changed": bool(made)}
        options.ui.document(fields | {"preferVmklinux": not undo})
    elif made:
        _say_changed(options.ui, host, found.bank, undo=undo)
    else:
        options.ui.say(f"nothing to do: {found.bank.name} {'has' if found.bank.has_option else 'lacks'} {OPTION}")
    return DONE


def _say_changed(ui: "Ui", host: str, bank: ActiveBank, *, undo: bool) -> None:
    if undo:
        ui.say(f"{OPTION} is gone from {bank.name}")
    else:
        then = f"start {host} from it, then `homelab driver-fix {host}` makes it last"
        ui.say(f"{bank.name} prefers vmklinux drivers; {then}")
