"""nft for the image of kube-proxy: Debian's package and the libraries that it needs, unpacked and not installed."""

import shutil
import tarfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

from homelab.errors import HomelabError
from homelab.formats.kubernetes.bundle import ARCHITECTURE
from homelab.formats.kubernetes.image_archive import Entry
from homelab.formats.kubernetes.source import MERGED, NFT_SUITE, belongs_to_nft
from homelab.ports.process import Child, run

SECONDS = 900.0
FILE = "nft.tar"
# By it nft tells protocols by their names. Without it a kube-proxy that starts anew takes every element of its maps for
# a leftover (`6` is not `tcp`), and no service answers any more.
PROTOCOLS = b"icmp 1 ICMP\ntcp 6 TCP\nudp 17 UDP\nipv6-icmp 58 IPv6-ICMP\nsctp 132 SCTP\n"
ADVICE = "Install mmdebstrap (apt-get install mmdebstrap); it needs a way to a Debian mirror and Debian's archive keys"


def fetch_nft(folder: Path) -> None:
    """Leave nft.tar in the folder: the package nftables and what it depends on, unpacked."""
    if shutil.which("mmdebstrap") is None:
        raise HomelabError(
            "kube-proxy needs nft beside it, which mmdebstrap fetches", where="mmdebstrap", advice=ADVICE
        )
    options = ["--variant=extract", "--include=nftables", f"--architectures={ARCHITECTURE}", "--format=tar"]
    argv = ["mmdebstrap", *options, NFT_SUITE, str(folder / FILE)]
    done = run(Child("mmdebstrap", argv, SECONDS, advice=ADVICE))
    if done.status:
        last = [line for line in done.stderr.splitlines() if line.startswith("E:")][-1:] or ["no word"]
        raise HomelabError(f"nft cannot be had: {last[0]}", where=" ".join(argv), advice=ADVICE)


def nft_entries(folder: Path) -> Iterator[Entry]:
    """The files that nft needs to run, as the entries of a layer; each is to be read before the next is asked for."""
    yield from (Entry(name, link=link) for name, link in MERGED.items())
    yield Entry("etc/protocols", BytesIO(PROTOCOLS), len(PROTOCOLS), 0o644)
    with tarfile.open(folder / FILE) as archive:
        for member in sorted(archive, key=lambda member: member.name):
            path = member.name.removeprefix("./")
            if not belongs_to_nft(path):
                continue
            if member.issym():
                yield Entry(path, link=member.linkname)
            elif member.isfile():
                yield Entry(path, archive.extractfile(member), member.size, member.mode)
