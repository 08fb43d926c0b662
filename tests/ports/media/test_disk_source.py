"""The disk in a file of any format; what cannot be read is told with a way out, and the way out works."""

import hashlib
import io
import random
import shutil
import struct
import subprocess
import tarfile
import zlib
from pathlib import Path

import pytest

from homelab.errors import HomelabError
from homelab.lab import Image
from homelab.ports.media.images import prepare_image
from tests.helpers.disk_writers import bootable, ova, sparse_vmdk, vhd, with_gpt, with_mbr
from tests.helpers.qcow2_writer import qcow2
from tests.helpers.vmdk_writer import stream_vmdk

SIZE = 40 << 16
DISK = bootable(b"system" + bytes(200_000) + b"more" + bytes(1_500_000) + b"last", SIZE)


def prepared(folder: Path, content: bytes, name: str = "image") -> bytes:
    """The flat disk that is made of a file with this content."""
    (folder / name).write_bytes(content)
    image = Image(source=str(folder / name), sha256=hashlib.sha256(content).hexdigest())
    return prepare_image(image, folder / "cache", lambda done, total: None).flat.read_bytes()


@pytest.mark.parametrize(
    "content",
    [
        DISK,
        sparse_vmdk(DISK),
        stream_vmdk(DISK),
        ova({"vm-disk1.vmdk": stream_vmdk(DISK)}),
        ova({"disk.vmdk": sparse_vmdk(DISK)}, more={"vm.mf": b"SHA256(vm.ovf)= 0"}),
        ova({"disk.img": DISK}),
    ],
    ids=["raw", "sparse VMDK", "stream VMDK", "OVA", "OVA with a manifest", "OVA with a raw disk"],
)
def test_a_disk_comes_out_of_every_format_as_it_went_in(content: bytes, tmp_path: Path) -> None:
    assert prepared(tmp_path, content) == DISK


def cut_grain(stream: bytes, packed: bytes) -> bytes:
    """The stream with another content of its first grain, which stands in the same sectors."""
    at = 128 * 512
    place, size = struct.unpack_from("<QI", stream, at)
    assert (place, len(packed) <= size) == (0, True)
    return stream[:at] + struct.pack("<QI", place, len(packed)) + packed.ljust(size, b"\0") + stream[at + 12 + size :]


NOISY = bootable(random.Random(7).randbytes(1 << 16), SIZE)
PACKED = zlib.compress(NOISY[: 1 << 16])


@pytest.mark.parametrize(
    "packed",
    [PACKED[:40_000], PACKED[:-2], zlib.compress(b"a" * 65_535), zlib.compress(b"a" * 65_537)],
    ids=["cut in its middle", "without its checksum", "of too few bytes", "of too many bytes"],
)
def test_a_grain_that_does_not_unpack_to_its_end_is_told_and_not_taken_for_zeros(packed: bytes, tmp_path: Path) -> None:
    with pytest.raises(HomelabError, match="the grain at sector 128 is cut"):
        prepared(tmp_path, cut_grain(stream_vmdk(NOISY), packed))


def test_the_last_grain_may_be_as_short_as_the_rest_of_the_disk(tmp_path: Path) -> None:
    disk = bootable(b"x", 2048)
    packed = zlib.compress(disk)
    assert prepared(tmp_path, cut_grain(stream_vmdk(disk), packed)) == disk


def has_gnu_tar() -> bool:
    if shutil.which("tar") is None:
        return False
    return b"GNU tar" in subprocess.run(["tar", "--version"], check=False, capture_output=True).stdout


@pytest.mark.skipif(not has_gnu_tar(), reason="needs GNU tar")
@pytest.mark.parametrize("form", ["gnu", "posix"])
def test_an_ova_that_tar_packed_with_holes_is_told_and_unpacked_as_the_advice_says(form: str, tmp_path: Path) -> None:
    with tarfile.open(fileobj=io.BytesIO(ova({"disk.img": DISK}))) as archive:
        description = archive.extractfile("vm.ovf")
        assert description
        (tmp_path / "vm.ovf").write_bytes(description.read())
    with (tmp_path / "disk.img").open("wb") as file:
        for at in range(0, SIZE, 4096):
            if any(DISK[at : at + 4096]):
                file.seek(at)
                file.write(DISK[at : at + 4096])
        file.truncate(SIZE)
    tar = ["tar", "-C", str(tmp_path), f"--format={form}", "-cf", str(tmp_path / "vm.ova"), "vm.ovf"]
    subprocess.run([*tar, "-S", "disk.img"], check=True)
    content = (tmp_path / "vm.ova").read_bytes()
    assert len(content) < SIZE
    with pytest.raises(HomelabError, match=r"its disk disk\.img is packed with holes") as told:
        prepared(tmp_path, content, "vm.ova")
    assert f"`tar -xf {tmp_path}/vm.ova`" in told.value.advice
    (tmp_path / "disk.img").unlink()
    subprocess.run(["tar", "-C", str(tmp_path), "-xf", str(tmp_path / "vm.ova")], check=True)
    assert prepared(tmp_path, (tmp_path / "disk.img").read_bytes(), "disk.img") == DISK


