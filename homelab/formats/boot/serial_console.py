"""Where an ESXi speaks: the options that put its messages on the serial console, in and out again. Pure."""

from homelab.formats.boot.boot_bank import active
from homelab.formats.boot.boot_cfg import values_of, with_options, without_options
from homelab.formats.boot.stick_image import StickImage
from homelab.formats.fat.volume import Batches, Read, open_volume

# Without it the kernel says nothing on the serial console.
CONSOLE = {"logPort": "com1", "gdbPort": "none"}


def console_on(read: Read, known: StickImage, path: tuple[str, ...]) -> Batches:
    """Have an installer speak on the serial console, unless the image already says where it speaks."""
    volume = open_volume(read, *known.volume)
    entry = volume.find(*path)
    text = volume.content(entry) if entry else b""
    named = values_of(text).get("kernelopt", "").lower()
    if entry is None or any(name.lower() in named for name in CONSOLE):
        return []
    return volume.replaced(entry, with_options(text, *(f"{name}={value}" for name, value in CONSOLE.items())))


def console_off(read: Read, added: bool) -> Batches:
    """Take from the installed host what was added to its installer, where that passed it on."""
    bank = active(read)
    text = without_options(bank.text, *CONSOLE)
    return bank.volume.replaced(bank.entry, text) if added and text != bank.text else []
