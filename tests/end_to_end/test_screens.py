"""What a person sees on a real terminal of 60, 80 and 140 columns, kept as text.

After a change that is meant: HOMELAB_GOLDEN=write pytest tests/end_to_end/test_screens.py, and read the difference.
"""

import os
import re

import pytest

from tests.helpers.golden import FOLDER
from tests.helpers.served import HOMELAB, Lab
from tests.helpers.terminal import terminal

pytestmark = [pytest.mark.e2e, pytest.mark.thorough, pytest.mark.timeout(240)]

WIDTHS = (60, 80, 140)
# What is of this machine or of this run, as wide as it was.
VOLATILE = (
    (re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{8}\b"), "VOLUME".center(17, "_")),
    (re.compile(r"\b\d+ GiB free"), "ROOM free"),
    (re.compile(r"up \d+ (?:s|min)\b"), "up TIME"),
)


def seen(lab: Lab, command: str, columns: int) -> str:
    argv = [*HOMELAB, "rehearsal", "enter", "--", "homelab", command]
    with terminal(*argv, columns=columns, rows=60, folder=lab.folder) as shown:
        shown.end()
        text = shown.all
    assert max(map(len, text.splitlines())) <= columns
    for pattern, word in VOLATILE:
        text = pattern.sub(word, text)
    # The room that is left is as wide as its number.
    lines = [re.sub(" {2,}", "  ", line) if line.startswith(("HERE", "laptop")) else line for line in text.splitlines()]
    return "\n".join(lines) + "\n"


def test_screens_are_as_they_were_kept(host_lab: Lab) -> None:
    lab, differing = host_lab, []
    # Who is met for the first time is told once.
    lab.homelab("plan")
    for command in ("doctor", "plan", "status"):
        for columns in WIDTHS:
            path, text = FOLDER / f"screen-{command}-{columns}.txt", seen(lab, command, columns)
            if os.environ.get("HOMELAB_GOLDEN") == "write":
                path.write_text(text, encoding="utf-8")
            if not path.exists() or path.read_text(encoding="utf-8") != text:
                (lab.folder / path.name).write_text(text, encoding="utf-8")
                differing.append(path.name)
    assert not differing, f"compare tests/end_to_end/golden with {lab.folder}"
