"""The JSON that users' scripts read stays as it is, to the letter, for the same lab and the same commands.

After a change that is meant: HOMELAB_GOLDEN=write pytest tests/end_to_end/test_golden.py, and read the difference.
"""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.helpers.golden import FOLDER, comparable, lines
from tests.helpers.served import Lab

pytestmark = [pytest.mark.e2e, pytest.mark.thorough, pytest.mark.timeout(300)]


def document(output: str) -> list[str]:
    return json.dumps(comparable(json.loads(output)), indent=1).splitlines()


STORY: tuple[tuple[str, Callable[[str], list[str]], tuple[str, ...], int], ...] = (
    ("doctor", document, ("doctor",), 0),
    ("plan", document, ("plan",), 3),
    ("bootstrap", lines, ("--yes", "bootstrap", "--until", "vm"), 0),
    ("bootstrap-again", lines, ("--yes", "bootstrap", "--until", "vm"), 0),
    ("plan-again", document, ("plan",), 3),
    ("verify", document, ("verify",), 1),
    ("driver-fix", lines, ("--yes", "driver-fix", "brix3"), 0),
)


def test_the_json_of_a_known_lab_is_as_it_was(host_lab: Lab) -> None:
    differing = []
    for name, made_comparable, command, status in STORY:
        done = host_lab.homelab("-o", "json", *command)
        assert done.returncode == status, (name, done.stderr, done.stdout[-2000:])
        found = made_comparable(done.stdout)
        file = FOLDER / f"{name}.txt"
        if os.environ.get("HOMELAB_GOLDEN") == "write":
            file.parent.mkdir(exist_ok=True)
            file.write_text("\n".join(found) + "\n")
        elif file.read_text().splitlines() != found:
            differing.append(name)
            Path(host_lab.folder / f"{name}.txt").write_text("\n".join(found) + "\n")
    assert not differing, f"compare tests/end_to_end/golden with {host_lab.folder}"
