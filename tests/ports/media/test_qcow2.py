"""The qcow2 reader: against QEMU's own images, and against small ones with every layout and every refusal."""

import io
import random
import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homelab.ports.media.qcow2 import Qcow2Error, Unsupported, extents, read_header
from tests.helpers.qcow2_writer import Packed, Plain, Zero, disk, qcow2

CLUSTER = 512

needs_qemu_img = pytest.mark.skipif(shutil.which("qemu-img") is None, reason="qemu-img (qemu-utils) is not installed")


def raw(image: bytes) -> bytes:
    file = io.BytesIO(image)
    header = read_header(file)
    result, end = bytearray(header.size), 0
    for place, data in extents(file, header):
        assert place >= end, "out of order"
        end = place + len(data)
        assert end <= header.size
        result[place:end] = data
    return bytes(result)


def filled(letter: int) -> bytes:
    return bytes([letter]) * CLUSTER


kinds = st.one_of(
    st.builds(kind, st.binary(min_size=1, max_size=8).map(lambda b: (b * CLUSTER)[:CLUSTER]))
    for kind in (Plain, Packed, Zero)
)


@given(st.integers(1, 200 * CLUSTER).map(lambda size: size // 8 * 8 or 8), st.dictionaries(st.integers(0, 199), kinds))
@settings(max_examples=150, deadline=None)
def test_any_layout_gives_its_disk_back(size: int, clusters: dict[int, Plain | Packed | Zero]) -> None:
    inside = {number: content for number, content in clusters.items() if number * CLUSTER < size}
    assert raw(qcow2(size, inside)) == disk(size, inside)


def test_clusters_side_by_side_come_in_one_piece() -> None:
    file = io.BytesIO(qcow2(8 * CLUSTER, {number: Plain(filled(number + 1)) for number in (1, 2, 3, 6)}))
    assert [(place, len(data)) for place, data in extents(file, read_header(file))] == [
        (CLUSTER, 3 * CLUSTER),
        (6 * CLUSTER, CLUSTER),
    ]


LARGE = 5 << 30


def test_a_first_table_of_more_than_a_mebibyte_is_read_as_qemu_reads_it() -> None:
    """A disk of 5 GiB in clusters of 512 bytes: 163840 entries."""
    last = LARGE // CLUSTER - 1
    file = io.BytesIO(qcow2(LARGE, {0: Plain(filled(1)), last: Plain(filled(2))}))
    found = list(extents(file, read_header(file)))
    assert found == [(0, filled(1)), (last * CLUSTER, filled(2))]


def test_the_first_table_may_be_as_large_as_qemu_s_own_limit() -> None:
    most = (32 << 20) // 8
    assert read_header(io.BytesIO(qcow2(CLUSTER, {}, l1_entries=most))).l1_entries == most
    with pytest.raises(Qcow2Error, match="too large"):
        read_header(io.BytesIO(qcow2(CLUSTER, {}, l1_entries=most + 1)))


@needs_qemu_img
def test_a_large_disk_in_small_clusters_that_qemu_made(tmp_path: Path) -> None:
    source, image = tmp_path / "disk.raw", tmp_path / "disk.qcow2"
    with source.open("wb") as file:
        file.truncate(LARGE)
        file.seek(LARGE - 5)
        file.write(b"last!")
    command = ["qemu-img", "convert", "-f", "raw", "-O", "qcow2", "-o", "cluster_size=512", source, image]
    subprocess.run(command, check=True)
    with image.open("rb") as file:
        [(place, data)] = extents(file, read_header(file))
    assert (place + len(data), data[-5:]) == (LARGE, b"last!")


def test_version_2_has_no_zero_mark() -> None:
    clusters = {0: Plain(filled(1)), 5: Packed(filled(2))}
    assert raw(qcow2(9 * CLUSTER, clusters, version=2)) == disk(9 * CLUSTER, clusters)


def test_a_file_may_end_inside_of_its_last_cluster() -> None:
    image = qcow2(CLUSTER, {})
    table = bytearray(CLUSTER)
    struct.pack_into(">Q", table, 0, 3 * CLUSTER)
    image = bytearray(image) + table + b"end"
    struct.pack_into(">Q", image, CLUSTER, 2 * CLUSTER)
    assert raw(bytes(image)) == b"end".ljust(CLUSTER, b"\0")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"backing": 512}, "backing file"),
        ({"encryption": 1}, "encrypted"),
        ({"encryption": 2}, "encrypted"),
        ({"features": 1 << 2}, "external data file"),
        ({"features": 1 << 3, "compression": 1}, "zstd"),
        ({"features": 1 << 3, "compression": 7}, "method 7"),
        ({"features": 1 << 4}, "subclusters"),
        ({"features": 1 << 40}, "unknown features"),
        ({"version": 4}, "version 4"),
        ({"version": 1}, "QEMU's first format"),
    ],
)
def test_a_feature_that_is_not_read_is_named(change: dict[str, int], words: str) -> None:
    with pytest.raises(Unsupported, match=words):
        read_header(io.BytesIO(qcow2(CLUSTER, {}, **change)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (b"", "begin"),
        (b"QFI\xfb", "version 0"),
        (b"<html>", "begin"),
        (qcow2(CLUSTER, {}, features=2), "corrupt"),
        (qcow2(CLUSTER, {}, l1_entries=0), "too short"),
        (qcow2(CLUSTER, {}, l1_entries=1 << 30), "too large"),
        (qcow2(0, {}), "empty"),
        (qcow2(CLUSTER, {}, cluster_bits=22), "out of range"),
    ],
)
def test_a_faulty_header_is_told(image: bytes, words: str) -> None:
    with pytest.raises(Qcow2Error, match=words):
        read_header(io.BytesIO(image))


