#!/usr/bin/python3 -B
"""Keeps an nginx or nftables balancer's pools to the servers that are well.

`serve` runs as homelab-checker.service; `drain`, `ready` and `status` are for people and for homelab.
"""

import argparse
import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

import sessions
from balancer.checker import PATH, Configuration, read_configuration
from balancing import put
from service import read_json, serve

# How long a person waits until the service has taken a wish up.
PATIENCE = 5.0


class Mistake(Exception):
    """What was asked for cannot be done; says why, and what to do."""


def arguments() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(prog="checker.py", description=__doc__)
    parser.add_argument("--configuration", type=Path, default=Path(PATH))
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("serve", help="ask the servers and keep the balancer's pools, until ended")
    commands.add_parser("test", help="read the configuration, and do nothing else")
    commands.add_parser("status", help="print the state of every server as JSON")
    for command, what in (("drain", "give a server no new connections"), ("ready", "give it connections again")):
        commands.add_parser(command, help=what).add_argument("name")
    return parser.parse_args()


def configuration(path: Path) -> Configuration:
    """What the file says. Raises Mistake."""
    try:
        return read_configuration(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise Mistake(
            f"{path} is no configuration of the checker: {error}. Run the role again that laid it down."
        ) from None


def status(found: Configuration) -> dict[str, Any]:
    """state.json, and how many sessions each server has. Raises Mistake."""
    state = read_json(Path(found.places.folder) / "state.json")
    if not state:
        raise Mistake("The checker has told no state yet. `systemctl status homelab-checker` tells more.")
    known = sessions.of_this_machine() if found.kind == "nginx" else sessions.of_the_kernel()
    servers = [session.server for session in known]
    for pool in state["pools"].values():
        for server in pool["servers"].values():
            server["sessions"] = servers.count((server["address"], server["port"]))
    return state


def wish(found: Configuration, name: str, drains: bool) -> None:
    """Has the service drain a server, or end that; returns when it has. Raises Mistake."""
    names = {server.name for pool in found.pools for server in pool.servers}
    if name not in names:
        raise Mistake(f"No pool has a server {name}; there are {', '.join(sorted(names))}.")
    folder = Path(found.places.folder)
    drained = {str(one) for one in read_json(folder / "wanted.json").get("drained", ())} & names
    drained = drained | {name} if drains else drained - {name}
    put(folder / "wanted.json", json.dumps({"drained": sorted(drained)}) + "\n")
    deadline = time.monotonic() + PATIENCE
    while read_json(folder / "state.json").get("drained") != sorted(drained):
        if time.monotonic() > deadline:
            raise Mistake(
                f"The checker did not take it up within {PATIENCE:.0f} s. Is homelab-checker.service running?"
            )
        time.sleep(0.05)


def main() -> int:
    """The program's entry."""
    asked = arguments()
    try:
        found = configuration(asked.configuration)
        if asked.command == "serve":
            asyncio.run(serve(found))
        elif asked.command == "status":
            print(json.dumps(status(found), indent=2))
        elif asked.command != "test":
            wish(found, asked.name, asked.command == "drain")
    except (Mistake, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
