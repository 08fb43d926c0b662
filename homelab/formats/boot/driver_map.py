"""The maps of ESXi's drivers, read: which driver claims which PCI device. Pure.

A host has one file a driver, in `/etc/vmware/default.map.d` (native drivers) and `/etc/vmware/driver.map.d` (vmklinux
drivers). A line is a list of `key=value`, of which `id` names the device; both shapes are from public files:

    regtype=linux,bus=pci,id=11ab:4354 0000:0000,driver=sky2,class=network
    regtype=native,bus=pci,id=15b3101d15b30016......,driver=nmlx5_core

The first has vendor:device and the subsystem, where `0000:0000` stands for any; the second vendor, device, subvendor,
subdevice and class without signs between, where `.` stands for any digit. Digits are found in both cases (`11ab:436A`).
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

COMMENT = "#"
LINUX = re.compile(r"([0-9a-f.]{4}:[0-9a-f.]{4})(?:\s+([0-9a-f.]{4}:[0-9a-f.]{4}))?")
NATIVE = re.compile(r"([0-9a-f.]{4})([0-9a-f.]{4})([0-9a-f.]{4})([0-9a-f.]{4})[0-9a-f.]*")
ANY_SUBSYSTEM = ("0000:0000", "....:....")
PCI_ID = re.compile(r"[0-9a-f]{4}:[0-9a-f]{4}")
# What `grep -r` puts before a line, and the only folders whose files are maps of drivers.
FOUND_IN = re.compile(r"^(/[^:]*/[^/:]+\.map\.d/[^/:]+\.map):(.*)$")


@dataclass(frozen=True)
class Claim:
    """One driver's claim of a device; ids in lower case, `.` for any digit. `native` is false for vmklinux drivers."""

    driver: str
    device: str
    subsystem: str
    native: bool

    def names(self, pci_id: str, subsystem: str = "") -> bool:
        """Whether it claims a device, VENDOR:DEVICE and SUBVENDOR:SUBDEVICE in hex; nothing claims an empty id."""
        if not PCI_ID.fullmatch(pci_id.lower()) or not _fits(self.device, pci_id):
            return False
        return self.subsystem in ANY_SUBSYSTEM or _fits(self.subsystem, subsystem)


def _fits(pattern: str, value: str) -> bool:
    return re.fullmatch(pattern, value.lower()) is not None


def claims(lines: Iterable[str]) -> tuple[Claim, ...]:
    """The claims of a map's lines. Comments, and what is no claim of a PCI device, are passed over."""
    return tuple(claim for line in lines if (claim := _claim(line)) is not None)


def found_claims(text: str) -> tuple[Claim, ...]:
    """The claims in the output of `grep -r`, PATH:LINE each; only lines of maps count."""
    return claims(_of_maps(text))


def _of_maps(text: str) -> Iterator[str]:
    for row in text.splitlines():
        if found := FOUND_IN.match(row):
            yield found[2]


def _claim(line: str) -> Claim | None:
    text = line.strip().lower()
    if text.startswith(COMMENT):
        return None
    fields = dict(part.strip().partition("=")[::2] for part in text.split(","))
    kind, driver, name = fields.get("regtype"), fields.get("driver", ""), fields.get("id", "")
    if fields.get("bus") != "pci" or not re.fullmatch(r"[a-z0-9_-]+", driver):
        return None
    if kind == "linux" and (found := LINUX.fullmatch(name)):
        return Claim(driver, found[1], found[2] or ANY_SUBSYSTEM[0], native=False)
    if kind == "native" and (found := NATIVE.fullmatch(name)):
        return Claim(driver, f"{found[1]}:{found[2]}", f"{found[3]}:{found[4]}", native=True)
    return None
