"""What an installer stick is made from: a host of the lab, its ISO, and the files that we make."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from homelab.errors import UsageError
from homelab.formats.boot.boot_media import Media, capitals, media
from homelab.formats.boot.installer import Installer, installer
from homelab.formats.near import known_names
from homelab.lab import EsxiHost, Lab, meant
from homelab.ports.media.iso import Iso, Names, open_iso


@dataclass(frozen=True)
class Request:
    """Whose stick it is, in which inventories its ISO is named, and a kickstart file of one's own: name and content."""

    host: str
    inventories: tuple[Path, ...]
    kickstart: tuple[str, bytes] | None = None


@dataclass(frozen=True)
class Source:
    """One host, its open ISO, and the files that we make."""

    host: EsxiHost
    iso: Iso
    installer: Installer
    media: Media

    @property
    def sizes(self) -> dict[Names, int]:
        """Every file of the stick with its size in bytes."""
        return sizes_of(self.iso.files, self.media.own)

    def content(self, path: Names) -> Iterator[bytes]:
        """The bytes of a file of the stick."""
        return content_of(self.iso, self.media.own, path)


@contextmanager
def opened_source(lab: Lab, request: Request) -> Iterator[Source]:
    """Open what the stick of a host is made from."""
    host = host_of(lab, request.host)
    path = iso_path(host, request.inventories)
    with open_iso(path) as iso:
        found = read_installer(str(path), iso)
        yield Source(host, iso, found, media(lab, host, found, request.kickstart))


def sizes_of(iso: Mapping[Names, int], own: Mapping[Names, bytes]) -> dict[Names, int]:
    """Every file of a stick with its size: the ISO's in its order, ours in their place or at the end."""
    return {**iso, **{path: len(content) for path, content in own.items()}}


def content_of(iso: Iso, own: Mapping[Names, bytes], path: Names) -> Iterator[bytes]:
    """The bytes of a file: ours, else the ISO's."""
    ours = own.get(path)
    return iter([ours]) if ours is not None else iso.chunks(path)


def host_of(lab: Lab, name: str) -> EsxiHost:
    """The ESXi host of that name; UsageError with the names there are."""
    known = {host.name: host for host in lab.esxi}
    if found := meant(name, known):
        return known[found]
    raise UsageError(
        f"no ESXi host of the inventory is called {name}",
        where="command line",
        advice=known_names([name], known, "hosts"),
    )


def iso_path(host: EsxiHost, inventories: tuple[Path, ...]) -> Path:
    """The host's ISO; a relative path starts at the folder of the first inventory. UsageError when none is set."""
    if host.iso is None:
        raise UsageError(
            f"{host.name} has no esxi_iso",
            where="inventory",
            advice="Write esxi_iso: and the path of VMware's installer ISO; each release has its own",
        )
    first = inventories[0]
    return (first if first.is_dir() else first.parent) / Path(host.iso).expanduser()


def read_installer(where: str, iso: Iso) -> Installer:
    """Make sense of an open ISO; HomelabError when it is no ESXi installer."""
    paths = {capitals(path): path for path in iso.files}

    def read(path: Names) -> bytes | None:
        return iso.read(paths[path]) if path in paths else None

    return installer(where, read, paths, iso.label)