def test_zeros_take_no_room(tmp_path: Path) -> None:
    prepared(tmp_path, sparse_vmdk(bootable(b"x", 64 << 20)))
    [flat] = (tmp_path / "cache" / "images").glob("*-flat.vmdk")
    assert flat.stat().st_size == 64 << 20
    assert flat.stat().st_blocks * 512 < 1 << 20


LARGE = DISK.ljust(4 << 20, b"\0")


def hybrid(disk: bytes) -> bytes:
    """A second entry of the MBR, as for a boot loader that knows no GPT; it ends behind the disk."""
    return disk[:462] + struct.pack("<4sB3sII", bytes(4), 0x0C, bytes(3), 2048, SIZE // 512) + disk[478:]


def damaged(disk: bytes, *places: int) -> bytes:
    made = bytearray(disk)
    for place in places:
        made[place] ^= 1
    return bytes(made)


def put(disk: bytes, place: int, content: bytes) -> bytes:
    return disk[:place] + content + disk[place + len(content) :]


def far_table(disk: bytes) -> bytes:
    """A sound head of a GPT whose table is said to lie further away than any disk reaches."""
    for place in (512, len(disk) - 512):
        head = put(disk[place : place + 92], 72, b"\xf0" * 8)
        head = put(head, 16, bytes(4))
        disk = put(disk, place, put(head, 16, struct.pack("<I", zlib.crc32(head))))
    return disk


ISO = bootable(b"", 1 << 16)[:0x8001] + b"CD001" + bytes(1 << 12)
UNUSABLE = {
    "no partition table": (bytes(4096), "no disk image that is known"),
    "an ISO image": (ISO, "it is an ISO image"),
    "a descriptor": (b'# Disk DescriptorFile\nRW 4 VMFS "disk-flat.vmdk"\n' + bytes(600), "a text without the data"),
    "a child disk": (sparse_vmdk(DISK, parent="7b5f5c1d"), "it is a child disk"),
    "a disk in several files": (sparse_vmdk(DISK, kind="twoGbMaxExtentSparse"), "whose data lie in further files"),
    "VMware's piece of a split disk": (sparse_vmdk(DISK, kind="", descriptor=(0, 0)), "one piece of a split disk"),
    "QEMU's piece of a split disk": (sparse_vmdk(DISK, kind=""), "one piece of a split disk"),
    "a snapshot of ESXi": (b"COWD" + bytes(4096), "a VMDK of a snapshot"),
    "a differencing VHD": (vhd(4), "it is a differencing VHD"),
    "a raw piece with an MBR": (with_mbr(DISK, 0x83, 2048, SIZE // 512 - 2047), "it is cut, or one piece"),
    "a raw piece with a GPT": (with_gpt(LARGE, ((2048, 5000), (5001, 8158)))[:SIZE], "it is cut, or one piece"),
    "a raw piece whose GPT has room": (with_gpt(LARGE, ((34, 99),))[:SIZE], "end at 4177408 bytes, and it has 262"),
    "a raw piece with a hybrid MBR": (hybrid(with_gpt(DISK, ())), "it is cut, or one piece"),
    "a raw disk whose GPT is damaged": (damaged(with_gpt(DISK, ()), 560, SIZE - 500), "the head of its GPT is damaged"),
    "a GPT that leads nowhere": (far_table(with_gpt(DISK, ())), "its GPT is of an unknown shape"),
    "a VMDK that leads nowhere": (put(sparse_vmdk(DISK), 56, b"\xf0" * 8), "a table at sector"),
    "a VMDK whose descriptor is nowhere": (put(sparse_vmdk(DISK), 28, b"\xf0" * 8), "one piece of a split disk"),
    "a qcow2 that leads nowhere": (put(qcow2(512, {}), 40, b"\xf0" * 7 + b"\0"), "its first table is out of place"),
    "a cut VMDK": (sparse_vmdk(DISK)[:30_000], "it is cut"),
    "a cut stream": (stream_vmdk(DISK)[:-2048], "it is cut"),
    "a cut raw disk": (DISK[:-100], "it is cut"),
    "an OVA of two disks": (ova({"a.vmdk": b"a", "b.vmdk": b"b"}), "it has 2 disks"),
    "an OVA without a disk": (ova({}), "it has no disks"),
    "an OVA without its disk": (ova({"a.vmdk": b"a"}, href="b.vmdk"), "names the disk b.vmdk, which is not in it"),
    "an OVA that climbs out": (ova({"a.vmdk": b"a"}, href="../../etc/passwd"), "names a file outside of it"),
    "an OVA with entities": (ova({"a.vmdk": b"a"}, ovf="<!DOCTYPE x><x/>"), "declares a document type"),
    "an OVA of nonsense": (ova({"a.vmdk": b"a"}, ovf="<Envelope"), "is no XML"),
    "a cut OVA": (ova({"a.vmdk": stream_vmdk(DISK)})[:5000], "it is no whole tar archive"),
}


@pytest.mark.parametrize("case", UNUSABLE)
def test_what_cannot_be_used_is_told_and_nothing_is_left(case: str, tmp_path: Path) -> None:
    content, said = UNUSABLE[case]
    with pytest.raises(HomelabError) as told:
        prepared(tmp_path, content)
    assert said in told.value.what, told.value.what
    assert told.value.advice
    assert not list((tmp_path / "cache" / "images").glob("*.vmdk"))


@pytest.mark.parametrize(
    "content",
    [
        with_mbr(DISK, 0x83, 2048, SIZE // 512 - 2048, active=0x80),
        # Boot code where the entries would be: a FAT without a partition table.
        with_mbr(DISK, 0x83, 2048, SIZE // 512, active=0x74),
        with_gpt(DISK, ((34, SIZE // 512 - 34),)),
        damaged(with_gpt(DISK, ((34, SIZE // 512 - 34),)), 560),
        # The copy of the table was cut off, and no partition with it.
        with_gpt(DISK, ((34, 99),))[:-512],
    ],
    ids=["MBR", "boot code", "GPT", "GPT with a sound copy", "GPT without its copy"],
)
def test_a_raw_disk_whose_partitions_end_in_it_is_whole(content: bytes, tmp_path: Path) -> None:
    assert prepared(tmp_path, content)[: len(content)] == content


def test_pieces_are_joined_by_their_descriptor_as_the_advice_says(tmp_path: Path) -> None:
    with pytest.raises(HomelabError) as told:
        prepared(tmp_path, sparse_vmdk(DISK, kind=""), "disk-s001.vmdk")
    assert "`qemu-img convert -O qcow2 DESCRIPTOR.vmdk image.qcow2`" in told.value.advice
    text = b'# Disk DescriptorFile\nRW 9 SPARSE "disk-s001.vmdk"\nRW 9 SPARSE "disk-s002.vmdk"\n' + bytes(600)
    with pytest.raises(HomelabError) as told:
        prepared(tmp_path, text, "disk.vmdk")
    assert f"`qemu-img convert -O qcow2 {tmp_path}/disk.vmdk image.qcow2`" in told.value.advice


@pytest.mark.skipif(shutil.which("qemu-img") is None, reason="qemu-img is not installed")
@pytest.mark.parametrize(("form", "piece"), [("twoGbMaxExtentSparse", "s001"), ("twoGbMaxExtentFlat", "f001")])
def test_pieces_that_qemu_made_are_told_and_joined_they_come_out_whole(form: str, piece: str, tmp_path: Path) -> None:
    disk = with_mbr(DISK, 0x83, 2048, SIZE // 512 - 2048)
    (tmp_path / "raw").write_bytes(disk)
    made, joined = tmp_path / "made.vmdk", tmp_path / "image.qcow2"
    options = ["-O", "vmdk", "-o", f"subformat={form}", str(tmp_path / "raw"), str(made)]
    subprocess.run(["qemu-img", "convert", "-f", "raw", *options], check=True, capture_output=True)
    content = (tmp_path / f"made-{piece}.vmdk").read_bytes()
    with pytest.raises(HomelabError, match="one piece of a split disk"):
        prepared(tmp_path, content[: len(content) - (512 if piece == "f001" else 0)])
    subprocess.run(["qemu-img", "convert", "-O", "qcow2", str(made), str(joined)], check=True, capture_output=True)
    assert prepared(tmp_path, joined.read_bytes()) == disk


# The head of an image that qemu-img 7.2 made with -O qcow.
QCOW = bytes.fromhex(f"514649fb00000001 {16 * '00'} 00000000005ff200 0c09000000000000 0000000000000030")


def test_an_image_of_qemu_s_first_format_is_to_be_converted(tmp_path: Path) -> None:
    with pytest.raises(HomelabError, match="it is of QEMU's first format") as told:
        prepared(tmp_path, QCOW + bytes(4096))
    assert f"Convert it: `qemu-img convert -O qcow2 {tmp_path}/image image.qcow2`" in told.value.advice


@pytest.mark.skipif(shutil.which("qemu-img") is None, reason="qemu-img is not installed")
def test_an_image_of_qemu_s_first_format_comes_out_whole_when_it_is_converted(tmp_path: Path) -> None:
    (tmp_path / "raw").write_bytes(DISK)
    for source, form, made in (("raw", "qcow", "old"), ("old", "qcow2", "new")):
        command = ["qemu-img", "convert", "-O", form, str(tmp_path / source), str(tmp_path / made)]
        subprocess.run(command, check=True, capture_output=True)
    with pytest.raises(HomelabError, match="it is of QEMU's first format"):
        prepared(tmp_path, (tmp_path / "old").read_bytes())
    assert prepared(tmp_path, (tmp_path / "new").read_bytes()) == DISK


def test_the_flat_half_of_a_pair_is_a_disk_as_the_advice_says(tmp_path: Path) -> None:
    with pytest.raises(HomelabError) as told:
        prepared(tmp_path, UNUSABLE["a descriptor"][0], "disk.vmdk")
    assert "NAME-flat.vmdk" in told.value.advice
    assert prepared(tmp_path, DISK, "disk-flat.vmdk") == DISK


def test_a_format_that_only_qemu_reads_names_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(HomelabError, match="it is VHDX, and qemu-img, which reads it, is not installed") as told:
        prepared(tmp_path, b"vhdxfile" + bytes(4096))
    assert "qemu-utils" in told.value.advice


def test_qemu_s_tool_is_used_where_it_is_and_what_it_says_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program in its place: it gets plain arguments, and its first complaint is told."""
    tool = tmp_path / "bin" / "qemu-img"
    tool.parent.mkdir()
    (tmp_path / "made").write_bytes(DISK)
    tool.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/argv\nfor last; do :; done\ncp {tmp_path}/made "$last"\n')
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tool.parent}:/usr/bin:/bin")
    for number, name in enumerate(("image", "image.source")):
        assert prepared(tmp_path, b"vhdxfile" + bytes(4096 + number), name) == DISK
        argv = (tmp_path / "argv").read_text()
        assert argv.startswith("convert -f vhdx -O raw -S 64k")
        # Wherever the image lies: the cache has the room.
        assert argv.split()[-1].startswith(f"{tmp_path}/cache/images/homelab-image-")
        assert not list((tmp_path / "cache" / "images").glob("homelab-image-*"))
    tool.write_text("#!/bin/sh\necho 'Could not open: Image is corrupt' >&2\nexit 1\n")
    with pytest.raises(HomelabError, match="Could not open: Image is corrupt"):
        prepared(tmp_path, b"vhdxfile" + bytes(8192))


@pytest.mark.thorough
@pytest.mark.skipif(shutil.which("qemu-img") is None, reason="qemu-img is not installed")
@pytest.mark.parametrize(
    "form",
    [
        ["-O", "vmdk"],
        ["-O", "vmdk", "-o", "subformat=streamOptimized"],
        ["-O", "qcow2", "-c"],
        ["-O", "qcow2", "-o", "compression_type=zstd", "-c"],
        ["-O", "vdi"],
        ["-O", "vhdx"],
        ["-O", "vpc"],
    ],
    ids=" ".join,
)
def test_images_that_qemu_made_come_out_as_they_went_in(form: list[str], tmp_path: Path) -> None:
    (tmp_path / "raw").write_bytes(DISK)
    command = ["qemu-img", "convert", "-f", "raw", *form, str(tmp_path / "raw"), str(tmp_path / "made")]
    subprocess.run(command, check=True, capture_output=True)
    flat = prepared(tmp_path, (tmp_path / "made").read_bytes())
    assert flat[: len(DISK)] == DISK
    assert io.BytesIO(flat[len(DISK) :]).read().strip(b"\0") == b""
