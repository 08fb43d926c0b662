#!/usr/bin/python
"""The module `etcd_member`: a member of etcd that is gone for good is taken out, and never one that etcd needs."""

DOCUMENTATION = r"""
module: etcd_member
short_description: Takes a member out of etcd that is gone for good
description:
  - Runs on a working control plane. Looks for a member of the cluster's etcd by the address of its peer URL, for one
    that never started has no name, and takes it out. Where there is none, nothing is done.
  - Refuses when the members that are well are fewer than a majority of those that are left. etcd would stand still.
  - etcd is asked through kubectl in its own pod, where etcdctl lies.
options:
  node:
    description: What the node that it runs on is called in the cluster.
    type: str
    required: true
  address:
    description: The address of the member that is gone.
    type: str
    required: true
  state:
    description: Only C(absent) is known.
    type: str
    choices: [absent]
    default: absent
author:
  - homelab (!UNKNOWN)
"""

EXAMPLES = r"""
- name: Take out the member that this host was before
  etcd_member:
    node: cp1
    address: 192.168.2.22
  delegate_to: cp1
"""

RETURN = r"""
member:
  description: The member's number in hexadecimal; empty when there was none.
  returned: success
  type: str
  sample: 8e9e05c52164694d
"""

import json
import subprocess
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from ansible.module_utils.basic import AnsibleModule

SECONDS = 30
KUBECTL = ("kubectl", "--kubeconfig=/etc/kubernetes/admin.conf", "--namespace=kube-system")
PKI = "/etc/kubernetes/pki/etcd"
ETCDCTL = (
    "etcdctl",
    "--endpoints=https://127.0.0.1:2379",
    f"--cacert={PKI}/ca.crt",
    f"--cert={PKI}/healthcheck-client.crt",
    f"--key={PKI}/healthcheck-client.key",
)


class Refused(Exception):
    """It must not be taken out, or etcd cannot be asked."""


@dataclass(frozen=True)
class Member:
    """A member: its number, its peers' and its clients' addresses, and whether it takes part in votes."""

    number: int
    peers: tuple[str, ...]
    clients: tuple[str, ...]
    votes: bool

    @property
    def hexadecimal(self) -> str:
        """As etcdctl takes it."""
        return f"{self.number:x}"


def host(url: str) -> str:
    """The host of a URL such as https://192.168.2.22:2380."""
    return url.partition("://")[2].rpartition(":")[0]


def members(text: str) -> list[Member]:
    """What `etcdctl member list --write-out=json` says."""
    return [
        Member(
            each["ID"], tuple(each["peerURLs"]), tuple(each.get("clientURLs") or ()), not each.get("isLearner", False)
        )
        for each in json.loads(text)["members"]
    ]


def well(text: str) -> set[str]:
    """The endpoints that are well, of what `etcdctl endpoint health --write-out=json` says."""
    return {each["endpoint"] for each in json.loads(text) if each["health"]}


def stale(known: Sequence[Member], healthy: Collection[str], address: str) -> "Member | None":
    """The member of that address, if any. Refused when etcd would stand still without it."""
    found = next((member for member in known if address in map(host, member.peers)), None)
    if found is None:
        return None
    voters = [member for member in known if member.votes and member is not found]
    alive = [member for member in voters if set(member.clients) & set(healthy)]
    needed = len(voters) // 2 + 1
    if len(alive) < needed:
        raise Refused(
            f"etcd's member {found.hexadecimal} at {address} stays: of the other {len(voters)}, {len(alive)} are well; "
            f"etcd needs {needed}. Bring the other control planes back first, and run this again."
        )
    return found


def etcdctl(node: str, *words: str, may_fail: bool = False) -> str:
    """What etcdctl says on a control plane; Refused with its last words when it fails."""
    command = [*KUBECTL, "exec", f"etcd-{node}", "--", *ETCDCTL, *words]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    except (OSError, subprocess.SubprocessError) as error:
        raise Refused(f"etcd could not be asked on {node}: {error}.") from error
    # With one endpoint ill it says so by its exit code, and tells of all.
    if done.returncode and not (may_fail and done.stdout.startswith("[")):
        raise Refused(f"etcd could not be asked on {node}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def absent(node: str, address: str, check_mode: bool) -> str:
    """The number of the member that was taken out; empty when there was none."""
    known = members(etcdctl(node, "member", "list", "--write-out=json"))
    if not any(address in map(host, member.peers) for member in known):
        return ""
    # The learners that never started have no address for clients; asking them would fail by itself.
    ends = ",".join(url for member in known for url in member.clients[:1])
    healthy = well(etcdctl(node, f"--endpoints={ends}", "endpoint", "health", "--write-out=json", may_fail=True))
    found = stale(known, healthy, address)
    if found and not check_mode:
        etcdctl(node, "member", "remove", found.hexadecimal)
    return found.hexadecimal if found else ""


def main() -> None:
    """The module's entry."""
    spec: dict[str, Any] = {
        "node": {"type": "str", "required": True},
        "address": {"type": "str", "required": True},
        "state": {"type": "str", "choices": ["absent"], "default": "absent"},
    }
    module = AnsibleModule(argument_spec=spec, supports_check_mode=True)
    try:
        found = absent(module.params["node"], module.params["address"], module.check_mode)
    except Refused as error:
        module.fail_json(msg=str(error))
    except (ValueError, KeyError, TypeError) as error:
        module.fail_json(msg=f"etcd's answer cannot be understood: {error!r}.")
    module.exit_json(changed=bool(found), member=found)


if __name__ == "__main__":
    main()
