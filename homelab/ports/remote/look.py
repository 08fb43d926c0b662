"""Runs on a guest, on its own Python, as root: prints how the guest stands as one JSON object.

Standard library only; Python 3.9 and newer. The toolkit sends this file's text over SSH; nothing is installed.
"""

from __future__ import annotations

import hashlib
import json
import pathlib
import subprocess
from collections.abc import Iterable, Iterator
from typing import Any

RECEIPTS = pathlib.Path("/var/lib/homelab")
CA = pathlib.Path("/etc/kubernetes/pki/ca.crt")
RESULT = pathlib.Path("/run/cloud-init/result.json")
DISABLED = pathlib.Path("/run/cloud-init/disabled")
FINISHED = pathlib.Path("/var/lib/cloud/instance/boot-finished")


def cloud_init() -> str:
    """`done`, `running`, or `error: ...` in cloud-init's own words; `absent` where it is not installed."""
    if RESULT.exists():
        try:
            errors = json.loads(RESULT.read_text())["v1"]["errors"]
        except (OSError, ValueError, LookupError, TypeError):
            return "running"  # it is just being written
        return "error: " + "; ".join(errors) if errors else "done"
    if DISABLED.exists():
        # A later boot: the seed is gone, so cloud-init finds nothing to do and does not start.
        return "done" if FINISHED.exists() else "error: it found no seed"
    return "running" if pathlib.Path("/usr/bin/cloud-init").exists() else "absent"


def digest(path: str) -> str | None:
    """The SHA-256 of a file; None when it is not there."""
    try:
        return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()
    except OSError:
        return None


def states(units: list[str]) -> dict[str, str]:
    """{unit: state} of systemd units, by one systemctl."""
    if not units:
        return {}
    asked = subprocess.run(["systemctl", "is-active", *units], capture_output=True, text=True, check=False)
    return dict(zip(units, asked.stdout.split()))  # noqa: B905 - Python 3.9


def drift(receipt: dict[str, Any], active: dict[str, str]) -> Iterator[str]:
    """What differs from a receipt, as sentences."""
    for path, wanted in receipt["files"].items():
        found = digest(path)
        if found != wanted:
            yield "{} {}".format(path, "was changed" if found else "is gone")
    for unit in receipt["units"]:
        if active.get(unit) != "active":
            yield "{} is {}".format(unit, active.get(unit, "unknown"))


def known(paths: Iterable[pathlib.Path]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The receipts by role. One that cannot be read, as a full disk leaves it, is none: its role runs again."""
    for path in paths:
        try:
            receipt = json.loads(path.read_text())
            checked = {"inputs": receipt["inputs"], "files": dict(receipt["files"]), "units": list(receipt["units"])}
            yield path.stem, checked
        except (OSError, ValueError, LookupError, TypeError):
            continue


def main() -> None:
    """Print the look."""
    receipts = dict(known(RECEIPTS.glob("*.json")))
    active = states(sorted({unit for receipt in receipts.values() for unit in receipt["units"]}))
    look = {
        "cloud_init": cloud_init(),
        "receipts": {
            role: {"inputs": receipt["inputs"], "drift": list(drift(receipt, active))}
            for role, receipt in receipts.items()
        },
        "cluster_ca": CA.read_text(errors="replace") if CA.exists() else None,
    }
    print(json.dumps(look))


main()
