"""The image of a stick takes the place of an image of ours only, whenever another file takes its name."""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from homelab.errors import UsageError
from homelab.formats.fat.layout import layout
from homelab.ports.media.stick_image import write_image

MIB = 1 << 20
FILES = {("BOOT.CFG",): b"kernel=b.b00\n", ("B.B00",): b"kernel" * 9000}
PLAN = layout({path: len(content) for path, content in FILES.items()}, "BRIX3", 7)
NAMES = tuple[str, ...]


def build(path: Path, meanwhile: Callable[[], None] = lambda: None) -> None:
    """Write an image; something happens while its first file is written."""

    def content(name: NAMES) -> Iterator[bytes]:
        if name == ("BOOT.CFG",):
            meanwhile()
        yield FILES[name]

    write_image(path, PLAN, content, lambda done, total: None)


@pytest.mark.parametrize("first", [False, True], ids=["where nothing was", "where an image of ours was"])
def test_a_file_that_takes_the_name_while_the_image_is_written_is_left(tmp_path: Path, first: bool) -> None:
    path = tmp_path / "brix3.img"
    if first:
        build(path)

    def saved() -> None:
        """As programs save a file: another one takes the name."""
        (tmp_path / "new").write_bytes(b"thesis")
        (tmp_path / "new").replace(path)

    with pytest.raises(UsageError, match="no image made by homelab"):
        build(path, saved)
    assert {each.name: each.read_bytes() for each in tmp_path.iterdir()} == {"brix3.img": b"thesis"}


def test_a_folder_that_takes_the_name_meanwhile_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="this is no file"):
        build(tmp_path / "brix3.img", (tmp_path / "brix3.img").mkdir)


@pytest.mark.skipif(shutil.which("mcopy") is None, reason="needs mtools")
def test_an_image_of_ours_on_which_somebody_keeps_a_file_is_not_written_over(tmp_path: Path) -> None:
    path = tmp_path / "brix3.img"
    build(path)
    copy = ["mcopy", "-D", "o", "-i", f"{path}@@1M", __file__, "::THESIS.DOC"]
    subprocess.run(copy, check=True, capture_output=True)
    before = path.read_bytes()
    with pytest.raises(UsageError, match=r"made by homelab, and somebody keeps THESIS\.DOC on it"):
        build(path)
    assert path.read_bytes() == before


@pytest.mark.thorough
@pytest.mark.parametrize("size", [MIB + 512, MIB + 5000, 2 * MIB, 30 * MIB, PLAN.size - 1])
def test_a_cut_image_of_ours_is_made_again(tmp_path: Path, size: int) -> None:
    path = tmp_path / "brix3.img"
    build(path)
    whole = path.read_bytes()
    with path.open("r+b") as file:
        file.truncate(size)
    build(path)
    assert path.read_bytes() == whole


@pytest.mark.parametrize("before", [0, MIB + 512, 40 * MIB], ids=["at the start", "behind its head", "far behind"])
def test_a_part_that_is_not_ours_is_left_wherever_its_data_lie(tmp_path: Path, before: int) -> None:
    part = tmp_path / ".brix3.img.part"
    with part.open("wb") as file:
        file.seek(before)
        file.write(b"thesis")
    with pytest.raises(UsageError, match="was not made by homelab"):
        build(tmp_path / "brix3.img")
    assert part.stat().st_size == before + 6
    assert part.read_bytes().endswith(b"thesis")


@pytest.mark.parametrize("writes", [0, 1, 2, 3])
def test_a_part_that_a_kill_left_is_used_again(tmp_path: Path, writes: int) -> None:
    """As it stands after its first writes: all zeros, or with our mark in it."""
    part = tmp_path / ".brix3.img.part"
    with part.open("wb") as file:
        file.truncate(PLAN.size)
        for offset, data in sorted(PLAN.metadata, key=lambda one: not one[0])[:writes]:
            file.seek(offset)
            file.write(data)
    build(tmp_path / "brix3.img")
    assert [each.name for each in tmp_path.iterdir()] == ["brix3.img"]
