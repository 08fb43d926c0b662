"""Which ESXi an installer is: its release and build, from whatever of its files tells. Pure.

On VMware's own ISOs of 6.0 to 6.7 the line `build=` of boot.cfg is empty (plunder's template from a 6.7 U2 ISO, an HPE
6.7 ISO, PXE notes for 6.0, 6.5 and 6.7 agree); from 7.0 on it is filled. The image profile names the package esx-base,
whose version ends with the build; ISO labels and file names carry both in VMware's own form.
"""

import re
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO

Path = tuple[str, ...]
Reader = Callable[[Path], bytes | None]

PROFILE: Path = ("UPGRADE", "PROFILE.XML")
METADATA: Path = ("UPGRADE", "METADATA.ZIP")
DISCINFO: Path = (".DISCINFO",)
NUMBERS = r"(\d{1,2})\.(\d{1,2})\.(\d{1,3})"
# A build number has up to eight digits; 20190402001 in a profile's name is a day.
BUILD = r"(?<!\d)(\d{5,8})(?!\d)"
MOST_BYTES = 32 << 20


@dataclass(frozen=True)
class Release:
    """Major, minor and patch; `build` is empty where nothing tells it."""

    version: tuple[int, int, int]
    build: str = ""

    def __str__(self) -> str:
        numbers = ".".join(map(str, self.version))
        return f"{numbers}-{self.build}" if self.build else numbers


def of_build_line(value: str) -> Release | None:
    """The release of `build=`: 6.7.0-8169922, 6.7.0-1.28.10302608, 7.0.3-0.55.20328353, or 8.0.3 without a build."""
    found = re.match(rf"{NUMBERS}(?:-(?:[\d.]*\.)?(\d+))?$", value.strip())
    return _release(found, found[4] or "") if found else None


def find(read: Reader, build_line: str, label: str, file_name: str) -> Release | None:
    """The first release that is told, with the first build told for it; None when nothing tells any.

    `read` gives a file by its path in capitals, None when there is none; `label` is the volume's.
    """
    told = [release for release in _all(read, build_line, label, file_name) if release]
    if not told:
        return None
    build = next((release.build for release in told if release.build and release.version == told[0].version), "")
    return Release(told[0].version, build)


def _all(read: Reader, build_line: str, label: str, file_name: str) -> Iterator[Release | None]:
    yield of_build_line(build_line)
    yield of_profile((read(PROFILE) or b"").decode("utf-8", "replace"))
    yield of_metadata(read(METADATA) or b"")
    yield of_name((read(DISCINFO) or b"").decode("utf-8", "replace"))
    yield of_name(label)
    yield of_name(file_name)


def of_profile(text: str) -> Release | None:
    """From an image profile's XML: the package esx-base, else the profile's name (ESXi-6.7.0-20190402001-standard)."""
    found = re.search(rf"_esx-base_{NUMBERS}-(?:[\d.]*\.)?(\d+)\s*<", text)
    if found:
        return _release(found, found[4])
    name = re.search(r"<name>([^<]*)</name>", text)
    return of_name(name[1]) if name else None


def of_metadata(content: bytes) -> Release | None:
    """From the profiles inside of METADATA.ZIP."""
    try:
        with zipfile.ZipFile(BytesIO(content)) as archive:
            for entry in archive.infolist():
                if entry.filename.startswith("profiles/") and 0 < entry.file_size <= MOST_BYTES:
                    found = of_profile(archive.read(entry).decode("utf-8", "replace"))
                    if found:
                        return found
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, EOFError, ValueError):
        return None
    return None


def of_name(text: str) -> Release | None:
    """From a label or a file's name: ESXI-6.7.0-8169922-STANDARD, VMware-VMvisor-Installer-6.7.0.update02-13006603."""
    found = re.search(rf"(?<![\d.]){NUMBERS}(?!\d)", text)
    if not found:
        return None
    number = re.search(BUILD, text[found.end() :])
    return _release(found, number[1] if number else "")


def _release(found: re.Match[str], build: str) -> Release:
    return Release((int(found[1]), int(found[2]), int(found[3])), build)
