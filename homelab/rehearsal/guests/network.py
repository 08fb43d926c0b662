"""The rehearsal's LAN: one bridge in the current network namespace, and a network namespace for each guest.

The bridge carries the addresses of everything that answers from the rehearsal's own process: gateway, hosts, NAS. There
is no way out. Making guests needs root and a mount namespace of one's own; the addresses need root of a user namespace.
"""

import hashlib
import subprocess
import threading
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from homelab.errors import HomelabError

BRIDGE = "lab0"
# A bridge without an address of its own takes over that of its lowest port, and neighbours would have to ask again.
BRIDGE_MAC = "02:68:6c:00:00:01"
NAMESPACES = Path("/run/netns")


class Network:
    """The LAN `network` with the gateway's address on its bridge. Every method may be called from any thread."""

    def __init__(self, network: IPv4Network, gateway: IPv4Address) -> None:
        self.network = network
        self.gateway = gateway
        self._lock = threading.Lock()

    def start(self) -> None:
        """Make the bridge and bring it and the loopback up."""
        self._batch(
            "link set lo up",
            f"link add {BRIDGE} address {BRIDGE_MAC} type bridge",
            f"link set {BRIDGE} up",
            f"address add {self.gateway}/{self.network.prefixlen} dev {BRIDGE}",
        )

    def add_address(self, address: IPv4Address) -> None:
        """Let this namespace answer for one more address; one that is there already stays."""
        self._batch(f"address replace {address}/32 dev {BRIDGE}")

    def remove_address(self, address: IPv4Address) -> None:
        """Stop answering for an address; one that is not there is no error."""
        with self._lock:
            if _ip("-oneline", "address", "show", "dev", BRIDGE, "to", f"{address}/32"):
                _ip("address", "delete", f"{address}/32", "dev", BRIDGE)

    def add_guest(self, name: str, mac: str) -> Path:
        """Make the guest's network namespace, its eth0 with this MAC plugged into the bridge; the namespace's path."""
        with self._lock:
            # `ip netns` would otherwise put its names where other programs of this machine see them.
            if not NAMESPACES.is_mount():
                NAMESPACES.mkdir(parents=True, exist_ok=True)
                _run(["mount", "-t", "tmpfs", "-o", "mode=755", "rehearsal", str(NAMESPACES)])
            _ip("netns", "add", name)
        plug = _plug(name)
        self._batch(
            f"link add {plug} type veth peer name eth0 address {mac} netns {name}",
            f"link set {plug} master {BRIDGE} up",
        )
        return NAMESPACES / name

    def set_plug(self, name: str, *, connected: bool) -> None:
        """Put the guest's cable into the bridge, or pull it."""
        self._batch(f"link set {_plug(name)} {'up' if connected else 'down'}")

    def remove_guest(self, name: str) -> None:
        """Take the guest's network away, with everything that was set in it; one that is gone is no error."""
        with self._lock:
            if (NAMESPACES / name).exists():
                # The kernel clears a namespace some time after its last user; the plug is pulled at once.
                _run(["ip", "link", "delete", _plug(name)], may_fail=True)
                _ip("netns", "delete", name)

    def _batch(self, *commands: str) -> None:
        with self._lock:
            _run(["ip", "-batch", "-"], stdin="\n".join(commands) + "\n")


class Loopback:
    """No LAN at all: hosts are told apart by their ports on 127.0.0.1, and one that is off refuses connections."""

    def add_address(self, address: IPv4Address) -> None:
        """The loopback is always there."""

    def remove_address(self, address: IPv4Address) -> None:
        """The loopback stays."""


def _plug(name: str) -> str:
    """The bridge's end of a guest's cable; interface names have at most 15 characters."""
    return "vm" + hashlib.sha256(name.encode()).hexdigest()[:12]


def _ip(*words: str) -> str:
    return _run(["ip", *words])


def _run(command: Sequence[str], *, stdin: str = "", may_fail: bool = False) -> str:
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
    if done.returncode and not may_fail:
        raise HomelabError(
            f"{' '.join(command)} failed: {done.stderr.strip() or done.stdout.strip()}",
            where="the rehearsal's network",
            advice="The rehearsal needs iproute2 and a network namespace that it may change",
        )
    return done.stdout
