"""Runs on a guest, on its own Python, as root: prints how the guest stands as one JSON object.

Standard library only; Python 3.9 and newer. The toolkit sends this file's text over SSH; nothing is installed. What
cannot be understood is told as what differs, or as an error, never as absent.
"""

from __future__ import annotations

import base64
import hashlib
import json
import pathlib
import re
import socket
import subprocess
from collections.abc import Iterator
from typing import Any

ROOT = pathlib.Path("/")
RECEIPTS = ROOT / "var/lib/homelab"
CA = ROOT / "etc/kubernetes/pki/ca.crt"
RESULT = ROOT / "run/cloud-init/result.json"
DISABLED = ROOT / "run/cloud-init/disabled"
FINISHED = ROOT / "var/lib/cloud/instance/boot-finished"
PROGRAM = ROOT / "usr/bin/cloud-init"
# What a member of a cluster has on its disk, as the playbooks' module cluster_traces has it.
TRACES = (
    "etc/kubernetes/pki/ca.crt",
    "etc/kubernetes/pki/ca.key",
    "etc/kubernetes/pki/sa.key",
    "etc/kubernetes/*.conf",
    "etc/kubernetes/manifests/*",
    "var/lib/etcd/*",
    "var/lib/kubelet/config.yaml",
    "var/lib/rancher/*/server",
    "var/lib/k0s/pki",
    "var/snap/microk8s/current/certs",
)
NO_TRACE = "lost+found"
MANIFEST = ROOT / "etc/kubernetes/manifests/kube-apiserver.yaml"
KUBECONFIG = ROOT / "etc/kubernetes/kubelet.conf"
RELEASE = re.compile(r"v([0-9.]+)")
# Lies there from the beginning of an upgrade to its end.
UPGRADING = RECEIPTS / "begun/upgrade.json"
IMAGE = re.compile(r"^\s*image:\s*\S*/kube-apiserver:v([0-9.]+)", re.MULTILINE)
# What `kubeadm certs renew all` renews; kubeconfigs hold theirs in themselves.
CERTIFICATES = ("etc/kubernetes/pki/*.crt", "etc/kubernetes/pki/etcd/*.crt", "etc/kubernetes/*.conf")
AUTHORITIES = ("ca.crt", "front-proxy-ca.crt")
# The kubelet renews its own.
KUBELET = "kubelet.conf"
EMBEDDED = re.compile(rb"client-certificate-data: *(\S+)")
ADMIN = ROOT / "run/haproxy/admin.sock"
ADMIN_SECONDS = 2
CHECKER = ROOT / "run/homelab-checker/state.json"
# Of `show servers state`: the fields srv_name and srv_admin_state, and the bit of what a person drained.
SERVER, ADMIN_STATE, FORCED_DRAIN = 3, 6, 0x08
SYSTEMCTL_SECONDS = 10


def plain(path: pathlib.Path) -> str:
    """A path as text, also one whose name is not UTF-8."""
    return str(path).encode(errors="backslashreplace").decode()


def cloud_init() -> str:
    """`done`, `running`, or `error: ...` in cloud-init's own words; `absent` where it is not installed."""
    if RESULT.exists():
        try:
            errors = json.loads(RESULT.read_text(encoding="utf-8", errors="replace"))["v1"]["errors"]
            return "error: " + "; ".join(map(str, errors)) if errors else "done"
        except (OSError, ValueError, LookupError, TypeError) as error:
            # cloud-init writes it whole, so it is not just being written.
            return f"error: {RESULT} cannot be understood: {error!r}"
    if DISABLED.exists():
        # A later boot: the seed is gone, so cloud-init finds nothing to do and does not start.
        return "done" if FINISHED.exists() else "error: it found no seed"
    return "running" if PROGRAM.exists() else "absent"


def digest(path: str) -> str:
    """The SHA-256 of a file; empty when it is not there."""
    try:
        return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()
    except FileNotFoundError:
        return ""
    except (OSError, ValueError) as error:
        return f"unreadable: {error}"


def states(units: list[str]) -> dict[str, str]:
    """{unit: state} of systemd units, by one systemctl; none where it cannot be asked."""
    if not units:
        return {}
    command = ["systemctl", "is-active", "--", *units]
    try:
        asked = subprocess.run(command, capture_output=True, timeout=SYSTEMCTL_SECONDS, check=False)
    except (OSError, subprocess.SubprocessError, ValueError):
        return {}
    return dict(zip(units, asked.stdout.decode(errors="replace").split()))  # noqa: B905 - Python 3.9


