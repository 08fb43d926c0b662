"""Terminals that want less: without colours, and without more than ASCII. Each is a real one, a pty."""

import os
import pty
import re
import select
import subprocess
import sys

import pytest

from homelab.output.screen import locale_has_unicode

SECONDS = 60
COLOUR = re.compile(r"\x1b\[[0-9;]*\b(3[0-8]|4[0-8]|9[0-7]|10[0-7])\b[0-9;]*m")
# What a command does: a sentence, a warning, an error, and a transfer under way.
TALK = """
from homelab.errors import UsageError
from homelab.output.ui import Ui
ui = Ui({options})
ui.note("a note with \\u00e9 and \\u2026")
ui.warn("a warning")
ui.error(UsageError("it is wrong", where="here", advice="do this"))
with ui.progress("sending") as report:
    report(50, 100)
"""


def talked(options: str = "", **environment: str) -> str:
    """All that comes out on a terminal."""
    ours, theirs = pty.openpty()
    inherited = {
        name: value for name, value in os.environ.items() if name not in ("LANG", "NO_COLOR") and name[:3] != "LC_"
    }
    child = subprocess.Popen(
        [sys.executable, "-c", TALK.format(options=options)],
        env={**inherited, "TERM": "xterm-256color", **environment},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    said = b""
    while select.select([ours], [], [], SECONDS)[0]:
        try:
            said += os.read(ours, 4096)
        except OSError:
            break
    os.close(ours)
    assert child.wait(SECONDS) == 0, said
    return said.decode()


def test_a_terminal_gets_colours_and_signs() -> None:
    said = talked(LANG="C.UTF-8")
    assert COLOUR.search(said)
    assert "é and …" in said
    assert not said.isascii()


@pytest.mark.parametrize(("options", "environment"), [("", {"NO_COLOR": "1"}), ("color=False", {})])
def test_without_colours(options: str, environment: dict[str, str]) -> None:
    said = talked(options, LANG="C.UTF-8", **environment)
    assert "a warning" in said
    assert not COLOUR.search(said)


@pytest.mark.parametrize("environment", [{"LC_ALL": "C"}, {"LC_ALL": "POSIX", "LANG": "en_US.UTF-8"}, {"LANG": "C"}])
def test_a_locale_without_unicode_gets_ascii(environment: dict[str, str]) -> None:
    said = talked(**environment)
    assert said.isascii()
    assert "a note with \\xe9 and \\u2026" in said
    assert "sending" in said


@pytest.mark.parametrize(
    ("environment", "has"),
    [
        ({}, True),
        ({"LANG": "C"}, False),
        ({"LANG": "C", "LC_CTYPE": "C.UTF-8"}, False),
        ({"LANG": "C", "LC_CTYPE": "C.UTF-8", "LC_ALL": "de_DE.UTF-8"}, True),
        ({"LANG": "C", "LC_CTYPE": "de_DE.UTF-8"}, True),
        ({"LC_ALL": "C", "LANG": "de_DE.UTF-8"}, False),
        ({"LC_ALL": "", "LANG": "de_DE.UTF-8"}, True),
        ({"LC_CTYPE": "C.UTF-8"}, True),
    ],
)
def test_whose_choice_the_locale_is(environment: dict[str, str], has: bool) -> None:
    assert locale_has_unicode(environment) == has
