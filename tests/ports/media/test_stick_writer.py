"""A stick is whole, or everybody can tell that it is not: wherever the write is cut, and whatever of it arrived."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homelab.errors import HomelabError
from homelab.formats.disk.stick_marker import Marker, read_marker
from homelab.ports.media import stick_writer
from homelab.ports.media.devices import opened
from homelab.ports.media.download import Progress
from homelab.ports.media.stick_writer import write_stick

SECTOR = 512
SIZE, STICK = 160 << 10, 256 << 10
OLD = Random(1).randbytes(STICK)
IMAGE = Random(2).randbytes(510) + b"\x55\xaa" + Random(3).randbytes(SIZE - 512)


class PowerCut(Exception):
    """The stick was pulled out."""


class Stick:
    """A stick that keeps what was synced; of the rest it may have kept any sectors. Cut at the operation `until`."""

    name = "sdb"

    def __init__(self, until: int = 10**9) -> None:
        self.size, self.until, self.count = STICK, until, 0
        self.kept, self.seen = bytearray(OLD), bytearray(OLD)
        self.pending: list[tuple[int, bytes]] = []

    def _step(self) -> None:
        self.count += 1
        if self.count > self.until:
            raise PowerCut

    def read(self, offset: int, size: int) -> bytes:
        return bytes(self.seen[offset : offset + size])

    def write(self, offset: int, content: bytes) -> None:
        assert offset % SECTOR == 0
        assert offset + len(content) <= self.size
        for at in range(0, len(content), SECTOR):
            self.pending.append((offset + at, content[at : at + SECTOR]))
        self._step()
        self.seen[offset : offset + len(content)] = content

    def sync(self) -> None:
        self._step()
        self._keep(self.pending)
        self.pending.clear()

    def forget(self) -> None:
        pass

    def _keep(self, pieces: list[tuple[int, bytes]]) -> None:
        for offset, content in pieces:
            self.kept[offset : offset + len(content)] = content

    def after(self, choice: Random | None) -> bytes:
        """What is on it after the cut; `choice` decides what of the last writes arrived, None: nothing."""
        self._keep([piece for piece in self.pending if choice and choice.random() < choice.choice((0.1, 0.5, 0.9))])
        return bytes(self.kept)


class Worn(Stick):
    """Gives back one other byte."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.at = at

    def read(self, offset: int, size: int) -> bytes:
        found = bytearray(super().read(offset, size))
        if offset <= self.at < offset + size:
            found[self.at - offset] ^= 1
        return bytes(found)


@pytest.fixture(scope="module", autouse=True)
def _small_pieces() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stick_writer, "HEAD", 8 << 10)
        patch.setattr(stick_writer, "CHUNK", 4 << 10)
        patch.setattr(stick_writer, "STRIDE", 16 << 10)
        patch.setattr(stick_writer, "TAIL", 33 * SECTOR)
        yield


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("images") / "brix3.img"
    path.write_bytes(IMAGE)
    return path


def silent(done: int, total: int) -> None:
    pass


def write(image: Path, stick: Stick, report: Progress = silent) -> None:
    with image.open("rb") as file:
        write_stick(file, image.name, stick, report)


def steps(image: Path) -> int:
    stick = Stick()
    write(image, stick)
    return stick.count


def test_a_stick_holds_the_image_and_nothing_of_an_older_table(image: Path) -> None:
    stick = Stick()
    write(image, stick)
    assert stick.kept[:SIZE] == IMAGE
    assert not any(stick.kept[-33 * SECTOR :])
    assert stick.kept[SIZE : -33 * SECTOR] == OLD[SIZE : -33 * SECTOR]
    assert read_marker(bytes(stick.kept[:SECTOR])) is None


def told(kept: bytes) -> None:
    """Untouched, whole, or marked with no more than what arrived."""
    marker = read_marker(kept[:SECTOR])
    if marker is None:
        assert kept == OLD or kept[:SIZE] == IMAGE
        return
    head = stick_writer.HEAD
    assert kept[head : head + marker.done] == IMAGE[head : head + marker.done]
    assert kept[510:512] != b"\x55\xaa"
    assert "brix3.img" in str(marker)
    assert "was cut off at" in str(marker)


