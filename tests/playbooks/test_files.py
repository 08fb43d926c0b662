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


def test_a_link_in_place_of_our_file_is_kept_and_what_it_points_to_is_left_alone(lay: Lay, tmp_path: Path) -> None:
    path, other = tmp_path / "a", tmp_path / "other"
    lay({"path": str(path), "content": "a"})
    other.write_text("other", encoding="utf-8")
    path.unlink()
    path.symlink_to(other)
    lay({"path": str(path), "content": "a"})
    assert path.read_text(encoding="utf-8") == "a"
    assert not path.is_symlink()
    assert (tmp_path / "a.before-homelab").readlink() == other
    assert other.read_text(encoding="utf-8") == "other"


# What an owner has on a machine that is told to be a balancer: a configuration of their own, one kept in a repository
# and linked, a unit that was masked.
@pytest.mark.parametrize("owner", ["file", "link", "mask"])
def test_what_somebody_else_wrote_is_never_overwritten(lay: Lay, files: ModuleType, tmp_path: Path, owner: str) -> None:
    path, other = tmp_path / "haproxy.cfg", tmp_path / "dotfiles.cfg"
    other.write_text("frontend web\n  bind :443\n", encoding="utf-8")
    if owner == "file":
        path.write_bytes(other.read_bytes())
    else:
        path.symlink_to(other if owner == "link" else "/dev/null")
    before = {entry.name: entry.lstat() for entry in tmp_path.iterdir()}
    with pytest.raises(files.Unfit, match=rf"{path} is there, and homelab did not write it.*mv {path} {path}.own"):
        lay(
            {"path": str(tmp_path / "first"), "content": "a"}, {"path": str(path), "content": "# Managed by homelab.\n"}
        )
    assert {entry.name: entry.lstat() for entry in tmp_path.iterdir()} == before


def test_what_somebody_wrote_into_our_file_is_kept_beside_it(lay: Lay, tmp_path: Path) -> None:
    path = tmp_path / "haproxy.cfg"
    lay({"path": str(path), "content": "# Managed by homelab.\nmaxconn 1\n"})
    for number, edit in enumerate((b"maxconn 9\n", b"# caf\xe9\n"), 1):
        path.write_bytes(b"# Managed by homelab.\n" + edit)
        path.chmod(0o640)
        answer = lay({"path": str(path), "content": "# Managed by homelab.\nmaxconn 1\n"})
        kept = tmp_path / ("haproxy.cfg.before-homelab" + (f".{number}" if number > 1 else ""))
        assert answer["kept_files"] == [str(kept)]
        assert kept.read_bytes() == b"# Managed by homelab.\n" + edit
        assert kept.stat().st_mode & 0o7777 == 0o640
        assert path.read_bytes() == b"# Managed by homelab.\nmaxconn 1\n"


def test_what_a_run_laid_down_that_was_cut_off_is_its_own(lay: Lay, tmp_path: Path) -> None:
    """A file without our line in it, such as the cluster's CA, and no receipt yet."""
    path = tmp_path / "cluster-ca.crt"
    lay({"path": str(path), "content": "one"})
    assert lay({"path": str(path), "content": "another"})["kept_files"] == []
    assert path.read_text(encoding="utf-8") == "another"


@pytest.mark.skipif(not Path("/usr/bin/dpkg-query").exists(), reason="no Debian")
@pytest.mark.parametrize("edited", [False, True])
def test_what_a_package_brought_is_nobodys(files: ModuleType, edited: bool) -> None:
    conffile = Path("/etc/bash.bashrc")
    content = conffile.read_bytes() + (b"# my own\n" if edited else b"")
    assert files.is_from_a_package(FakeModule(True), conffile, content) is not edited


def test_text_that_is_not_utf_8_is_laid_down_as_it_was(lay: Lay, tmp_path: Path) -> None:
    """Authorities come with comments in Latin-1, and Ansible reads them as surrogates."""
    path = tmp_path / "cluster-ca.crt"
    lay({"path": str(path), "content": b"# caf\xe9\n".decode(errors="surrogateescape")})
    assert path.read_bytes() == b"# caf\xe9\n"


def test_a_file_that_its_program_refuses_never_goes_live(lay: Lay, files: ModuleType, tmp_path: Path) -> None:
    path, after = tmp_path / "a", tmp_path / "b"
    lay({"path": str(path), "content": "old"})
    refused = {"path": str(path), "content": "new", "validate": ["/bin/sh", "-c", 'echo "line 7 is odd"; exit 3', "%s"]}
    with pytest.raises(files.Unfit, match=r"/bin/sh refuses .*/a \(status 3\): line 7 is odd"):
        lay(refused, {"path": str(after), "content": "b"})
    assert path.read_text(encoding="utf-8") == "old"
    assert not after.exists()
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["a", "receipts"]


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


@pytest.fixture
def put_back(files: ModuleType) -> Callable[[], dict[str, Any]]:
    def done() -> dict[str, Any]:
        module = FakeModule(False, role="haproxy", files=[], put_back=True)
        files.put_back(module)
        return module.answer

    return done


def test_what_did_not_work_gives_way_to_what_was_there_before(
    lay: Lay, put_back: Callable[[], dict[str, Any]], tmp_path: Path, finish: Callable[[Path], None]
) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    lay({"path": str(old), "content": "works", "mode": "0600"})
    finish(old)
    (tmp_path / "receipts" / "previous" / "haproxy.json").unlink()
    # Two calls that came to no receipt: what worked is what was there before both.
    lay({"path": str(old), "content": "worse"})
    lay({"path": str(old), "content": "worst"}, {"path": str(new), "content": "new"})
    answer = put_back()
    assert answer == {"changed": True, "put_back_files": [str(old), str(new)]}
    assert (old.read_text(), old.stat().st_mode & 0o777) == ("works", 0o600)
    assert not new.exists()
    assert put_back() == {"changed": False, "put_back_files": []}


def test_what_somebody_wrote_since_is_not_taken_back(
    lay: Lay, put_back: Callable[[], dict[str, Any]], tmp_path: Path
) -> None:
    path = tmp_path / "a"
    lay({"path": str(path), "content": "ours"})
    path.write_text("somebody's")
    assert not put_back()["changed"]
    assert path.read_text() == "somebody's"


def test_what_is_kept_to_be_put_back_is_nobody_s_to_read(lay: Lay, tmp_path: Path) -> None:
    lay({"path": str(tmp_path / "a"), "content": "a"})
    assert (tmp_path / "receipts" / "previous" / "haproxy.json").stat().st_mode & 0o777 == 0o600
