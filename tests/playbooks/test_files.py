"""The module files: what it lays down, what it refuses, when it says changed."""

import json
import os
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from .conftest import FakeModule, library


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = library("files")
    monkeypatch.setattr(module, "RECEIPTS", tmp_path / "receipts")
    # A test's files belong to whoever runs it.
    monkeypatch.setattr(module, "OWNER", os.getuid())
    return module


Lay = Callable[..., dict[str, Any]]


@pytest.fixture
def lay(files: ModuleType) -> Lay:
    def laid(*wanted: dict[str, Any], check_mode: bool = False) -> dict[str, Any]:
        whole = [{"mode": "0644", "validate": []} | file for file in wanted]
        module = FakeModule(check_mode, role="haproxy", files=whole)
        files.run(module)
        return module.answer

    return laid


@pytest.fixture
def finish(tmp_path: Path) -> Callable[[Path], None]:
    """Leaves the receipt of a run that came to its end with this file."""

    def finished(path: Path) -> None:
        receipt = tmp_path / "receipts" / "haproxy.json"
        receipt.parent.mkdir(exist_ok=True)
        digests = {str(path): sha256(path.read_bytes()).hexdigest()}
        receipt.write_text(json.dumps({"files": digests}), encoding="utf-8")

    return finished


def test_it_makes_folder_and_file(lay: Lay, tmp_path: Path) -> None:
    path = tmp_path / "haproxy.service.d" / "homelab.conf"
    answer = lay({"path": str(path), "content": "[Service]\n", "mode": "0755"})
    assert answer["changed"]
    assert answer["paths"] == answer["changed_files"] == [str(path)]
    assert path.read_text(encoding="utf-8") == "[Service]\n"
    assert path.stat().st_mode & 0o7777 == 0o755
    assert [entry.name for entry in path.parent.iterdir()] == ["homelab.conf"]


def test_the_second_time_changes_nothing(lay: Lay, tmp_path: Path, finish: Callable[[Path], None]) -> None:
    path = tmp_path / "a"
    lay({"path": str(path), "content": "a"})
    finish(path)
    before = path.stat()
    assert not lay({"path": str(path), "content": "a"})["changed"]
    assert path.stat() == before


def test_a_run_that_was_cut_off_is_a_change(lay: Lay, tmp_path: Path, finish: Callable[[Path], None]) -> None:
    path = tmp_path / "a"
    lay({"path": str(path), "content": "a"})
    finish(path)
    lay({"path": str(path), "content": "b"})
    answer = lay({"path": str(path), "content": "b"})
    assert answer["changed"]
    assert answer["changed_files"] == []
    assert answer["unfinished_files"] == [str(path)]


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"files": 1}'])
def test_a_receipt_that_makes_no_sense_counts_as_none(lay: Lay, tmp_path: Path, text: str) -> None:
    (tmp_path / "receipts").mkdir()
    (tmp_path / "receipts" / "haproxy.json").write_text(text, encoding="utf-8")
    path = tmp_path / "a"
    assert lay({"path": str(path), "content": "a"})["unfinished_files"] == [str(path)]


def test_permissions_are_put_right(lay: Lay, tmp_path: Path) -> None:
    path = tmp_path / "a"
    lay({"path": str(path), "content": "a"})
    path.chmod(0o666)
    assert lay({"path": str(path), "content": "a"})["changed_files"] == [str(path)]
    assert path.stat().st_mode & 0o7777 == 0o644


def test_a_link_is_replaced_and_what_it_points_to_is_left_alone(lay: Lay, tmp_path: Path) -> None:
    path, other = tmp_path / "a", tmp_path / "other"
    other.write_text("other", encoding="utf-8")
    path.symlink_to(other)
    lay({"path": str(path), "content": "a"})
    assert not path.is_symlink()
    assert other.read_text(encoding="utf-8") == "other"


def test_a_file_that_its_program_refuses_never_goes_live(lay: Lay, files: ModuleType, tmp_path: Path) -> None:
    path, after = tmp_path / "a", tmp_path / "b"
    path.write_text("old", encoding="utf-8")
    refused = {"path": str(path), "content": "new", "validate": ["/bin/sh", "-c", 'echo "line 7 is odd"; exit 3', "%s"]}
    with pytest.raises(files.Unfit, match=r"/bin/sh refuses .*/a \(status 3\): line 7 is odd"):
        lay(refused, {"path": str(after), "content": "b"})
    assert path.read_text(encoding="utf-8") == "old"
    assert not after.exists()
    assert [entry.name for entry in tmp_path.iterdir()] == ["a"]


def test_the_program_reads_the_new_content(lay: Lay, tmp_path: Path) -> None:
    path = tmp_path / "a"
    lay({"path": str(path), "content": "new\n", "validate": ["/bin/grep", "-q", "new", "%s"]})
    assert path.read_text(encoding="utf-8") == "new\n"


def test_check_mode_tells_and_writes_nothing(lay: Lay, tmp_path: Path) -> None:
    path = tmp_path / "folder" / "a"
    answer = lay({"path": str(path), "content": "a\n", "validate": ["/bin/false"]}, check_mode=True)
    assert answer["changed_files"] == [str(path)]
    assert "+a" in answer["diff"][0]["prepared"]
    assert not path.parent.exists()