def test_a_cut_at_every_step_is_told(image: Path) -> None:
    for until in range(steps(image)):
        for seed in (None, 1, 2):
            stick = Stick(until)
            with pytest.raises(PowerCut):
                write(image, stick)
            told(stick.after(Random(seed) if seed else None))


def test_the_progress_counts_every_byte_twice(image: Path) -> None:
    seen: list[tuple[int, int]] = []
    write(image, Stick(), lambda done, total: seen.append((done, total)))
    assert seen == sorted(seen)
    assert seen[-1] == (2 * SIZE, 2 * SIZE)


@settings(max_examples=200, deadline=None)
@given(part=st.floats(0, 1, exclude_max=True), choice=st.randoms(use_true_random=False))
def test_a_cut_is_told_whatever_arrived(image: Path, part: float, choice: Random) -> None:
    stick = Stick(int(part * steps(image)))
    with pytest.raises(PowerCut):
        write(image, stick)
    told(stick.after(choice))


def test_the_mark_says_how_far_it_came(image: Path) -> None:
    percents = []
    for until in range(steps(image)):
        stick = Stick(until)
        with pytest.raises(PowerCut):
            write(image, stick)
        marker = read_marker(stick.after(None)[:SECTOR])
        percents.append(100 * marker.done // marker.size if marker else -1)
    assert percents == sorted(percents)
    assert percents[0] == -1
    assert percents[-1] > 90
    assert len(set(percents)) > 8


def test_a_write_after_a_cut_makes_it_whole(image: Path) -> None:
    stick = Stick(20)
    with pytest.raises(PowerCut):
        write(image, stick)
    stick.until = 10**9
    stick.pending.clear()
    write(image, stick)
    assert stick.kept[:SIZE] == IMAGE


@pytest.mark.parametrize("at", [100, 9000, SIZE - 1])
def test_a_worn_stick_is_told_and_never_looks_whole(image: Path, at: int) -> None:
    stick = Worn(at)
    with pytest.raises(HomelabError, match=f"gave back something else than was written, from byte {at} on"):
        write(image, stick)
    marker = read_marker(bytes(stick.kept[:SECTOR]))
    assert marker is not None
    assert "failed: sdb gave back something else" in str(marker)


def test_an_image_that_becomes_shorter_is_told(image: Path, tmp_path: Path) -> None:
    short = tmp_path / "brix3.img"
    short.write_bytes(IMAGE)
    stick = Stick()

    def cut(done: int, total: int) -> None:
        os.truncate(short, done)

    with pytest.raises(HomelabError, match="became shorter"):
        write(short, stick, cut)
    assert read_marker(bytes(stick.kept[:SECTOR]))


@pytest.mark.parametrize("sector", [b"", bytes(512), OLD[:512], IMAGE[:512]])
def test_what_is_no_mark(sector: bytes) -> None:
    assert read_marker(sector) is None


def test_a_mark_of_a_long_name_or_with_damage_is_still_a_mark() -> None:
    sector = Marker("x" * 300, 1 << 40, 1 << 39, "2026-01-01T00:00:00+00:00", "y" * 150).sector()
    assert len(sector) == SECTOR
    assert read_marker(sector) is not None
    assert read_marker(sector[:60].ljust(512, b"\0")) is not None


@pytest.mark.thorough
@pytest.mark.skipif(os.geteuid() != 0, reason="loop devices need root")
def test_a_block_device_is_written_and_held_alone(tmp_path: Path, image: Path) -> None:
    backing = tmp_path / "stick"
    backing.write_bytes(OLD)
    made = subprocess.run(["losetup", "--find", "--show", backing], check=True, capture_output=True, text=True)
    device = Path(made.stdout.strip())
    try:
        with opened("loop", device, write=True) as medium:
            assert medium.size == STICK
            with pytest.raises(HomelabError, match="in use"), opened("loop", device, write=True):
                pass
            with image.open("rb") as file:
                write_stick(file, image.name, medium, silent)
    finally:
        subprocess.run(["losetup", "--detach", device], check=True)
    assert backing.read_bytes()[:SIZE] == IMAGE
