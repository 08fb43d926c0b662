"""Image archives made of programs: one layer, no distribution below."""

import tempfile
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

from homelab.formats.kubernetes.bundle import ARCHITECTURE
from homelab.formats.kubernetes.image_archive import Entry, image_config, write_image, write_layer
from homelab.formats.kubernetes.images import ImageName
from homelab.ports.kubernetes.nft import nft_entries

PROGRAMS = "usr/local/bin"


def program_image(image: ImageName, programs: Sequence[Path], nft: Path | None, archive: Path) -> None:
    """Write the archive of an image whose entry point is the first of the programs, with nft beside it if there is."""
    if image.name == "pause":
        entries, entrypoint, user = _files("", programs), f"/{programs[0].name}", "65535:65535"
    else:
        entries, entrypoint, user = _files(f"{PROGRAMS}/", programs), f"/{PROGRAMS}/{programs[0].name}", ""
    # An unfinished layer lies beside the archive, and goes with it.
    with tempfile.TemporaryFile(dir=archive.parent) as layer, archive.open("wb") as out:
        written = write_layer(layer, chain(nft_entries(nft) if nft else (), entries))
        size = layer.tell()
        layer.seek(0)
        config = image_config(ARCHITECTURE, [written], [entrypoint], user)
        write_image(out, str(image), config, {written.digest: (layer, size)})


def _files(folder: str, programs: Sequence[Path]) -> Iterator[Entry]:
    for program in programs:
        with program.open("rb") as content:
            yield Entry(f"{folder}{program.name}", content, program.stat().st_size)
