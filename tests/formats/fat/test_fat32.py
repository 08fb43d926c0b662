"""The FAT32 layout: by our own reader, by fsck.fat and by mtools; for file trees that nobody would make."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from homelab.formats.fat import layout as fat32
from homelab.formats.fat.layout import layout
from homelab.formats.fat.names import FatError, aliases, folded, short_text
from homelab.formats.fat.read import Fat32, NoFat32
from tests.helpers import fat32_tools as tools

Names = tuple[str, ...]
needs_fsck = pytest.mark.skipif(not tools.FSCK, reason="needs fsck.fat (Debian: dosfstools)")
needs_mtools = pytest.mark.skipif(not tools.MCOPY, reason="needs mcopy (Debian: mtools)")


def laid_out(contents: dict[Names, bytes], label: str = "BRIX3") -> fat32.Layout:
    return layout({path: len(content) for path, content in contents.items()}, label, 0xC0FFEE)


def sample() -> dict[Names, bytes]:
    dice = random.Random(3)
    contents: dict[Names, bytes] = {("BOOT.CFG",): b"kernel", ("EFI", "BOOT", "BOOTX64.EFI"): dice.randbytes(70_000)}
    contents |= {("many", f"file number {n}.data"): dice.randbytes(n * 37) for n in range(300)}
    return contents | {("EMPTY",): b"", ("a" * 255,): b"1", ("x", "y", "z", "deep.txt"): dice.randbytes(4096)}


@needs_fsck
@needs_mtools
def test_others_find_it_clean_and_read_the_same_bytes(tmp_path: Path) -> None:
    contents = sample()
    plan = laid_out(contents)
    said = tools.fsck(tools.write(tmp_path / "part", plan, contents, tools.START))
    assert "exit status" not in said
    assert len(said.splitlines()) == 2, said  # its version, and the count of files
    image = tools.write(tmp_path / "image", plan, contents)
    for path in (
        ("BOOT.CFG",),
        ("EFI", "BOOT", "BOOTX64.EFI"),
        ("many", "file number 299.data"),
        ("x", "y", "z", "deep.txt"),
    ):
        assert tools.mtools(image, "/".join(path)) == contents[path]


def test_our_own_reader_gives_the_tree_back(tmp_path: Path) -> None:
    contents = sample()
    image = tools.write(tmp_path / "image", laid_out(contents), contents)
    found = tools.read(image)
    assert (found.problems, found.label) == ([], "BRIX3")
    assert tools.files_of(image) == contents


def test_the_partition_is_what_firmware_and_the_installer_take() -> None:
    mbr = dict(laid_out({("A",): b"1"}).metadata)[0]
    assert (mbr[450], mbr[446], mbr[510:]) == (0x0C, 0, b"\x55\xaa")
    assert int.from_bytes(mbr[454:458], "little") * 512 == 1 << 20


def test_a_volume_has_enough_clusters_for_fat32_and_grows_with_its_files() -> None:
    assert laid_out({}).size == pytest.approx(272e6, rel=0.01)
    large = layout({("A",): 400 << 20, ("B",): 1}, "X", 1)
    assert large.size == pytest.approx((400 << 20) + (2 << 20), rel=0.01)
    assert large.size % 512 == 0


def test_the_same_input_gives_the_same_bytes() -> None:
    assert laid_out(sample()) == laid_out(sample())
    assert laid_out(sample()) != laid_out(sample(), "BRIX4")


# --- names

LETTERS = st.sampled_from("aAbB019 ._-~+,;=[]äÖß€𝄞")
# An end that a name may have, so that most trees are laid out and not refused.
ANY_NAME = st.builds(
    lambda text, end: f"{text.lstrip(' ')}{end}", st.text(LETTERS, max_size=14), st.sampled_from("aB7")
)
ALIKE = st.sampled_from(["LONGNA~1.TXT", "LONGNA~2.TXT", "longname one.txt", "longname two.txt", "Longname.three.txt"])
NAME = st.one_of(ANY_NAME, ALIKE)
TREE = st.dictionaries(st.lists(NAME, min_size=1, max_size=4).map(tuple), st.binary(max_size=5000), max_size=25)


@pytest.mark.thorough
@needs_fsck
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(TREE)
def test_any_tree_is_refused_in_words_or_gives_a_clean_file_system(
    tmp_path: Path, contents: dict[Names, bytes]
) -> None:
    try:
        plan = laid_out(contents)
    except FatError as error:
        assert str(error)
        return
    said = tools.fsck(tools.write(tmp_path / "part", plan, contents, tools.START))
    assert "exit status" not in said, said
    assert len(said.splitlines()) == 2, said
    image = tools.write(tmp_path / "image", plan, contents)
    assert tools.read(image).problems == []
    assert tools.files_of(image) == contents


@settings(max_examples=200, deadline=None)
@given(st.sets(NAME, max_size=40))
def test_aliases_are_short_and_no_two_are_the_same(names: set[str]) -> None:
    try:
        found = aliases(sorted(names))
    except FatError:
        return
    shorts = [one.short for one in found.values()]
    assert len(set(shorts)) == len(names)
    assert all(len(short) == 11 and short.isascii() and short[:1] != b" " for short in shorts)
    long = {folded(name) for name in names}
    assert all(one.long or short_text(one.short) == name for name, one in found.items())
    assert all(short_text(one.short) == folded(name) for name, one in found.items() if short_text(one.short) in long)


def test_a_thousand_names_that_begin_alike_have_aliases() -> None:
    names = [f"vmware driver {n}.vib" for n in range(1200)]
    assert len({one.short for one in aliases(names).values()}) == 1200


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["boot.cfg", "BOOT.CFG"], "boot.cfg and BOOT.CFG are the same name on FAT"),
        (["a:b"], "holds ':'"),
        (["a."], "a dot at an end"),
        (["a\x07"], r"holds '\\x07'"),
        (["x" * 256], "longer than 255"),
        ([".."], "cannot be a name"),
    ],
)
def test_names_that_fat_cannot_hold_are_told(names: list[str], said: str) -> None:
    with pytest.raises(FatError, match=said):
        layout({(name,): 1 for name in names}, "X", 1)


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({("A",): 1 << 32}, "4 GiB at most"),
        ({("A",): 1, ("A", "B"): 1}, "a file and a folder"),
        ({("A", "B"): 1, ("A",): 1}, "a file and a folder"),
        ({("D", f"{n:05}" + "x" * 200): 0 for n in range(4000)}, "more files than a folder"),
    ],
)
def test_what_fat32_cannot_hold_is_told(files: dict[Names, int], said: str) -> None:
    with pytest.raises(FatError, match=said):
        layout(files, "X", 1)


# --- broken sticks


START_OF_TABLES = (1 << 20) + 32 * 512


def broken(tmp_path: Path, harm: Callable[[bytearray, int], None]) -> Fat32:
    contents = {("A.TXT",): b"a" * 9000, ("B.TXT",): b"b" * 100, ("D", "A long name"): b"c" * 10}
    plan = laid_out(contents)
    image = tools.write(tmp_path / "image", plan, contents)
    with image.open("r+b") as file:
        head = bytearray(file.read(4 << 20))
        harm(head, START_OF_TABLES)
        file.seek(0)
        file.write(head)
    return tools.read(image)


def entry(number: int, value: int) -> Callable[[bytearray, int], None]:
    """Overwrite an entry of both tables."""

    def harm(head: bytearray, table: int) -> None:
        for start in (table, table + 516 * 512):
            head[start + 4 * number : start + 4 * number + 4] = value.to_bytes(4, "little")

    return harm


def byte(offset: int, value: int) -> Callable[[bytearray, int], None]:
    def harm(head: bytearray, table: int) -> None:
        head[offset] = value

    return harm


def test_an_unharmed_stick_has_no_problems(tmp_path: Path) -> None:
    assert broken(tmp_path, lambda head, table: None).problems == []


# Clusters: 2 the root, 3 the folder D, 4 to 6 A.TXT, 7 B.TXT, 8 the long name.
@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (entry(4, 4), "/A.TXT: cluster 4 is used twice"),
        (entry(5, 7), "is used twice"),
        (entry(6, 0), "/A.TXT: its chain of clusters leads to 0"),
        (entry(4, 0x0FFFFFFF), "/A.TXT: its 9000 bytes do not fit its 1 clusters"),
        (entry(900, 0x0FFFFFFF), "1 clusters are in use and belong to no file"),
        (lambda head, table: byte(table + 40, 1)(head, table), "the two allocation tables differ"),
        (byte((1 << 20) + 6 * 512 + 20, 1), "backup of the boot sector differs"),
        (byte((1 << 20) + 512 + 488, 1), "FSInfo counts"),
        (byte((1 << 20) + 512, 0), "FSInfo) is broken"),
        (byte(446 + 16 + 4, 0x83), "2 partitions, not one"),
        (byte(446 + 12, 1), "larger than its partition"),
    ],
)
def test_each_kind_of_harm_is_found(tmp_path: Path, harm: Callable[[bytearray, int], None], said: str) -> None:
    assert [problem for problem in broken(tmp_path, harm).problems if said in problem]


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (byte(511, 0), "no partition table"),
        (byte(450, 0), "has no partition"),
        (byte(450, 0x07), "type 07"),
        (byte((1 << 20) + 510, 0), "no boot sector"),
        (byte((1 << 20) + 17, 1), "no FAT32"),
        (byte((1 << 20) + 38, 9), "broken"),
    ],
)
def test_what_is_no_fat32_is_told(tmp_path: Path, harm: Callable[[bytearray, int], None], said: str) -> None:
    with pytest.raises(NoFat32, match=said):
        broken(tmp_path, harm)


@pytest.mark.thorough
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), min_size=1, max_size=6), st.randoms())
def test_no_harm_makes_the_reader_fail_or_run_for_ever(
    tmp_path: Path, harms: list[tuple[int, int]], dice: random.Random
) -> None:
    table, size = START_OF_TABLES, 516 * 512
    starts = (0, 1 << 20, (1 << 20) + 512, table, table + size, table + 2 * size)

    def harm(head: bytearray, table: int) -> None:
        for offset, value in harms:
            head[dice.choice(starts) + offset] = value

    try:
        found = broken(tmp_path, harm)
    except NoFat32:
        return
    for path in found.files:
        assert sum(map(len, found.content(path))) <= found.files[path].size
