"""The inventory is read while the command that wants it is loaded."""

import os
import stat
from pathlib import Path

import pytest

from homelab.errors import UsageError
from homelab.ports.ansible import inventory
from tests.helpers.soap_host import until

SCRIPT = """#!/bin/sh
echo $$ >> {folder}/read
{then}
echo '{{"all": {{"hosts": ["brix1"]}}, "_meta": {{"hostvars": {{"brix1": {{}}}}}}}}'
"""


def script(folder: Path, then: str = "") -> Path:
    """An inventory script, as Ansible runs it once with --list; it writes down its process."""
    made = folder / "lab.sh"
    made.write_text(SCRIPT.format(folder=folder, then=then))
    made.chmod(made.stat().st_mode | stat.S_IXUSR)
    return made


def times_read(folder: Path) -> int:
    return len((folder / "read").read_text().split())


def test_what_was_begun_is_what_is_listed_and_it_is_read_once(tmp_path: Path) -> None:
    source = script(tmp_path)
    inventory.begin([source])
    assert inventory.list_hosts([source]).members("all") == ("brix1",)
    assert times_read(tmp_path) == 1
    assert inventory.list_hosts([source]).members("all") == ("brix1",)
    assert times_read(tmp_path) == 2
    inventory.end()


def test_what_nobody_asks_for_is_ended(tmp_path: Path) -> None:
    """As when another mistake ends the command."""
    source = script(tmp_path, "sleep 100")
    inventory.begin([source])
    until(lambda: (tmp_path / "read").exists() and (tmp_path / "read").read_text().strip())
    inventory.end()
    pid = int((tmp_path / "read").read_text())
    until(lambda: not lives(pid))


def lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_mistake_is_told_by_who_asks(tmp_path: Path) -> None:
    source = script(tmp_path, "exit 3")
    for begun in (source, tmp_path / "nowhere"):
        inventory.begin([begun])
        with pytest.raises(UsageError):
            inventory.list_hosts([begun])
    inventory.end()
