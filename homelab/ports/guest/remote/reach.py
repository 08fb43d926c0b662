"""Runs on a node, on its own Python, as root: asks names and addresses of the cluster, and prints the answers as JSON.

Standard library only; Python 3.9 and newer. It asks from inside of a pod of this node where there is one: its network
is entered, and nothing of the pod's own is needed or run. Arguments: one JSON object, see `look`.
"""

from __future__ import annotations

import ctypes
import json
import os
import pathlib
import secrets
import socket
import struct
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

# Where CNI keeps the networks of pods (containerd, CRI-O).
NETWORKS = pathlib.Path("/run/netns")
CLONE_NEWNET = 0x40000000
SECONDS = 1.5
TRIES = 2
DNS_PORT = 53
# A question for an address (RFC 1035): recursion desired, type A, class IN.
RECURSION, TYPE_A, CLASS_IN = 0x0100, 1, 1


def enter(network: str) -> None:
    """Go into a network; files stay the node's own. Raises OSError."""
    handle = os.open(network, os.O_RDONLY)
    try:
        if ctypes.CDLL(None, use_errno=True).setns(handle, CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    finally:
        os.close(handle)


def is_here(address: str) -> bool:
    """Whether an address is one of this network's own: to it alone one goes with itself as the sender."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((address, DNS_PORT))
            return bool(probe.getsockname()[0] == address)
        except OSError:
            return False


def enter_pod(pods: list[str]) -> str:
    """Go into the network of one of these pods; its address, empty when none of them is on this node."""
    own = os.open("/proc/self/ns/net", os.O_RDONLY)
    for network in sorted(NETWORKS.glob("*")) if pods else []:
        try:
            enter(str(network))
        except OSError:
            continue
        for address in pods:
            if is_here(address):
                return address
    enter(f"/proc/self/fd/{own}")
    return ""


def resolve(address: str, name: str) -> None:
    """Ask a DNS server for a name's address. Raises OSError, ValueError when it has none."""
    number = secrets.randbits(16)
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    question = struct.pack(">6H", number, RECURSION, 1, 0, 0, 0) + labels + struct.pack(">BHH", 0, TYPE_A, CLASS_IN)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(SECONDS)
        asking.connect((address, DNS_PORT))
        asking.send(question)
        answer = asking.recv(4096)
    found, flags, _, answers = struct.unpack(">4H", answer[:8])
    if found != number or flags & 0xF or not answers:
        raise ValueError(f"it does not know {name} (code {flags & 0xF})")


def connect(address: str, port: int) -> None:
    """Open a connection, and close it. Raises OSError."""
    socket.create_connection((address, port), SECONDS).close()


def tried(act: Callable[[], None]) -> str:
    """Why something cannot be done; empty when it can. A packet may get lost once."""
    why = ""
    for _ in range(TRIES):
        try:
            act()
            return ""
        except (OSError, ValueError, struct.error) as error:
            why = str(error) or type(error).__name__
    return why


def look(wanted: dict[str, Any]) -> dict[str, Any]:
    """`wanted`: addresses of `pods` on this node, `dns` servers with the `name` to ask for, `ports` as [address, port].

    `inside` is the pod that was asked from, empty for the node itself; `problems` has a word for each of `dns` and
    `ports`, empty where it answered.
    """
    inside = enter_pod(wanted["pods"])
    problems = {address: tried(partial(resolve, address, wanted["name"])) for address in wanted["dns"]}
    for address, port in wanted["ports"]:
        problems[f"{address}:{port}"] = tried(partial(connect, address, port))
    return {"inside": inside, "problems": problems}


if __name__ == "__main__":
    print(json.dumps(look(json.loads(sys.argv[1]))))
