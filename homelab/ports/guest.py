"""One look at a guest: one SSH connection, all receipts checked against files and units as they are now."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from homelab.errors import HostFault
from homelab.ports.ssh import Shell

SCRIPT = Path(__file__).parent / "remote" / "look.py"


@dataclass(frozen=True)
class Receipt:
    """What a role left behind: the digest of what went in, and what differs now from what came out."""

    inputs: str
    drift: tuple[str, ...]


@dataclass(frozen=True)
class GuestLook:
    """How a guest stands. `cloud_init` is done, running, absent or `error: ...`; `cluster_ca` is ca.crt as PEM."""

    cloud_init: str
    receipts: Mapping[str, Receipt]
    cluster_ca: str | None

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
    """A guest that cannot be looked at, and why."""

    reason: str


def look(shell: Shell) -> GuestLook:
    """Ask one guest for everything. Raises Unreachable, HostFault."""
    said = shell.must(["sudo", "-n", "python3", "-"], stdin=SCRIPT.read_text(encoding="utf-8"))
    try:
        # Something that the guest prints at every login, as a profile may, stands before the answer.
        return _look(json.loads(said.strip().splitlines()[-1]))
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise HostFault(
            f"its answer to a look cannot be read: {said.strip()[:80] or 'nothing'}",
            where=shell.login.where,
            advice="Run `sudo -n python3 -V` there by hand: it has to be Python 3.9 or newer",
        ) from error


def _look(answer: Any) -> GuestLook:
    receipts = {
        role: Receipt(receipt["inputs"], tuple(receipt["drift"])) for role, receipt in answer["receipts"].items()
    }
    return GuestLook(answer["cloud_init"], receipts, answer["cluster_ca"])
