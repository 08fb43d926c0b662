"""The rehearsal's image: real, small, and the same each time."""

import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest

from homelab.ports.media.qcow2 import extents, read_header
from homelab.rehearsal.storage.image import make_image


def test_its_first_sector_names_the_root(tmp_path: Path) -> None:
    path, digest = make_image(tmp_path / "new", "0123456789abcdef")
    assert hashlib.sha256(path.read_bytes()).hexdigest() == digest
    with path.open("rb") as file:
        header = read_header(file)
        ((place, data),) = extents(file, header)
    assert header.size == 8 << 20
    assert place == 0
    assert data.startswith(b"homelab rehearsal root 0123456789abcdef\n\0")


def test_the_same_arguments_give_the_same_bytes(tmp_path: Path) -> None:
    assert make_image(tmp_path, "a")[1] == make_image(tmp_path, "a")[1]
    assert make_image(tmp_path, "a")[1] != make_image(tmp_path, "b")[1]
    assert make_image(tmp_path, "a")[1] != make_image(tmp_path, "a", size_mib=16)[1]


@pytest.mark.parametrize(("root_id", "size"), [("x" * 500, 8), ("x", 0), ("x", 513)])
def test_what_does_not_fit_is_not_made(tmp_path: Path, root_id: str, size: int) -> None:
    with pytest.raises(ValueError, match="no image"):
        make_image(tmp_path, root_id, size)


@pytest.mark.skipif(shutil.which("qemu-img") is None, reason="qemu-img (qemu-utils) is not installed")
def test_qemu_finds_no_fault_in_it(tmp_path: Path) -> None:
    path, _ = make_image(tmp_path, "a", size_mib=512)
    subprocess.run(["qemu-img", "check", "-q", path], check=True)
