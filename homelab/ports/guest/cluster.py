"""What a node of the cluster knows over SSH: how etcd stands, and what can be reached from a pod there."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from homelab.errors import HostFault, Unreachable
from homelab.ports.ssh import Shell

REMOTE = Path(__file__).parent / "remote"
LINE_BROKE = -1


@dataclass(frozen=True)
class EtcdMember:
    """One member. `leader` is the id of who leads, as this one knows; `problem` is why it did not answer."""

    id: str
    name: str
    learner: bool
    problem: str
    leader: str
    errors: tuple[str, ...]


@dataclass(frozen=True)
class EtcdLook:
    """How etcd stands, as one control plane tells; `problem` is why it tells nothing."""

    members: tuple[EtcdMember, ...]
    problem: str = ""

    @property
    def leaders(self) -> frozenset[str]:
        """The ids of those that members that answer take for their leader; one when all is well."""
        return frozenset(member.leader for member in self.members if not member.problem)


@dataclass(frozen=True)
class Asked:
    """What is asked from a node: from one of its `pods` by address, `dns` servers for a `name`, and `ports`."""

    pods: tuple[str, ...]
    name: str
    dns: tuple[str, ...]
    ports: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class ReachLook:
    """`inside` is the pod that was asked from, empty for the node itself; `problems` by the address that is ill."""

    inside: str
    problems: Mapping[str, str]


def etcd_look(shell: Shell) -> EtcdLook:
    """How etcd stands, by one SSH command. Raises Unreachable, HostFault."""
    found = _asked(shell, "etcd.py", [])
    try:
        members = [
            EtcdMember(
                one["id"], one["name"], bool(one["learner"]), one["problem"], one["leader"], tuple(one["errors"])
            )
            for one in found["members"]
        ]
        return EtcdLook(tuple(members), str(found["problem"]))
    except (LookupError, TypeError) as error:
        raise _odd(shell, str(found)) from error


def reach_look(shell: Shell, asked: Asked) -> ReachLook:
    """What of it can be reached from there, by one SSH command. Raises Unreachable, HostFault."""
    found = _asked(shell, "reach.py", [json.dumps(asdict(asked))])
    try:
        return ReachLook(found["inside"], {where: why for where, why in found["problems"].items() if why})
    except (LookupError, TypeError, AttributeError) as error:
        raise _odd(shell, str(found)) from error


def _asked(shell: Shell, script: str, words: Sequence[str]) -> Mapping[str, Any]:
    text = (REMOTE / script).read_text(encoding="utf-8")
    output = shell.run(["sudo", "-n", "python3", "-", *words], stdin=text)
    if output.status == LINE_BROKE:
        what, advice = "the connection broke while it was asked", "Check that the machine is on, and run again"
        raise Unreachable(what, where=shell.login.where, advice=advice)
    try:
        # What a person's .bashrc prints comes before.
        found = json.loads(output.stdout.rstrip("\n").rpartition("\n")[2])
    except ValueError as error:
        raise _odd(shell, output.stdout.strip() or output.stderr) from error
    if not isinstance(found, dict) or output.status:
        raise _odd(shell, output.stdout.strip() or output.stderr)
    return found


def _odd(shell: Shell, said: str) -> HostFault:
    return HostFault(
        f"the node was asked how the cluster stands and said something else: {said.strip()[:200] or 'nothing'}",
        where=shell.login.where,
        advice="Run `sudo -n python3 -V` there by hand: it has to be Python 3.9 or newer; then run again",
    )
