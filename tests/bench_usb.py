"""How fast the image of a 400 MB ISO is written, beside `cp` and fsync of the same bytes, in turns: `make bench-usb`.

Both write to the same folder and end with fsync. `write` is the image alone; `command` is all of `homelab usb build`,
which first has Ansible read the inventory.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from homelab.ports.iso import open_iso
from homelab.ports.stick_image import write_image
from homelab.render.boot_media import media, stick
from homelab.usb_commands import read_installer
from tests.esxi_iso import esxi_files, write_iso
from tests.sample import sample_lab
from tests.usb_bench import Bench

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


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="homelab-bench-") as name:
        bench = Bench(Path(name))
        files = esxi_files() | {f"/LARGE{n:02}.V00": os.urandom(MODULE_BYTES) for n in range(MODULES)}
        write_iso(bench.iso, files)
        del files
        ways = {
            "cp": lambda: copied(bench.iso, bench.folder / "copy.iso"),
            "write": lambda: written(bench.iso, bench.folder / "write.img"),
            "command": lambda: bench.run("usb", "build", "brix3"),
        }
        seconds: dict[str, list[float]] = {way: [] for way in ways}
        for _ in range(ROUNDS):
            for way, work in ways.items():
                for path in bench.folder.glob("*.i*"):
                    if path != bench.iso:
                        path.unlink()
                os.sync()
                began = time.perf_counter()
                work()
                seconds[way].append(time.perf_counter() - began)
        megabytes = bench.iso.stat().st_size / 1e6
        for way, times in seconds.items():
            middle = statistics.median(times)
            spread = f"{min(times):.2f} to {max(times):.2f} s in {ROUNDS} rounds"
            sys.stdout.write(f"{way:<8} {middle:6.2f} s {megabytes / middle:6.0f} MB/s ({spread})\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
