"""How fast images are built and sticks written, beside `cp` and `dd` of the same bytes, in turns: `make bench-usb`.

Building: the ISO has 420 MB; all write to the same folder and end with fsync. `image` is the image alone; `command` is
all of `homelab usb build`, which first has Ansible read the inventory. Writing: that image onto a loop device (as root,
else a file), by `dd bs=4M` with fsync and by the port of `usb write`, which also reads it back.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

from homelab.formats.boot.boot_media import media, stick
from homelab.ports.media.devices import opened
from homelab.ports.media.iso import open_iso
from homelab.ports.media.stick_image import write_image
from homelab.ports.media.stick_writer import Written, write_stick
from homelab.steps.sticks.source import read_installer
from tests.helpers.esxi_iso import esxi_files, write_iso
from tests.helpers.sample import sample_lab
from tests.helpers.stick_bench import Bench

ROUNDS = 5
MODULES, MODULE_BYTES = 20, 20 << 20


def copied(source: Path, target: Path) -> None:
    """What `cp` does, with fsync: every byte is read and written, none is shared."""
    subprocess.run(["cp", source, target], check=True)
    descriptor = os.open(target, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def written(iso_file: Path, target: Path) -> None:
    lab = sample_lab()
    with open_iso(iso_file) as iso:
        found = read_installer(str(iso_file), iso)
        own = media(lab, lab.host("brix3"), found).own
        plan = stick({**iso.files, **{path: len(data) for path, data in own.items()}}, lab.host("brix3"), found)
        content = lambda path: iter([own[path]]) if path in own else iso.chunks(path)  # noqa: E731
        write_image(target, plan, content, lambda done, total: None)


def dd(image: Path, device: Path) -> float:
    began = time.perf_counter()
    command = ["dd", f"if={image}", f"of={device}", "bs=4M", "conv=fsync,notrunc", "status=none"]
    subprocess.run(command, check=True)
    return time.perf_counter() - began


def usb_write(image: Path, device: Path) -> Written:
    with opened("stick", device, write=True) as medium, image.open("rb") as file:
        return write_stick(file, image.name, medium, lambda done, total: None)


@contextmanager
def stick_of(size: int, folder: Path) -> Iterator[Path]:
    """A loop device of that size where that is possible, else the file behind it."""
    backing = folder / "stick"
    with backing.open("wb") as file:
        file.truncate(size)
    if os.geteuid() != 0:
        yield backing
        return
    made = subprocess.run(["losetup", "--find", "--show", backing], check=True, capture_output=True, text=True)
    device = Path(made.stdout.strip())
    try:
        yield device
    finally:
        subprocess.run(["losetup", "--detach", device], check=True)


def build(bench: Bench) -> Iterator[tuple[str, float]]:
    """One round: every way of making the file."""
    ways = {
        "cp": lambda: copied(bench.iso, bench.folder / "copy.iso"),
        "image": lambda: written(bench.iso, bench.folder / "write.img"),
        "command": lambda: bench.run("usb", "build", "brix3"),
    }
    for way, work in ways.items():
        for path in bench.folder.glob("*.i*"):
            if path != bench.iso:
                path.unlink()
        os.sync()
        began = time.perf_counter()
        work()
        yield way, time.perf_counter() - began


def write(image: Path, device: Path) -> Iterator[tuple[str, float]]:
    """One round: every way of filling the stick."""
    os.sync()
    yield "dd", dd(image, device)
    os.sync()
    found = usb_write(image, device)
    yield "writing", found.writing
    yield "reading", found.reading


def tell(title: str, size: int, rounds: Iterable[Iterable[tuple[str, float]]]) -> None:
    """The middle of each way's rounds, its rate, and how far they lie apart."""
    seconds: dict[str, list[float]] = {}
    for way, taken in chain.from_iterable(rounds):
        seconds.setdefault(way, []).append(taken)
    sys.stdout.write(f"{title}, {size / 1e6:.0f} MB\n")
    for way, times in seconds.items():
        middle = statistics.median(times)
        spread = f"{min(times):.2f} to {max(times):.2f} s in {ROUNDS} rounds"
        sys.stdout.write(f"  {way:<8} {middle:6.2f} s {size / 1e6 / middle:6.0f} MB/s ({spread})\n")


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="homelab-bench-") as name:
        bench = Bench(Path(name))
        files = esxi_files() | {f"/LARGE{n:02}.V00": os.urandom(MODULE_BYTES) for n in range(MODULES)}
        write_iso(bench.iso, files)
        del files
        tell("building", bench.iso.stat().st_size, (build(bench) for _ in range(ROUNDS)))
        image = bench.folder / "write.img"
        written(bench.iso, image)
        size = image.stat().st_size
        with stick_of(size + MODULE_BYTES, bench.folder) as device:
            tell("writing", size, (write(image, device) for _ in range(ROUNDS)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
