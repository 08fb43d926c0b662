"""The few kubectl commands that the roles use, or that help to look at a stand-in; anything else is refused.

`exec` knows the pod of etcd alone, and there etcdctl's members: a stand-in has members, though no etcd.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

from . import client
from .access import NODES
from .store import MEMBERS

KNOWN = {"--ignore-not-found", "--ignore-daemonsets", "--delete-emptydir-data", "--force"}
VALUED = {
    "--timeout": "timeout",
    "-o": "output",
    "--output": "output",
    "--kubeconfig": "kubeconfig",
    "--server": "server",
    "--namespace": "ns",
}


class Unknown(Exception):
    """kubectl knows it, the stand-in does not."""


def main(arguments: list[str], version: str) -> int:
    """Runs one command; 1 and a sentence when it cannot."""
    flags: dict[str, str] = {}
    try:
        words, flags, program = _parse(arguments)
        if words[:1] == ["version"]:
            sys.stdout.write(f"Client Version: {version}\n")
            return 0
        path = Path(flags.get("kubeconfig") or os.environ.get("KUBECONFIG", "/etc/kubernetes/admin.conf"))
        sys.stdout.write(_run(words, flags, program, client.from_file(path, flags.get("server") or None)))
        return 0
    except client.ApiError as error:
        if error.status == 404 and "--ignore-not-found" in flags:
            return 0
        code = "NotFound" if error.status == 404 else str(error.status or "Unavailable")
        sys.stderr.write(f"Error from server ({code}): {error}\n")
    except OSError as error:
        sys.stderr.write(f"error: {error}\n")
    except Unknown:
        sys.stderr.write(f'error: unknown command "{" ".join(arguments)}" for "kubectl" (a stand-in)\n')
    return 1


def _parse(arguments: list[str]) -> tuple[list[str], dict[str, str], list[str]]:
    """Words, flags, and what comes after `--`."""
    own, _, program = _parted(arguments)
    words, flags, rest = [], {"raw": ""}, iter(own)
    for argument in rest:
        name, equals, value = argument.partition("=")
        if name == "--raw":
            flags["raw"] = value if equals else next(rest, "")
        elif name in VALUED:
            flags[VALUED[name]] = value if equals else next(rest, "")
        elif argument in KNOWN:
            flags[argument] = "true"
        elif argument.startswith("-"):
            raise Unknown
        else:
            words.append(argument)
    return words, flags, program


def _parted(arguments: list[str]) -> tuple[list[str], str, list[str]]:
    if "--" not in arguments:
        return arguments, "", []
    end = arguments.index("--")
    return arguments[:end], "--", arguments[end + 1 :]


def _run(words: list[str], flags: dict[str, str], program: list[str], api: client.Api) -> str:
    if words == ["get"] and flags["raw"]:
        return api.request("GET", flags["raw"])
    if words[:2] in (["get", "nodes"], ["get", "node"]) and flags.get("output", "json") == "json" and len(words) < 4:
        nodes = api.get("/".join([NODES, *words[2:]]))
        return json.dumps(nodes, indent=2) + "\n" if flags.get("output") or words[2:] else _names(nodes)
    if words[:2] == ["delete", "node"] and len(words) == 3:
        api.request("DELETE", f"{NODES}/{words[2]}")
        return f'node "{words[2]}" deleted\n'
    if words[:1] == ["drain"] and len(words) == 2:
        api.get(f"{NODES}/{words[1]}")
        # It has no pods, and nothing that would bring new ones.
        return f"node/{words[1]} cordoned\nnode/{words[1]} drained\n"
    if words[:1] == ["exec"] and program[:1] == ["etcdctl"] and len(words) == 2:
        return _etcdctl([word for word in program[1:] if not word.startswith("--")], program, api)
    raise Unknown


def _names(nodes: Any) -> str:
    return "".join(f"{node['metadata']['name']}\n" for node in nodes["items"])


def _etcdctl(words: list[str], program: list[str], api: client.Api) -> str:
    """The members as etcdctl tells of them, in JSON; a member's number is made of its address."""
    names = sorted(json.loads(api.request("GET", MEMBERS)))
    if words == ["member", "list"] and "--write-out=json" in program:
        members = [_member(name) for name in names]
        return json.dumps({"header": {}, "members": members}) + "\n"
    if words == ["endpoint", "health"] and "--write-out=json" in program:
        ends = [word for word in program if word.startswith("--endpoints=")][-1].partition("=")[2].split(",")
        return json.dumps([{"endpoint": end, "health": _answers(api, end), "took": "1ms"} for end in ends]) + "\n"
    if words[:2] == ["member", "remove"] and len(words) == 3:
        name = next(name for name in names if f"{_number(name):x}" == words[2])
        api.request("DELETE", f"{MEMBERS}{name}")
        return f"Member {words[2]} removed from cluster\n"
    raise Unknown


def _member(name: str) -> dict[str, Any]:
    host = name.partition(":")[0]
    urls = {"peerURLs": [f"https://{host}:2380"], "clientURLs": [f"https://{host}:2379"]}
    return {"ID": _number(name), "name": name, **urls}


def _number(name: str) -> int:
    return int.from_bytes(bytes(int(part) for part in name.partition(":")[0].split(".")), "big")


def _answers(api: client.Api, end: str) -> bool:
    """Whether the member at an address of etcd's answers: it is the API server there."""
    host = end.partition("://")[2].partition(":")[0]
    try:
        client.Api(f"https://{host}:6443", api.authority, timeout=2.0).request("GET", "/readyz")
    except client.ApiError:
        return False
    return True