@pytest.mark.parametrize(
    ("clusters", "cut", "words"),
    [
        ({0: Plain(filled(1)), 1: Plain(filled(2))}, 2 * CLUSTER, "reaches beyond"),
        ({0: Packed(random.Random(1).randbytes(CLUSTER))}, 2 * CLUSTER + 100, "reaches beyond"),
    ],
)
def test_a_file_that_ends_too_early_is_told(clusters: dict[int, Plain | Packed], cut: int, words: str) -> None:
    image = qcow2(4 * CLUSTER, clusters)
    with pytest.raises(Qcow2Error, match=words):
        raw(image[:cut])


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (1 << 40, "beyond the end"),
        (1 << 62 | 1 << 40, "too short"),
        (1 << 62 | 0, "does not unpack|too short"),
    ],
)
def test_a_cluster_that_lies_nowhere_is_told(entry: int, words: str) -> None:
    image = bytearray(qcow2(CLUSTER, {0: Plain(filled(1))}))
    (table,) = struct.unpack_from(">Q", image, CLUSTER)
    struct.pack_into(">Q", image, table & ~(1 << 63), entry)
    with pytest.raises(Qcow2Error, match=words):
        raw(bytes(image))


@needs_qemu_img
@pytest.mark.parametrize(
    "options",
    [
        ["-o", "compat=1.1"],
        ["-o", "compat=0.10"],
        ["-c"],
        ["-c", "-o", "compat=0.10"],
        ["-c", "-o", "cluster_size=4096"],
        ["-o", "cluster_size=2097152"],
        ["-o", "preallocation=metadata"],
        ["-o", "lazy_refcounts=on,cluster_size=512"],
    ],
    ids=" ".join,
)
def test_qemu_images_give_their_disk_back(tmp_path: Path, options: list[str]) -> None:
    # Odd sizes and places: nothing ends where a cluster does.
    content = bytearray(5 * (1 << 20) + 3 * 512)
    dice = random.Random(7)
    for place, length in ((0, 700), (131072, 65536), (1 << 20, 300_001), (3_500_000, 4096), (len(content) - 10, 10)):
        content[place : place + length] = dice.randbytes(length // 2) + b"homelab " * (length // 16 + 1)
        del content[5 * (1 << 20) + 3 * 512 :]
    source, image = tmp_path / "disk.raw", tmp_path / "disk.qcow2"
    source.write_bytes(content)
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", *options, source, image], check=True)
    assert raw(image.read_bytes()) == bytes(content)


@needs_qemu_img
@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["-o", "compression_type=zstd"], "zstd"),
        (["-o", "extended_l2=on"], "subclusters"),
        (["-o", "data_file=DATA"], "external data file"),
        (["-b", "BASE", "-F", "raw"], "backing file"),
    ],
    ids=lambda value: "",
)
def test_qemu_images_with_other_features_are_refused(tmp_path: Path, options: list[str], words: str) -> None:
    (tmp_path / "BASE").write_bytes(bytes(1 << 20))
    image = tmp_path / "disk.qcow2"
    made = subprocess.run(
        ["qemu-img", "create", "-q", "-f", "qcow2", *options, image, "1M"], cwd=tmp_path, capture_output=True
    )
    if made.returncode:
        pytest.skip(f"this qemu-img cannot make it: {made.stderr.decode().strip()}")
    with image.open("rb") as file, pytest.raises(Unsupported, match=words):
        read_header(file)
