"""The image of a host's installer stick, made from the user's own ISO and the inventory."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from homelab.engine.step import Change, Step, Words
from homelab.errors import Refused, UsageError
from homelab.formats.boot.boot_media import Media, media, stick
from homelab.formats.boot.installer import Installer
from homelab.formats.fat.layout import Layout
from homelab.lab import Lab
from homelab.ports.media.iso import Names, open_iso
from homelab.ports.media.stick_image import check_target, write_image
from homelab.ports.media.this_machine import ThisMachine
from homelab.steps.sticks.source import Request, content_of, host_of, iso_path, read_installer, sizes_of


@dataclass(frozen=True)
class BuildState:
    """An ISO as it was looked at: which file it is, the installer on it, and its files with their sizes."""

    iso: Path
    file: tuple[int, ...]
    installer: Installer
    files: Mapping[Names, int]


@dataclass(frozen=True)
class BuildImage(Change):
    """Make the image of an installer stick; `own` are the files that do not come from the ISO."""

    image: Path
    iso: Path
    iso_file: tuple[int, ...]
    own: tuple[tuple[Names, bytes], ...] = field(repr=False)
    layout: Layout = field(repr=False)
    version: str
    driver_fix: bool
    anew = True

    def _words(self) -> Words:
        return Words(
            sentence=f"make {self.image} for {self.target}, with {self.version}",
            reason="it was asked for",
            undo=f"delete {self.image}",
        )


class UsbBuild(Step[BuildState, BuildImage]):
    """Makes the image of a host's installer stick."""

    name = "usb-build"

    def __init__(self, request: Request, image: Path) -> None:
        self._request, self._image = request, image

    def targets(self, lab: Lab) -> Sequence[str]:
        """The host whose stick it is."""
        return (self._request.host,)

    def observe(self, world: ThisMachine, lab: Lab, target: str) -> BuildState:
        """Look at the host's ISO; refuse an image that must not be written over."""
        check_target(self._image)
        path = iso_path(host_of(lab, target), self._request.inventories)
        with open_iso(path) as iso:
            found = BuildState(path, iso.identity, read_installer(str(path), iso), iso.files)
        if path.resolve() == self._image.resolve():
            raise UsageError("this is the ISO itself", where=str(self._image), advice="Name another file with -O")
        return found

    def plan(self, lab: Lab, target: str, observed: BuildState) -> Sequence[BuildImage]:
        """Make it, whatever image of ours is there; Refused when the ISO does not suit the host."""
        made, found = self._media(lab, target, observed), observed.installer
        layout = stick(sizes_of(observed.files, made.own), lab.host(target), found)
        own = tuple(made.own.items())
        return [BuildImage(target, self._image, observed.iso, observed.file, own, layout, found.name, made.driver_fix)]

    def remarks(self, lab: Lab, target: str, observed: BuildState) -> Sequence[str]:
        """What is doubtful about the kickstart file and the ISO."""
        return self._media(lab, target, observed).warnings

    def _media(self, lab: Lab, target: str, observed: BuildState) -> Media:
        return media(lab, lab.host(target), observed.installer, self._request.kickstart)

    def apply(self, world: ThisMachine, change: BuildImage) -> None:
        """Write it; it gets its name when all of it is on the disk."""
        with open_iso(change.iso) as iso, world.voice.progress(f"writing {change.image}") as report:
            if iso.identity != change.iso_file:
                what, advice = "the ISO was changed meanwhile; nothing was written", "Run it again when it is whole"
                raise Refused(what, where=str(change.iso), advice=advice)
            write_image(change.image, change.layout, partial(content_of, iso, dict(change.own)), report)
