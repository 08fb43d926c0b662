"""The command `usb build`: the image of an installer stick from the user's own ISO and the inventory."""

from pathlib import Path

from homelab.commands.options import Options
from homelab.commands.this_machine import carry_out
from homelab.commands.wanted_lab import lab_of, vault_of
from homelab.errors import DONE
from homelab.lab import short_name
from homelab.output.ui import Ui
from homelab.ports.media.devices import here
from homelab.ports.media.kickstart_file import read_kickstart
from homelab.ports.media.stick_image import check_target
from homelab.ports.media.this_machine import ShortRun, ThisMachine
from homelab.steps.sticks.build import BuildImage, UsbBuild
from homelab.steps.sticks.source import Request, host_of


def build(options: Options, name: str, output: Path | None, own_kickstart: Path | None) -> int:
    """Make the image of a host's installer stick."""
    image = output or Path(f"{short_name(name)}.img")
    # Before the inventory is read, which takes a while.
    check_target(image)
    own = kickstart_of(own_kickstart)
    lab = lab_of(options, vault_of(options))
    request = Request(host_of(lab, name).name, options.inventories, own)
    made = carry_out(options, UsbBuild(request, image), lab, ThisMachine(here(), ShortRun(options.ui)))
    for change in made or ():
        _say(options.ui, change)
    return DONE


def kickstart_of(path: Path | None) -> tuple[str, bytes] | None:
    """A kickstart file of one's own: its name and its content."""
    return (str(path), read_kickstart(path)) if path else None


def _say(ui: Ui, change: BuildImage) -> None:
    size = change.layout.size
    if ui.json:
        fields = {"host": change.target, "image": str(change.image), "bytes": size, "version": change.version}
        ui.document(fields | {"driver_fix": change.driver_fix})
        return
    ui.say(f"{change.image}: {change.version} for {change.target}, {size / 1e6:.0f} MB")
    if change.driver_fix:
        ui.say("it starts with preferVmklinux=TRUE; at its first boot the host disables ne1000 and reboots")
    ui.note(f"it holds a password hash; write it to a stick: homelab usb write {change.target} DEVICE")
