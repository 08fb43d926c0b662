"""The one door to Go: modules are fetched, programs built. Where modules come from is Go's own setting (GOPROXY)."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from homelab.errors import HomelabError
from homelab.formats.kubernetes.bundle import ARCHITECTURE
from homelab.formats.kubernetes.source import KUBERNETES, Module
from homelab.ports.process import Child, Done, run

# An hour: the largest program takes two minutes on two idle cores.
SECONDS = 3600.0
ADVICE = "Run again, it goes on where it stopped; `go env GOPROXY` says where Go gets modules from"
TARGET = {"GOOS": "linux", "GOARCH": ARCHITECTURE, "CGO_ENABLED": "0", "GOWORK": "off"}
LAST_LINES = 3


def go_is_here() -> bool:
    """Whether there is a Go to build with."""
    return shutil.which("go") is not None


def go_version() -> str:
    """Its version, as in `go1.26.8`."""
    return _go(["env", "GOVERSION"], "asking Go for its version").stdout.strip()


def kubernetes_go_mod(version: str) -> str:
    """The go.mod of k8s.io/kubernetes v1.X.Y. HomelabError when there is no such version."""
    done = _go(["mod", "download", "-json", f"{KUBERNETES}@v{version}"], f"fetching the source of Kubernetes {version}")
    return Path(json.loads(done.stdout)["GoMod"]).read_text(encoding="utf-8")


def bring_together(module: Module, folder: Path) -> None:
    """Write the module's files, and have Go find and fetch all that it needs (go.sum has their hashes)."""
    for name, text in module.files.items():
        (folder / name).write_text(text, encoding="utf-8")
    _go(["-C", str(folder), "mod", "tidy"], f"fetching the modules of {module.name}")


def build(module: Module, name: str, source: Path, program: Path) -> None:
    """Build one program of a module that was brought together in the folder `source`."""
    built = ["build", "-trimpath", "-buildvcs=false", f"-ldflags={module.flags}", "-o", str(program)]
    _go(["-C", str(source), *built, module.packages[name]], f"building {name}")


def _go(words: Sequence[str], doing: str) -> Done:
    child = Child("go", ["go", *words], SECONDS, where="go", advice=ADVICE, environment=TARGET)
    done = run(child)
    if done.status:
        # `go mod download -json` tells errors on stdout.
        last = [line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip()][-LAST_LINES:]
        raise HomelabError(f"{doing} failed: {' | '.join(last)}", where="go " + " ".join(words), advice=ADVICE)
    return done
