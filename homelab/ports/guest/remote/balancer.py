"""Runs on a balancer, on its own Python, as root: tells how it stands, or drains a server; prints one JSON object.

Standard library only; Python 3.9 and newer. The toolkit sends this file's text over SSH; nothing is installed. It
passes on what the programs say; the laptop reads it.

`look KIND VIP`, or `set KIND drain|ready SERVER last|another POOL...`: `another` is refused in a pool in which no other
server takes connections at that moment.
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
from typing import Any

SOCKET = "/run/haproxy/admin.sock"
STATE_FILE = pathlib.Path("/var/lib/homelab/haproxy.state")
SECONDS = 5
# Bits of srv_admin_state: a person set it to maintenance, or to drain.
FORCED = 0x01 | 0x08
BACKEND, ADMIN_STATE = 1, 6


class Refused(Exception):
    """It would do harm."""


def said_by(*command: str) -> str:
    """What a program prints; its complaint where it does not work."""
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


def look(kind: str, address: str) -> dict[str, Any]:
    """All that `lb status` tells of this balancer."""
    units = ["keepalived.service", UNITS[kind]]
    states = said_by("systemctl", "is-active", "--", *units).split()
    found: dict[str, Any] = {
        "units": dict(zip(units, states)),  # noqa: B905 - Python 3.9
        "holds": f" inet {address}/" in said_by("ip", "-4", "-o", "address", "show", "to", address),
    }
    try:
        return {**found, "told": LOOKS[kind](), "problem": ""}
    except OSError as error:
        return {**found, "told": None, "problem": f"{kind} does not answer: {error.strerror or error}"}


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


def set_haproxy(state: str, server: str, is_last: bool, pools: list[str]) -> None:
    """Sets a server's state in some pools, and notes it. Raises Refused, OSError."""
    for pool in pools:
        if state == "drain" and not is_last and not another_takes(server, pool):
            raise Refused(f"no other server of the pool {pool} takes connections any more")
        answer = ask(f"set server {pool}-servers/{server} state {state}").strip()
        if answer:
            raise OSError(f"HAProxy does not set {pool}/{server} to {state}: {answer}")
    note_drains()


# A kind of balancer is a line in each of these.
UNITS = {"haproxy": "haproxy.service"}
LOOKS = {"haproxy": haproxy}
SETS = {"haproxy": set_haproxy}


def main(words: list[str]) -> dict[str, Any]:
    """What was asked for."""
    if words[0] == "look":
        return look(words[1], words[2])
    _, kind, state, server, which, *pools = words
    try:
        SETS[kind](state, server, which == "last", pools)
    except Refused as error:
        return {"refused": str(error), "problem": ""}
    except OSError as error:
        return {"refused": "", "problem": str(error)}
    return {"refused": "", "problem": ""}


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1:])))