def receipt(path: pathlib.Path) -> dict[str, Any]:
    """A receipt's inputs, files and units; ValueError for what is none, or of a form that is not ours."""
    read = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(read, dict):
        raise ValueError("it is no object")
    inputs, files, units = read.get("inputs"), read.get("files"), read.get("units")
    if not isinstance(inputs, str) or not isinstance(files, dict) or not isinstance(units, list):
        raise ValueError("inputs, files or units are not as this homelab writes them")
    return {"inputs": inputs, "files": files, "units": [str(unit) for unit in units]}


def receipts() -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """{role: receipt}, and {role: why it cannot be understood}."""
    read, odd = {}, {}
    for path in sorted(RECEIPTS.glob("*.json")):
        try:
            read[plain(path)] = receipt(path)
        except (OSError, ValueError) as error:
            odd[plain(path)] = f"{plain(path)} cannot be understood ({error}); a newer homelab may have written it"
    return read, odd


def drift(receipt: dict[str, Any], active: dict[str, str]) -> Iterator[str]:
    """What differs from a receipt, as sentences."""
    for path, wanted in receipt["files"].items():
        found = digest(path)
        if found != wanted:
            yield f"{path} " + ("is gone" if not found else found if found.startswith("unreadable") else "was changed")
    for unit in receipt["units"]:
        if active.get(unit) != "active":
            yield "{} is {}".format(unit, active.get(unit, "in a state that systemctl does not tell"))


def traces() -> list[str]:
    """The paths of all traces of a cluster; hidden files are none."""
    found = [path for pattern in TRACES for path in sorted(ROOT.glob(pattern))]
    return [plain(path) for path in found if not path.name.startswith(".") and path.name != NO_TRACE]


def authority() -> str | None:
    """The cluster's CA, in PEM form; None when there is none that can be read, and then it is a trace all the same."""
    try:
        return CA.read_bytes().decode(errors="backslashreplace")
    except OSError:
        return None


def version() -> str:
    """The release that this node runs, such as 1.36.3: its API server's, else its kubelet's; empty where none is."""
    try:
        if MANIFEST.exists():
            found = IMAGE.search(MANIFEST.read_text(encoding="utf-8", errors="replace"))
        elif KUBECONFIG.exists():
            asked = subprocess.run(
                ["kubelet", "--version"], capture_output=True, timeout=SYSTEMCTL_SECONDS, check=False
            )
            found = RELEASE.search(asked.stdout.decode(errors="replace"))
        else:
            return ""
    except (OSError, subprocess.SubprocessError):
        return ""
    return found[1] if found else ""


def certificates() -> dict[str, str]:
    """{path: PEM} of the cluster's certificates; of a kubeconfig the certificate alone, and never its key."""
    found = {}
    for path in [path for pattern in CERTIFICATES for path in sorted(ROOT.glob(pattern))]:
        if path.name in AUTHORITIES or path.name == KUBELET:
            continue
        try:
            content = path.read_bytes()
            if path.suffix == ".conf":
                embedded = EMBEDDED.search(content)
                content = base64.b64decode(embedded[1]) if embedded else b""
        except (OSError, ValueError):
            continue
        if b"-----BEGIN CERTIFICATE-----" in content:
            found[plain(path)] = content.decode(errors="backslashreplace")
    return found


def drained(roles: set[str]) -> list[str]:
    """The servers that a person drained on this balancer; none where neither HAProxy nor the checker tells.

    `roles` have a receipt here: what another kind of balancer left does not count.
    """
    try:
        if "checker" in roles:
            return sorted(map(str, json.loads(CHECKER.read_text(encoding="utf-8"))["drained"]))
        if "haproxy" not in roles:
            return []
        with socket.socket(socket.AF_UNIX) as admin:
            admin.settimeout(ADMIN_SECONDS)
            admin.connect(str(ADMIN))
            admin.sendall(b"show servers state\n")
            with admin.makefile(encoding="utf-8", errors="replace") as answer:
                lines = [line.split() for line in answer if line[:1].isdigit()]
        names = [
            words[SERVER] for words in lines if len(words) > ADMIN_STATE and int(words[ADMIN_STATE]) & FORCED_DRAIN
        ]
    except (OSError, ValueError, LookupError, TypeError):
        return []
    return sorted(names)


def look() -> dict[str, Any]:
    """All of it."""
    read, odd = receipts()
    active = states(sorted({unit for found in read.values() for unit in found["units"]}))
    known = {path: {"inputs": found["inputs"], "drift": list(drift(found, active))} for path, found in read.items()}
    known.update({path: {"inputs": "", "drift": [why]} for path, why in odd.items()})
    roles = {pathlib.PurePath(path).stem: found for path, found in known.items()}
    return {
        "cloud_init": cloud_init(),
        "receipts": roles,
        "cluster_ca": authority(),
        "traces": traces(),
        "kubernetes_version": version(),
        "upgrading": UPGRADING.exists(),
        "certificates": certificates(),
        "drained": drained(set(roles)),
    }


if __name__ == "__main__":
    print(json.dumps(look()))
