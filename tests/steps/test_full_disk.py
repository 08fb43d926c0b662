"""A log that cannot be written is told once and stops no change half-way."""

import subprocess
import sys
from pathlib import Path

import pytest

from homelab.engine.step import Change
from homelab.ports.ansible.inventory import Vault
from homelab.ports.files import record
from homelab.ports.files.home import HomeFiles
from homelab.ports.open_world import open_world
from homelab.steps.hosts.driver_fix import DriverFix
from tests.helpers.one_host import lab_of, standing

FULL = Path("/dev/full")
needs_dev_full = pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")


def full(files: HomeFiles) -> None:
    """From now on there is no space left for the logs of this run: the kernel says so, as on a full disk."""
    files.log_folder.mkdir(parents=True, exist_ok=True)
    for name in ("run.log", "record.jsonl", "events.jsonl"):
        path = files.log_folder / name
        path.unlink(missing_ok=True)
        path.symlink_to(FULL)


@needs_dev_full
def test_the_driver_fix_is_brought_to_its_end_and_told_once(tmp_path: Path) -> None:
    lab, notes = lab_of(), []
    with standing(lab, tmp_path) as served:
        files = HomeFiles(tmp_path / "home", warn=notes.append)
        world = open_world(lab, [tmp_path], Vault(None), files, lambda _: None)
        step = DriverFix()
        [change] = step.plan(lab, "brix3", step.observe(world, lab, "brix3"))
        assert isinstance(change, Change)
        assert files.cannot_write is None
        full(files)
        step.apply(world, change)
        assert not served.host.drivers.modules["ne1000"].enabled
        assert not served.host.dirty  # auto-backup ran
        assert not served.host.services["TSM-SSH"].running
    assert files.cannot_write is not None
    assert files.cannot_write.endswith("cannot be written: No space left on device")
    assert [note for note in notes if "cannot be written" in note] == [
        f"{files.cannot_write}; what is under way is brought to its end, and nothing new is begun"
    ]


@needs_dev_full
def test_whatever_is_recorded_goes_on(tmp_path: Path) -> None:
    files, told = HomeFiles(tmp_path), []
    files.warn = told.append
    full(files)
    with record.recorded(files, "soap", "brix3", "Destroy_Task", writes=True):
        pass
    files.append("run.log", "a line\n")
    assert len(told) == 1


def test_a_folder_for_logs_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    files, told = HomeFiles(tmp_path), []
    files.warn = told.append
    (tmp_path / "logs").write_text("in the way")
    files.append("run.log", "a line\n")
    assert files.cannot_write is not None
    assert len(told) == 1


def test_a_log_that_a_full_disk_cut_is_counted_for_what_it_holds(tmp_path: Path) -> None:
    files = HomeFiles(tmp_path)
    with record.recorded(files, "soap", "brix3", "Login", writes=False):
        pass
    with (files.log_folder / "record.jsonl").open("ab") as log:
        log.write(b'{"kind": "soap", "wri\n\xff\xfe\n[]\n')
    record.finish(files)
    assert (files.log_folder / "record.jsonl").read_bytes().endswith(b'{"counts": {"soap": 1, "writes": 0}}\n')


LIMITED = """
import resource, sys
from pathlib import Path
from homelab.ports.files.home import HomeFiles
files = HomeFiles(Path(sys.argv[1]))
files.warn = lambda what: print(what)
files.append("run.log", "x" * 900 + "\\n")
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
for _ in range(3):
    files.append("run.log", "y" * 200 + "\\n")
print(files.cannot_write)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no limits there")
def test_a_quota_in_the_middle_of_a_line_is_no_end(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", LIMITED, str(tmp_path)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=True)
    told, flag = done.stdout.splitlines()
    assert told.startswith(flag)
    assert "cannot be written: File too large" in flag
