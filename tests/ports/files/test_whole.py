"""A file that is whole or absent: what goes wrong, when, and what is left then."""

import os
from pathlib import Path
from typing import BinaryIO

import pytest

from homelab.ports.files.whole import whole_file


class Interrupted(BaseException):
    """Stands for Ctrl-C."""


def raising(error: BaseException) -> object:
    def check(*_: BinaryIO) -> None:
        raise error

    return check


def write(folder: Path, **looks: object) -> None:
    with whole_file(folder / "file", folder / "part", **looks) as file:  # type: ignore[arg-type]
        file.write(b"new")


def left(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_new_part_is_gone_when_it_is_interrupted_before_it_was_looked_at(tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        write(tmp_path, check=raising(Interrupted()))
    assert left(tmp_path) == {}


def test_a_new_part_is_gone_when_it_is_interrupted_right_after_it_was_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = os.open

    def interrupted(path: Path, flags: int, mode: int) -> int:
        """As a signal does that comes while the system makes the file."""
        os.close(made(path, flags, mode))
        raise Interrupted

    monkeypatch.setattr(os, "open", interrupted)
    with pytest.raises(Interrupted):
        write(tmp_path)
    assert left(tmp_path) == {}


@pytest.mark.parametrize("error", [ValueError("it is not ours"), Interrupted()])
def test_a_part_that_was_there_is_left_until_it_was_looked_at(tmp_path: Path, error: BaseException) -> None:
    (tmp_path / "part").write_bytes(b"diary")
    with pytest.raises(type(error)):
        write(tmp_path, check=raising(error))
    assert left(tmp_path) == {"part": b"diary"}


def test_the_last_look_is_at_what_the_file_would_replace(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"diary")
    with pytest.raises(ValueError, match="it is not ours"):
        write(tmp_path, last=raising(ValueError("it is not ours")))
    assert left(tmp_path) == {"file": b"diary"}


def test_nothing_goes_wrong(tmp_path: Path) -> None:
    (tmp_path / "part").write_bytes(b"what a kill left")
    write(tmp_path)
    assert left(tmp_path) == {"file": b"new"}
