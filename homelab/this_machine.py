"""What stands before every command that touches this machine's devices."""

from typing import TYPE_CHECKING

from homelab.errors import UsageError
from homelab.ports.rehearsed import sign_of_rehearsal

if TYPE_CHECKING:
    from homelab.options import Options


def only_outside_of_rehearsals(options: "Options", command: str) -> None:
    """UsageError inside a rehearsal, which simulates hosts and no devices: a stick there would be a real one."""
    sign = sign_of_rehearsal(options.inventories)
    if sign:
        raise refused_in_rehearsal(command, sign)


def refused_in_rehearsal(command: str, sign: str) -> UsageError:
    """The sentence: what is refused, how it is known, what to do."""
    return UsageError(
        f"`homelab {command}` touches real devices of this machine and runs outside of a rehearsal only; "
        "nothing was opened",
        where=sign,
        advice="Run it in a shell of your own, without `homelab rehearse` and `homelab rehearsal enter`",
    )


def touches_devices(words: tuple[str, ...]) -> str | None:
    """The command in these words that touches devices, told early; the commands themselves look closer."""
    if "usb" in words:
        return next((f"usb {word}" for word in words if word in ("write", "install")), None)
    sticks = any(word == "--stick" or word.startswith("--stick=") for word in words)
    return "driver-fix --stick" if "driver-fix" in words and sticks else None
