"""An installed stick: which boot bank starts next, and its boot.cfg replaced so that a cut never leaves half of it."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homelab.formats.boot.boot_bank import NoEsxi, active, banks, fixed, has_option, partitions, unfixed
from homelab.formats.boot.boot_cfg import BootCfgError
from homelab.formats.fat.names import FatError
from homelab.formats.fat.volume import Batches, Volume, open_volume
from tests.helpers.stick_tools import PARTITIONS, SECTOR, boot_cfg, installed, installer, put_fat

Read = Callable[[int, int], bytes]


def reader(file: BinaryIO) -> Read:
    def read(offset: int, size: int) -> bytes:
        file.seek(offset)
        return file.read(size)

    return read


@contextmanager
def stick(folder: Path, first: bytes | None, second: bytes | None) -> Iterator[Read]:
    with installed(folder / "stick.img", {5: first, 6: second}).open("rb") as file:
        yield reader(file)


def without(key: str, *, updated: int = 1, state: int = 0) -> bytes:
    """A boot.cfg that lacks a line."""
    lines = boot_cfg(updated=updated, state=state).splitlines(keepends=True)
    return b"".join(line for line in lines if not line.startswith(f"{key}=".encode()))


@pytest.mark.parametrize(
    ("first", "second", "number"),
    [
        (boot_cfg(updated=3), boot_cfg(updated=2), 5),
        (boot_cfg(updated=2), boot_cfg(updated=10), 6),
        (boot_cfg(updated=3), boot_cfg(updated=4, state=1), 6),
        (boot_cfg(updated=3), boot_cfg(updated=4, state=2), 5),
        (boot_cfg(updated=3, state=3), boot_cfg(updated=1), 6),
        (boot_cfg(updated=3), boot_cfg(updated=3), 5),
        (None, boot_cfg(), 6),
        # What follows, as safeboot's bank_scan decides (esx-boot, safeboot/bootbank.c).
        (boot_cfg(updated=0), boot_cfg(updated=1), 6),
        (boot_cfg(build="", updated=9), boot_cfg(updated=1), 6),
        (boot_cfg(updated=9) + b"quickboot=1\n", boot_cfg(updated=1), 6),
        (boot_cfg(updated=9) + b"quickboot=0\n", boot_cfg(updated=1), 5),
        (without("bootstate", updated=9), boot_cfg(updated=1), 5),
        (boot_cfg(updated=9).replace(b"bootstate=0", b"bootstate="), boot_cfg(updated=1), 5),
        (boot_cfg(updated=9).replace(b"bootstate=0", b"bootstate=x"), boot_cfg(updated=1), 6),
        (boot_cfg(updated=1), boot_cfg(updated=9).replace(b"updated=9", b"updated=9 or so"), 5),
        (boot_cfg(updated=9).replace(b"\n", b"\r\n"), boot_cfg(updated=1), 5),
        # Loaders before 7.0.2 take the first bank's state for the second's, which is the same.
        (boot_cfg(updated=1), without("bootstate", updated=9), 6),
        (without("updated"), boot_cfg(updated=1), 6),
    ],
)
def test_the_bank_that_starts_next(tmp_path: Path, first: bytes | None, second: bytes | None, number: int) -> None:
    with stick(tmp_path, first, second) as read:
        assert active(read).number == number


def test_a_stick_of_which_no_bank_starts_is_told_with_both_states(tmp_path: Path) -> None:
    with (
        stick(tmp_path, boot_cfg(state=2), None) as read,
        pytest.raises(NoEsxi, match=r"failed.*boot bank 6: .*no boot"),
    ):
        active(read)


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        # An editor's byte-order mark in the newer bank.
        (b"\xef\xbb\xbf" + boot_cfg(updated=9), boot_cfg(updated=2), "bank 5 begins with a byte-order mark"),
        # Loaders before 7.0.2 take what the first bank's boot.cfg says where the second's has no such line.
        (boot_cfg(updated=2, state=3), without("bootstate", updated=9), "lacks a line, and boot loaders differ"),
        (boot_cfg(updated=2, state=3), without("updated"), "lacks a line, and boot loaders differ"),
        (boot_cfg(updated=2, state=3), without("build", updated=9), "lacks a line, and boot loaders differ"),
    ],
)
def test_where_it_is_in_doubt_which_bank_starts_none_is_taken(
    tmp_path: Path, first: bytes, second: bytes, said: str
) -> None:
    with stick(tmp_path, first, second) as read, pytest.raises(NoEsxi, match=said):
        active(read)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (boot_cfg(updated=0), "updated=0"),
        (boot_cfg(build=""), "ESXi unknown"),
        (boot_cfg() + b"quickboot=1\n", "for one Quick Boot"),
        (boot_cfg().replace(b"bootstate=0", b"bootstate=x"), "of an unknown state"),
    ],
)
def test_why_no_bank_starts_is_told(tmp_path: Path, text: bytes, said: str) -> None:
    with stick(tmp_path, text, None) as read, pytest.raises(NoEsxi, match=f"no boot bank of it can be started.*{said}"):
        active(read)


def test_the_partitions_of_the_table(tmp_path: Path) -> None:
    with stick(tmp_path, boot_cfg(), None) as read:
        assert partitions(read)[5] == (8224 * SECTOR, (520191 - 8224 + 1) * SECTOR)
        assert set(partitions(read)) == set(PARTITIONS)


@pytest.mark.parametrize("offset", [SECTOR + 20, SECTOR * 2 + 40])
def test_a_damaged_table_is_told(tmp_path: Path, offset: int) -> None:
    path = installed(tmp_path / "stick.img", {5: boot_cfg(), 6: None})
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(b"\xaa")
        with pytest.raises(NoEsxi, match="damaged"):
            banks(reader(file))


def test_an_installer_is_no_installed_stick(tmp_path: Path) -> None:
    with installer(tmp_path / "a.img").open("rb") as file, pytest.raises(NoEsxi, match="no GPT"):
        active(reader(file))


# --- the option

OPTIONS = ["", "no-auto-partition", "a  b=c ", "installerDiskDumpSlotSize=2560 no-auto-partition", "xpreferVmklinux=1"]


@pytest.mark.parametrize("options", OPTIONS)
def test_the_option_goes_in_and_out_again_byte_for_byte(options: str) -> None:
    before = boot_cfg(options=options)
    after = fixed(before)
    assert has_option(after)
    assert not has_option(before)
    assert after.replace(b" preferVmklinux=TRUE", b"").replace(b"preferVmklinux=TRUE", b"") == before
    assert fixed(after) == after
    assert unfixed(after) == before
    assert unfixed(before) == before


def test_an_option_that_says_otherwise_is_replaced() -> None:
    assert fixed(boot_cfg(options="a preferVmklinux=FALSE b")) == boot_cfg(options="a b preferVmklinux=TRUE")


def test_a_command_line_that_the_kernel_would_cut_is_refused() -> None:
    with pytest.raises(BootCfgError, match="4096"):
        fixed(boot_cfg(options="x" * 4080))


@pytest.mark.parametrize("options", ["", "a b"])
def test_the_option_goes_in_and_out_of_a_file_with_cr_at_line_ends(options: str) -> None:
    before = boot_cfg(options=options).replace(b"\n", b"\r\n")
    after = fixed(before)
    assert after == fixed(boot_cfg(options=options)).replace(b"\n", b"\r\n")
    assert has_option(after)
    assert unfixed(after) == before


@pytest.mark.parametrize("text", [b"kernel=b.b00\n", b"kernelopt =a\n", b"# kernelopt=a\n"])
def test_a_boot_cfg_of_another_shape_is_refused(text: bytes) -> None:
    with pytest.raises(BootCfgError):
        fixed(text)


# --- replacing a file

START = 2 * SECTOR


def volume_file(folder: Path, *, wide: bool, per_cluster: int = 1) -> Path:
    path = folder / "volume.img"
    sectors = 70_000 if wide else 20_000
    with path.open("wb") as file:
        file.truncate(START + sectors * SECTOR)
        files = {"/A.BIN": b"a" * 1500, "/SUB/BOOT.CFG": b"old\n" * 300, "/Z.BIN": b"z" * 1500}
        put_fat(file, START, sectors, files, wide=wide, per_cluster=per_cluster)
    return path


def volume_of(image: bytes) -> Volume:
    return open_volume(lambda offset, size: image[offset : offset + size], START, len(image) - START)


def boot(volume: Volume) -> bytes:
    entry = volume.find("sub", "boot.cfg")
    assert entry is not None
    return volume.content(entry)


def put(image: bytearray, batches: Batches) -> None:
    for batch in batches:
        for offset, content in batch:
            image[offset : offset + len(content)] = content


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("size", [0, 1, 512, 1199, 1201, 1536, 1537, 4000])
def test_a_file_gets_another_content_and_its_neighbours_stay(tmp_path: Path, wide: bool, size: int) -> None:
    image = bytearray(volume_file(tmp_path, wide=wide).read_bytes())
    volume = volume_of(bytes(image))
    entry = volume.find("SUB", "BOOT.CFG")
    assert entry is not None
    put(image, volume.replaced(entry, b"n" * size))
    after = volume_of(bytes(image))
    assert boot(after) == b"n" * size
    for name, content in (("A.BIN", b"a" * 1500), ("Z.BIN", b"z" * 1500)):
        found = after.find(name)
        assert found is not None
        assert after.content(found) == content


def test_there_and_back_leaves_no_trace(tmp_path: Path) -> None:
    before = volume_file(tmp_path, wide=False).read_bytes()
    image = bytearray(before)
    for content in (b"n" * 3000, b"old\n" * 300):
        volume = volume_of(bytes(image))
        entry = volume.find("SUB", "BOOT.CFG")
        assert entry is not None
        put(image, volume.replaced(entry, content))
    # It had grown into clusters that were free; these may hold what they held last.
    for at in range(0, len(before), SECTOR):
        if before[at : at + SECTOR] != image[at : at + SECTOR]:
            assert volume_of(before).next((at - volume.data) // SECTOR + 2) == 0


@pytest.fixture(scope="module")
def volumes(tmp_path_factory: pytest.TempPathFactory) -> dict[bool, bytes]:
    return {wide: volume_file(tmp_path_factory.mktemp("cut"), wide=wide).read_bytes() for wide in (False, True)}


@settings(max_examples=30, deadline=None)
@given(data=st.data(), size=st.integers(1, 4000), wide=st.booleans())
def test_whenever_it_is_cut_the_file_is_the_old_or_the_new_one(
    volumes: dict[bool, bytes], data: st.DataObject, size: int, wide: bool
) -> None:
    """Of the batch that was not forced out any part may be there, in any order."""
    before = volumes[wide]
    image = bytearray(before)
    volume = volume_of(before)
    entry = volume.find("SUB", "BOOT.CFG")
    assert entry is not None
    batches = volume.replaced(entry, b"n" * size)
    cut = data.draw(st.integers(0, len(batches) - 1))
    put(image, batches[:cut])
    written = data.draw(st.lists(st.sampled_from(batches[cut]), unique=True))
    put(image, [written])
    assert boot(volume_of(bytes(image))) in (b"old\n" * 300, b"n" * size)


def test_a_full_volume_is_told(tmp_path: Path) -> None:
    path = tmp_path / "full.img"
    with path.open("wb") as file:
        file.truncate(20_000 * SECTOR)
        put_fat(file, 0, 20_000, {"/BOOT.CFG": b"a", "/B.BIN": b"b" * (19_700 * SECTOR)}, per_cluster=1)
        file.flush()
        with path.open("rb") as again:
            volume = open_volume(reader(again), 0, 20_000 * SECTOR)
            entry = volume.find("BOOT.CFG")
            assert entry is not None
            with pytest.raises(FatError, match="full"):
                volume.replaced(entry, b"n" * 512 * 250)


@pytest.mark.parametrize("image", [b"", bytes(4096), b"\xff" * 510 + b"\x55\xaa" + bytes(4096)])
def test_what_is_no_volume_is_told(image: bytes) -> None:
    with pytest.raises(FatError):
        open_volume(lambda offset, size: image[offset : offset + size], 0, len(image))


@pytest.mark.thorough
@pytest.mark.parametrize("bits", [16, 32])
def test_a_volume_that_mkfs_made_stays_clean(tmp_path: Path, bits: int) -> None:
    path, boot_file = tmp_path / "mkfs.img", tmp_path / "boot.cfg"
    boot_file.write_bytes(boot_cfg(options="a"))
    size = 250 << 20
    with path.open("wb") as file:
        file.truncate(size)
    subprocess.run(
        ["mkfs.fat", f"-F{bits}", *(["-s", "1"] if bits == 32 else []), path], check=True, capture_output=True
    )
    subprocess.run(["mcopy", "-i", path, boot_file, "::boot.cfg"], check=True)
    for content in (fixed(boot_file.read_bytes()), b"short\n", boot_cfg(options="x" * 9000)):
        with path.open("r+b") as file:
            volume = open_volume(reader(file), 0, size)
            entry = volume.find("BOOT.CFG")
            assert entry is not None
            for batch in volume.replaced(entry, content):
                for offset, piece in batch:
                    file.seek(offset)
                    file.write(piece)
        shown = subprocess.run(["mtype", "-i", path, "::boot.cfg"], check=True, capture_output=True)
        assert shown.stdout == content
        checked = subprocess.run(["fsck.fat", "-n", path], check=False, capture_output=True, text=True)
        assert "FATs differ" not in checked.stdout
        assert checked.returncode == 0 or (bits == 32 and "summary wrong" in checked.stdout), checked.stdout
