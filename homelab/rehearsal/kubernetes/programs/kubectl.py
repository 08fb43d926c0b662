"""The few kubectl commands that help to look at a stand-in: `get --raw`, `get nodes`, `version`."""

import json
import os
import sys
from pathlib import Path

from . import client
from .access import NODES


def main(arguments: list[str], version: str) -> int:
    """Runs one command; 1 and a sentence when it cannot."""
    words, flags = [], {"kubeconfig": os.environ.get("KUBECONFIG", "/etc/kubernetes/admin.conf"), "server": ""}
    rest = iter(arguments)
    for argument in rest:
        name, _, value = argument.removeprefix("--").partition("=")
        if argument.startswith("--") and name in flags:
            flags[name] = value or next(rest, "")
        else:
            words.append(argument)
    try:
        return _run(words, flags, version)
    except (client.ApiError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1


def _run(words: list[str], flags: dict[str, str], version: str) -> int:
    if words[:1] == ["version"]:
        sys.stdout.write(f"Client Version: {version}\n")
        return 0
    api = client.from_file(Path(flags["kubeconfig"]), flags["server"] or None)
    if words[:2] == ["get", "--raw"] and len(words) == 3:
        sys.stdout.write(api.request("GET", words[2]))
        return 0
    if words[:2] in (["get", "nodes"], ["get", "node"]) and len(words) in (2, 4) and words[2:] in ([], ["-o", "json"]):
        nodes = api.get(NODES)
        names = "".join(f"{node['metadata']['name']}\n" for node in nodes["items"])
        sys.stdout.write(json.dumps(nodes, indent=2) + "\n" if words[2:] else names)
        return 0
    sys.stderr.write(f'error: unknown command "{" ".join(words)}" for "kubectl" (a stand-in)\n')
    return 1
