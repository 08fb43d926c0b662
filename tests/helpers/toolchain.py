"""In place of Go and mmdebstrap: programs that note what they are told, and leave small files for large ones.

The real ones build a bundle in minutes (`make bundle`); tests of them: tests/ports/kubernetes/test_go.py and
test_images_in_containerd.py.
"""

import os
from pathlib import Path

from tests.helpers.kubernetes_servers import KUBEADM

UPSTREAM = """\
module k8s.io/kubernetes

go 1.26.0

godebug default=go1.26

replace k8s.io/api => ./staging/src/k8s.io/api
"""
GO = """\
#!/bin/sh
here=$(dirname "$0")
echo "$*" >>"$here/told"
case "$*" in
    "env GOVERSION") cat "$here/version" ;;
    "mod download -json"*) echo '{"GoMod": "'"$here"'/upstream.mod"}' ;;
    *"mod tidy") cp "$2/go.mod" "$here/$(sed -n "s,^module homelab/,,p" "$2/go.mod").mod" ;;
    *" build "*)
        while [ "$1" != -o ]; do shift; done
        name=$(basename "$2")
        [ "$name" != "$(cat "$here/breaks")" ] || { echo "compile: no space left on device" >&2; exit 1; }
        case $name in kubeadm) cp "$here/kubeadm" "$2" ;; *) echo "the program $name" >"$2" ;; esac
        chmod 755 "$2" ;;
esac
"""
MMDEBSTRAP = """\
#!/bin/sh
for target; do :; done
cd "$(dirname "$0")/nft" && tar -cf "$target" .
"""
NFT = {
    "usr/sbin/nft": "nft",
    "usr/lib/x86_64-linux-gnu/libnftables.so.1": "its library",
    "usr/share/doc/nftables/copyright": "no part of it",
}


class Toolchain:
    """Both programs in a folder that comes first in PATH."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name, text in {"go": GO, "mmdebstrap": MMDEBSTRAP, "kubeadm": KUBEADM}.items():
            self._write(name, text).chmod(0o755)
        for name, text in NFT.items():
            self._write(f"nft/{name}", text)
        self._write("upstream.mod", UPSTREAM)
        self.version("go1.26.8")
        self.breaks("")

    @property
    def path(self) -> str:
        """PATH with it."""
        return f"{self.folder}{os.pathsep}{os.environ['PATH']}"

    @property
    def built(self) -> list[str]:
        """The programs that were built, in order, and those that could not be."""
        lines = self.folder.joinpath("told").read_text().splitlines()
        return [line.split()[line.split().index("-o") + 1].rpartition("/")[2] for line in lines if " build " in line]

    def forget(self) -> None:
        """Forget what was told so far."""
        self._write("told", "")

    def version(self, text: str) -> None:
        """Be another Go."""
        self._write("version", text)

    def breaks(self, name: str) -> None:
        """Fail at this program."""
        self._write("breaks", name)

    def module(self, name: str) -> str:
        """The go.mod that was brought together last under this name."""
        return self.folder.joinpath(f"{name}.mod").read_text()

    def _write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path
