"""What a person sees on a real terminal of 60, 80 and 140 columns, kept as text.

After a change that is meant: HOMELAB_GOLDEN=write pytest tests/end_to_end/test_screens.py, and read the difference.
"""

import os
import re
import subprocess

import pytest

from tests.helpers.golden import FOLDER
from tests.helpers.served import HOMELAB, Lab
from tests.helpers.terminal import CTRL_C, terminal

pytestmark = [pytest.mark.e2e, pytest.mark.thorough, pytest.mark.timeout(240)]

WIDTHS = (60, 80, 140)
# What is of this machine or of this run, as wide as it was.
VOLATILE = (
    (re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{8}\b"), "VOLUME".center(17, "_")),
    (re.compile(r"\b\d+ GiB free"), "ROOM free"),
    (re.compile(r"up \d+ (?:s|min)\b"), "up TIME"),
)


CLOCK = re.compile(r"\b\d:\d\d\b")


def stands_still(screen: str) -> bool:
    """Whether nothing is done any more: a host does not come back, and a guest that nobody simulates never comes."""
    words = " ".join(screen.split())
    return "17 of 39 steps" in words and words.count("No route to host") == 2


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


def differs(lab: Lab, name: str, text: str) -> bool:
    """Whether a screen is other than it was kept; what it is then lies in the lab's folder."""
    path = FOLDER / name
    if os.environ.get("HOMELAB_GOLDEN") == "write":
        path.write_text(text, encoding="utf-8")
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return False
    (lab.folder / name).write_text(text, encoding="utf-8")
    return True


def test_screens_are_as_they_were_kept(host_lab: Lab) -> None:
    lab = host_lab
    # Who is met for the first time is told once.
    lab.homelab("plan")
    screens = [(command, columns) for command in ("doctor", "plan", "status") for columns in WIDTHS]
    named = [(f"screen-{command}-{columns}.txt", seen(lab, command, columns)) for command, columns in screens]
    differing = [name for name, text in named if differs(lab, name, text)]
    assert not differing, f"compare tests/end_to_end/golden with {lab.folder}"


@pytest.mark.parametrize("columns", WIDTHS)
def test_a_run_under_way_is_as_it_was_kept(host_lab: Lab, columns: int) -> None:
    """A host does not come back from its reboot; all that can be done without it is done."""
    lab = host_lab
    subprocess.run([*HOMELAB, "rehearsal", "fault", "reboot-hangs@brix2"], cwd=lab.folder, check=True)
    argv = [*HOMELAB, "rehearsal", "enter", "--", "homelab", "--yes", "bootstrap"]
    with terminal(*argv, columns=columns, rows=24, folder=lab.folder) as shown:
        screen = shown.until(stands_still, 60)
        shown.type(CTRL_C)
        shown.end()
    table = screen[screen.rindex("\nbrix1  ") + 1 :]
    text = CLOCK.sub("M:SS", table) + "\n"
    assert not differs(lab, f"screen-run-{columns}.txt", text), f"compare tests/end_to_end/golden with {lab.folder}"
