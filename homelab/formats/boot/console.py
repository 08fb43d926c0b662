"""What a serial console shows, as lines of text; and the sentences with which ESXi's installer stops. Pure."""

import re

# Sequences that move the cursor part lines as well as line ends do; all others only colour.
MOVES = re.compile(rb"\x1b\[[0-9;]*[Hf]|\x1b\[[0-9;]*J|[\r\n]+")
OTHERS = re.compile(rb"\x1b(?:\[[0-9;?=]*[A-Za-z]|[()][A-Z0-9]|.)|[\x00-\x08\x0b-\x1f\x7f]")
# The 6.7 installer's own words; it waits for a key after each.
STOPS = (
    "No network adapters were detected",
    "install requires --disk or --firstdisk",
    "no suitable disk was found",
    "install --overwritevmfs not specified",
    "specified in install does not support VMFS",
    'bootproto was set to static but "--ip=" was not set',
    "was not found on the system",
    "cannot find kickstart file",
)


def lines(raw: bytes) -> list[str]:
    """The lines that hold something, without what moves the cursor or colours."""
    plain = (OTHERS.sub(b"", piece).decode("utf-8", "replace").strip() for piece in MOVES.split(raw))
    return [line for line in plain if line]


def stopped(line: str) -> bool:
    """Tell whether the installer says here that it will not go on by itself."""
    return any(sentence in line for sentence in STOPS)
