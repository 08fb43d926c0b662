"""Runs on a balancer, on its own Python, as root: tells how it stands, or drains a server; prints one JSON object.

Standard library only; Python 3.9 and newer. The toolkit sends this file's text over SSH; nothing is installed. It
passes on what the programs say; the laptop reads it.

`look KIND VIP`, or `set KIND drain|ready last|another POOL/SERVER...`, for one server in all its pools: `another` is
refused in a pool in which no other server takes connections at that moment.
"""

from __future__ import annotations

import csv
import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

SOCKET = "/run/haproxy/admin.sock"
STATE_FILE = pathlib.Path("/var/lib/homelab/haproxy.state")
CHECKER = ["python3", "-B", "/usr/local/lib/homelab-checker/checker.py"]
CHECKER_UNIT = "homelab-checker.service"
SECONDS = 5
# Bits of srv_admin_state: a person set it to maintenance, or to drain.
FORCED = 0x01 | 0x08
BACKEND, ADMIN_STATE = 1, 6


class Refused(Exception):
    """It would do harm."""


def said_by(*command: str) -> str:
    """What a program prints; its complaint where it does not work; nothing of none."""
    if not command:
        return ""
    try:
        done = subprocess.run(command, capture_output=True, timeout=SECONDS, check=False)
    except (OSError, subprocess.SubprocessError) as error:
        return str(error)
    return (done.stdout or done.stderr).decode(errors="replace").strip()


def ask(command: str) -> str:
    """HAProxy's answer to one command. Raises OSError."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as admin:
        admin.settimeout(SECONDS)
        admin.connect(SOCKET)
        admin.sendall(command.encode() + b"\n")
        answer = b""
        while True:
            part = admin.recv(65536)
            if not part:
                return answer.decode(errors="replace")
            answer += part


def haproxy() -> dict[str, str]:
    """What HAProxy tells of itself and of its servers."""
    return {
        "stat": ask("show stat"),
        "info": ask("show info"),
        "state": ask("show servers state"),
    }


def checker(*version: str) -> dict[str, str]:
    """What the checker tells of the servers, and what the program in front of them calls itself. Raises OSError."""
    done = subprocess.run([*CHECKER, "status"], capture_output=True, timeout=SECONDS, check=False)
    if done.returncode:
        raise OSError((done.stderr or done.stdout).decode(errors="replace").strip())
    began = said_by("systemctl", "show", "--property=ActiveEnterTimestampMonotonic", "--value", CHECKER_UNIT)
    passed = time.clock_gettime(time.CLOCK_MONOTONIC) - int(began or 0) / 1e6
    return {"status": done.stdout.decode(errors="replace"), "version": said_by(*version), "uptime": str(int(passed))}


def look(kind: str, address: str) -> dict[str, Any]:
    """All that `lb status` tells of this balancer."""
    units = ["keepalived.service", *UNITS[kind]]
    states = said_by("systemctl", "is-active", "--", *units).split()
    found: dict[str, Any] = {
        "units": dict(zip(units, states)),  # noqa: B905 - Python 3.9
        "holds": f" inet {address}/" in said_by("ip", "-4", "-o", "address", "show", "to", address),
    }
    try:
        return {**found, "told": LOOKS[kind](), "problem": ""}
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        return {**found, "told": None, "problem": f"{kind} does not answer: {getattr(error, 'strerror', '') or error}"}


def another_takes(server: str, pool: str) -> bool:
    """Whether another server of a pool takes connections now."""
    rows = csv.DictReader(ask("show stat").lstrip("# ").splitlines())
    others = [row for row in rows if row["pxname"] == f"{pool}-servers" and row["svname"] not in ("BACKEND", server)]
    return any(row["status"].startswith(("UP", "no check")) and row["weight"] != "0" for row in others)


def note_drains() -> None:
    """Has HAProxy find at its next start what a person drained, and nothing else of what it knows now."""
    answer = [line for line in ask("show servers state").splitlines() if line.strip()]
    lines = [line for line in answer[2:] if int(line.split()[ADMIN_STATE]) & FORCED]
    STATE_FILE.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=str(STATE_FILE.parent), prefix=".haproxy.state.")
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write("\n".join([*answer[:2], *lines]) + "\n")
        os.fchmod(descriptor, 0o644)
        os.fsync(descriptor)
    pathlib.Path(name).replace(STATE_FILE)


def set_haproxy(state: str, is_last: bool, servers: list[list[str]]) -> None:
    """Sets a server's state in some pools, and notes it. Raises Refused, OSError.

    Of the two back ends of the API at layer 7 the second follows the first, whose servers it tracks.
    """
    for pool, server in servers:
        if state == "drain" and not is_last and not another_takes(server, pool):
            raise Refused(f"no other server of the pool {pool} takes connections any more")
    for pool, server in servers:
        answer = ask(f"set server {pool}-servers/{server} state {state}").strip()
        if answer:
            raise OSError(f"HAProxy does not set {pool}/{server} to {state}: {answer}")
    note_drains()


def set_checker(state: str, is_last: bool, servers: list[list[str]]) -> None:
    """Sets a server's state in every pool; the checker notes it itself. Raises Refused, OSError."""
    found = json.loads(checker()["status"])["pools"] if state == "drain" and not is_last else {}
    for pool, server in servers if found else []:
        others = [one for name, one in found[pool]["servers"].items() if name != server]
        if not any(one["state"] == "up" and one["weight"] for one in others):
            raise Refused(f"no other server of the pool {pool} takes connections any more")
    done = subprocess.run([*CHECKER, state, servers[0][1]], capture_output=True, timeout=2 * SECONDS, check=False)
    if done.returncode:
        raise OSError((done.stderr or done.stdout).decode(errors="replace").strip())


# A kind of balancer is a line in each of these.
UNITS = {
    "haproxy": ["haproxy.service"],
    "nginx": [CHECKER_UNIT, "homelab-nginx.service"],
    "nftables": [CHECKER_UNIT],
}
LOOKS: dict[str, Callable[[], dict[str, str]]] = {
    "haproxy": haproxy,
    "nginx": lambda: checker("/usr/sbin/nginx", "-v"),
    "nftables": lambda: checker("/usr/sbin/nft", "--version"),
}
SETS = {"haproxy": set_haproxy, "nginx": set_checker, "nftables": set_checker}


def main(words: list[str]) -> dict[str, Any]:
    """What was asked for."""
    if words[0] == "look":
        return look(words[1], words[2])
    _, kind, state, which, *servers = words
    try:
        SETS[kind](state, which == "last", [one.split("/") for one in servers])
    except Refused as error:
        return {"refused": str(error), "problem": ""}
    except (OSError, subprocess.SubprocessError, ValueError, LookupError) as error:
        return {"refused": "", "problem": str(error)}
    return {"refused": "", "problem": ""}


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1:])))
