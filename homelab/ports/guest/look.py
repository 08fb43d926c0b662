"""One look at a guest: one SSH connection, all receipts checked against files and units as they are now."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from homelab.errors import HostFault
from homelab.formats.trust.certificate import end_of
from homelab.ports.ssh import Shell

SCRIPT = Path(__file__).parent / "remote" / "look.py"


@dataclass(frozen=True)
class Receipt:
    """What a role left behind: the digest of what went in, and what differs now from what came out."""

    inputs: str
    drift: tuple[str, ...]


@dataclass(frozen=True)
class GuestLook:
    """How a guest stands. `cloud_init` is done, running, absent or `error: ...`; `cluster_ca` is ca.crt as PEM.

    `traces` are the paths that a member of a cluster has on its disk, `drained` the servers that a person drained on a
    balancer; `kubernetes_version` is the release that a node runs, `upgrading` whether an upgrade was left half done.
    """

    cloud_init: str
    receipts: Mapping[str, Receipt]
    cluster_ca: str | None
    traces: tuple[str, ...] = ()
    drained: tuple[str, ...] = ()
    kubernetes_version: str = ""
    upgrading: bool = False
    # When each of the cluster's certificates on it ends, by its path; authorities are not among them.
    ends: Mapping[str, datetime] = field(default_factory=dict)

    def needs(self, role: str, inputs: str) -> str | None:
        """Why a role has to run again; None when its receipt, its files and its units are as wanted."""
        receipt = self.receipts.get(role)
        if receipt is None:
            return f"{role} was never laid down"
        if receipt.drift:
            return "; ".join(receipt.drift)
        return None if receipt.inputs == inputs else f"what goes into {role} changed"


@dataclass(frozen=True)
class GuestAway:
    """A guest that cannot be looked at, and why. `untouched` when it is certain that nobody ever set it up.

    That is a VM that does not exist on any host, or one that still has its seed: no role runs before that was read.
    """

    reason: str
    untouched: bool = False


def look(shell: Shell) -> GuestLook:
    """Ask one guest for everything. Raises Unreachable, HostFault."""
    said = shell.must(["sudo", "-n", "python3", "-"], stdin=SCRIPT.read_text(encoding="utf-8"))
    try:
        return _understood(json.loads(_last_line(said)))
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise HostFault(
            f"the guest was asked how it stands and said something else: {said.strip()[:200] or 'nothing'}",
            where=shell.login.where,
            advice="Run `sudo -n python3 -V` there by hand: it has to be Python 3.9 or newer; then run again",
        ) from error


def _last_line(said: str) -> str:
    """What a person's .bashrc prints comes before."""
    return said.rstrip("\n").rpartition("\n")[2]


def _understood(answer: Mapping[str, Any]) -> GuestLook:
    return GuestLook(
        cloud_init=answer["cloud_init"],
        receipts={
            role: Receipt(receipt["inputs"], tuple(receipt["drift"])) for role, receipt in answer["receipts"].items()
        },
        cluster_ca=answer["cluster_ca"],
        traces=tuple(answer["traces"]),
        drained=tuple(answer["drained"]),
        kubernetes_version=answer["kubernetes_version"],
        upgrading=answer["upgrading"],
        ends={path: end for path, pem in answer["certificates"].items() if (end := end_of(pem))},
    )
