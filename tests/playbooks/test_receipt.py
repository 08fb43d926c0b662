"""The module receipt: what it writes, when it says changed, what it tells."""

import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from .conftest import Ended, FakeModule, library


@pytest.fixture
def receipt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = library("receipt")
    monkeypatch.setattr(module, "FOLDER", tmp_path / "var" / "homelab")
    return module


@pytest.fixture
def leave(receipt: ModuleType) -> Callable[..., dict[str, Any]]:
    def left(*, check_mode: bool = False, **params: Any) -> dict[str, Any]:
        module = FakeModule(check_mode, **({"role": "haproxy", "inputs": "", "files": [], "units": []} | params))
        receipt.run(module)
        return module.answer

    return left


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "haproxy.cfg"
    path.write_text("global\n", encoding="utf-8")
    return path


Leave = Callable[..., dict[str, Any]]


def test_it_names_inputs_files_and_units(leave: Leave, file: Path) -> None:
    answer = leave(inputs="abc", files=[str(file)], units=["haproxy.service"])
    path = Path(answer["path"])
    assert json.loads(path.read_text(encoding="utf-8")) == {
        "role": "haproxy",
        "inputs": "abc",
        "files": {str(file): sha256(b"global\n").hexdigest()},
        "units": ["haproxy.service"],
    }
    assert path.name == "haproxy.json"
    assert path.stat().st_mode & 0o7777 == 0o644
    assert path.parent.stat().st_mode & 0o7777 == 0o755
    assert [entry.name for entry in path.parent.iterdir()] == ["haproxy.json"]


def test_the_second_time_changes_nothing(leave: Leave, file: Path) -> None:
    assert leave(files=[str(file)])["changed"]
    assert not leave(files=[str(file)])["changed"]


@pytest.mark.parametrize("other", [{"inputs": "def"}, {"units": ["keepalived.service"]}, {"files": []}])
def test_anything_that_differs_is_a_change(leave: Leave, file: Path, other: dict[str, Any]) -> None:
    first = {"inputs": "abc", "files": [str(file)], "units": ["haproxy.service"]}
    leave(**first)
    assert leave(**(first | other))["changed"]


def test_a_changed_file_is_a_change(leave: Leave, file: Path) -> None:
    leave(files=[str(file)])
    file.write_text("defaults\n", encoding="utf-8")
    assert leave(files=[str(file)])["changed"]


def test_check_mode_writes_nothing(leave: Leave, file: Path, tmp_path: Path) -> None:
    assert leave(check_mode=True, files=[str(file), str(tmp_path / "missing")])["changed"]
    assert not (tmp_path / "var").exists()


def test_a_file_that_is_missing_is_no_receipt(leave: Leave, tmp_path: Path) -> None:
    with pytest.raises(Ended, match=r"haproxy should have laid down .*missing"):
        leave(files=[str(tmp_path / "missing")])
    assert not (tmp_path / "var").exists()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"role": "haproxy"}'])
def test_a_receipt_that_makes_no_sense_is_replaced(leave: Leave, file: Path, text: str) -> None:
    path = Path(leave(files=[str(file)])["path"])
    whole = path.read_text(encoding="utf-8")
    path.write_text(text, encoding="utf-8")
    assert leave(files=[str(file)])["changed"]
    assert path.read_text(encoding="utf-8") == whole


def test_wrong_permissions_are_put_right(leave: Leave, file: Path) -> None:
    path = Path(leave(files=[str(file)])["path"])
    path.chmod(0o600)
    path.parent.chmod(0o700)
    assert leave(files=[str(file)])["changed"]
    assert path.stat().st_mode & 0o7777 == 0o644
    assert path.parent.stat().st_mode & 0o7777 == 0o755


def test_what_was_kept_to_be_put_back_goes_when_all_is_well(leave: Leave, file: Path, receipt: ModuleType) -> None:
    kept = receipt.FOLDER / "previous" / "haproxy.json"
    kept.parent.mkdir(parents=True)
    kept.write_text("{}")
    leave(files=[str(file)], check_mode=True)
    assert kept.exists()
    leave(files=[str(file)])
    assert not kept.exists()
