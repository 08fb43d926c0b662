"""The balancers' programs: a Debian of their own, made once and kept under its recipe's hash."""

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

SUITES = ("bookworm", "trixie")
PACKAGES = ("haproxy", "keepalived", "nginx", "libnginx-mod-stream", "nftables", "iproute2", "curl", "python3")
OPTIONS = (
    "--variant=minbase",
    '--aptopt=Acquire::Languages "none"',
    "--dpkgopt=force-unsafe-io",
    *(f"--dpkgopt=path-exclude=/usr/share/{folder}/*" for folder in ("doc", "man", "info", "locale")),
)
# Each program that is needed, and the package that has it.
NEEDED = {
    "mmdebstrap": "mmdebstrap",
    "ip": "iproute2",
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "setpriv": "util-linux",
    "chroot": "coreutils",
}


def missing() -> str | None:
    """One line that says what keeps the bench from running here, or None."""
    if os.geteuid() != 0:
        return "the failover bench makes network namespaces: run it as root on Linux"
    packages = sorted({package for program, package in NEEDED.items() if shutil.which(program) is None})
    return f"missing: apt-get install -y {' '.join(packages)}" if packages else None


def cache() -> Path:
    """Where roots are kept, shared by all checkouts."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "homelab" / "bench"


def ensure_root(suite: str, report: Callable[[str], None]) -> Path:
    """The folder of the suite's root, which is never written to; made in a minute or two when it is not there.

    Raises SystemExit with mmdebstrap's last words.
    """
    recipe = json.dumps([suite, PACKAGES, OPTIONS])
    root = cache() / f"{suite}-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"
    if root.is_dir():
        return root
    report(f"making the balancers' Debian ({suite}), once")
    unfinished = root.with_suffix(f".{os.getpid()}")
    unfinished.parent.mkdir(parents=True, exist_ok=True)
    command = ["mmdebstrap", *OPTIONS, f"--include={','.join(PACKAGES)}", suite, str(unfinished)]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    if made.returncode:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise SystemExit("\n".join(["the balancers' Debian could not be made:", *made.stderr.splitlines()[-5:]]))
    try:
        unfinished.rename(root)
    except OSError:  # somebody else was faster
        shutil.rmtree(unfinished, ignore_errors=True)
    return root


def versions(root: Path) -> dict[str, str]:
    """Package to version, of the programs that are compared."""
    listed = subprocess.run(
        ["dpkg-query", f"--admindir={root}/var/lib/dpkg", "-W", "-f", "${Package} ${Version}\n"],
        capture_output=True,
        text=True,
        check=True,
    )
    pairs = dict(line.split() for line in listed.stdout.splitlines())
    return {name: pairs[name] for name in ("haproxy", "nginx", "nftables", "keepalived")}
