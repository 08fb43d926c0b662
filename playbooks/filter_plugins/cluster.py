"""Filters that judge whether there is a cluster already, and that name its pods' subnets. Pure."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from ipaddress import ip_address, ip_network
from typing import Any

from ansible.errors import AnsibleFilterError

# Addresses of a /24, which is what Kubernetes itself gives a node.
SUBNET_SIZE = 256
# Nobody is there.
NOBODY = ("refused", "unrouted")
# Keys by themselves are no cluster: who brings a CA along lays it down before, as kubeadm allows.
KEYS = {f"/etc/kubernetes/pki/{name}" for name in ("ca.crt", "ca.key", "sa.key")}
OURS = {"cluster_ca", "control_plane", "worker"}
SERVER = re.compile(r"^\s*server\s+\S+\s+([0-9.]+):", re.MULTILINE)

Look = Mapping[str, Any]


def foreign_traces(look: Look, cluster_ca: str, is_first: bool) -> str:
    """The traces of a cluster on a machine that is not ours, in words; empty when there are none.

    `look` is an answer of the module cluster_traces; `cluster_ca` is the digest of our cluster's CA, empty when it is
    not known. Ours is where homelab noted a beginning or left a receipt, or where the same CA lies.
    """
    traces = set(look["traces"])
    if not traces or (is_first and traces <= KEYS):
        return ""
    if cluster_ca and look["ca"] not in ("", cluster_ca):
        return f"{_some(look['traces'])} of a cluster with another CA"
    if _is_begun(look) or OURS & set(look["receipts"]) or (cluster_ca and look["ca"] == cluster_ca and not is_first):
        return ""
    return f"{_some(look['traces'])} of a cluster that homelab did not begin"


def unfinished_traces(look: Look, is_first: bool) -> str:
    """The traces of a control plane that homelab did not begin, or that was whole before, in words; else empty."""
    fine = _is_begun(look) or (is_first and set(look["traces"]) <= KEYS)
    return "" if fine else _some(look["traces"])


def cluster_doubts(
    looks: Sequence[Look],
    answers: Sequence[Mapping[str, str]],
    balancers: Sequence[Look],
    first: str,
    api: str,
    makes_ca: bool,
) -> list[str]:
    """Why it is not certain that there is no cluster yet; empty when it is, and one may be begun on `first`.

    `looks` are answers of cluster_traces, each with its `item`, `answers` are those of api_answers, where `api` is the
    virtual address's name; `balancers` are what they said about that address and their servers. `makes_ca` is true
    before the CA is made, false before `kubeadm init`.
    """
    own: Look = next(look for look in looks if look["item"] == first)
    begun = _is_begun(own)
    doubts = [] if _own_traces_are_fine(own, makes_ca) else [f"{first} bears {_some(own['traces'])}"]
    for look in looks:
        if "traces" not in look:
            doubts.append(f"{look['item']} could not be looked at ({look.get('msg', 'no answer')})")
        elif look is not own and look["traces"]:
            doubts.append(f"{look['item']} bears {_some(look['traces'])}")
    asked = {answer["address"].rpartition(":")[0] for answer in answers}
    for answer in answers:
        if answer["name"] == api and (answer["kind"] == "closed" or (answer["kind"] == "unserved" and balancers)):
            doubts += _balancer_doubts(answer["address"], balancers, asked)
        elif not _is_nobody(answer, begun, first, api):
            doubts.append(f"{answer['name']} answers at {answer['address']}: {answer['said']}")
    return doubts


def pod_subnet(address: str, lan: str, pods: str) -> str:
    """The subnet of a node's pods: the /24 of the pods' network that the host part of its address counts to."""
    network, count = ip_network(pods), ip_network(pods).num_addresses // SUBNET_SIZE
    if not count:
        raise AnsibleFilterError(f"{pods} is smaller than the /24 that the pods of one node need.")
    number = (int(ip_address(address)) & int(ip_network(lan, strict=False).hostmask)) % count
    return f"{network.network_address + number * SUBNET_SIZE}/24"


def _is_nobody(answer: Mapping[str, str], begun: bool, first: str, api: str) -> bool:
    """Whether nobody answers but the cluster that homelab itself began here."""
    if answer["kind"] in NOBODY:
        return True
    return begun and (answer["name"] == first or (answer["name"] == api and answer["kind"] == "ours"))


def _own_traces_are_fine(own: Look, makes_ca: bool) -> bool:
    traces = set(own.get("traces", ()))
    return not traces if makes_ca else traces <= KEYS or _is_begun(own)


def _is_begun(look: Look) -> bool:
    """Whether homelab noted that it began a cluster there, and the CA is still that one, or not there yet."""
    return bool(look.get("begun")) and look["ca"] in ("", look["begun"])


def _balancer_doubts(address: str, balancers: Sequence[Look], asked: Iterable[str]) -> list[str]:
    """A balancer without servers takes connections and closes them. Only one whose servers were all asked proves that.

    At layer 7 it says 503, with a certificate of our own CA.
    Without balancers in the inventory it is somebody else's, who has no server that is up; nothing more can be asked.
    """
    if not balancers:
        return []
    holding = [look for look in balancers if "inet " in look.get("stdout", "")]
    if not holding:
        unknown = [look["item"] for look in balancers if "stdout" not in look]
        told = f" ({', '.join(unknown)} could not be looked at)" if unknown else ""
        return [f"somebody who is no balancer of this inventory takes connections at {address}{told}"]
    return [
        f"{look['item']} balances {server}, which is no control plane of this inventory"
        for look in holding
        for server in SERVER.findall(look["stdout"])
        if server not in asked
    ]


def _some(traces: Sequence[str]) -> str:
    shown = ", ".join(traces[:3])
    return shown + (f" and {len(traces) - 3} more" if len(traces) > 3 else "")


class FilterModule:
    """What Ansible asks for: the filters by name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filters by name."""
        filters = (foreign_traces, unfinished_traces, cluster_doubts, pod_subnet)
        return {function.__name__: function for function in filters}
