"""The door to `wipefs` of util-linux, which recognises file systems, encryption, LVM, RAID, ZFS and partition tables.

Of the programs around libblkid it tells all it finds, where `blkid -p` tells nothing of what is ambiguous, and reads
the medium itself, where `lsblk` asks udev. It is only ever run with --no-act.
"""

import json
import os
import shutil
from pathlib import Path

from homelab.errors import HomelabError
from homelab.formats.disk.contents import Sign
from homelab.ports import process

# sudo's PATH has them; a user's own on Debian has not.
PLACES = ("/usr/sbin", "/sbin")
COLUMNS = "TYPE,LABEL,UUID"
SECONDS = 60.0


def signs(path: Path) -> tuple[tuple[Sign, ...], str]:
    """What is on a disk or a partition, and a clause that says why it could not be told (empty when it could)."""
    program = shutil.which("wipefs", path=os.pathsep.join((os.environ.get("PATH", os.defpath), *PLACES)))
    if program is None:
        return (), "wipefs of util-linux is not installed"
    argv = [program, "--no-act", "--json", "--output", COLUMNS, str(path)]
    try:
        done = process.run(process.Child("wipefs", argv, SECONDS))
    except HomelabError as error:
        return (), error.what
    if done.status:
        return (), (done.stderr.strip().splitlines() or [f"wipefs ended with {done.status}"])[-1]
    return _parsed(done.stdout)


def _parsed(text: str) -> tuple[tuple[Sign, ...], str]:
    """What wipefs printed; of a disk without signs that may be nothing at all."""
    if not text.strip():
        return (), ""
    try:
        rows = json.loads(text, strict=False)["signatures"]
        found = [Sign(*(str(row.get(name) or "") for name in ("type", "label", "uuid"))) for row in rows]
    except (ValueError, KeyError, TypeError, AttributeError):
        return (), "wipefs said something that is not understood"
    kinds = {sign.kind for sign in found}
    # The first sector of a GPT is a table of its own, which says nothing more.
    return tuple(dict.fromkeys(sign for sign in found if sign.kind != "PMBR" or "gpt" not in kinds)), ""
