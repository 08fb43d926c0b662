#!/usr/bin/python
"""The module `cluster_traces`: whether this machine bears traces of a cluster, and whether homelab began it."""

DOCUMENTATION = r"""
module: cluster_traces
short_description: Tells which traces of a cluster a machine bears
description:
  - Looks for what kubeadm, k3s, RKE2, k0s and MicroK8s leave behind. It reads only.
  - A machine that bears any may be a member of a cluster, also when nothing answers there at the moment.
options: {}
author:
  - homelab (!UNKNOWN)
"""

EXAMPLES = r"""
- name: Look for traces of a cluster
  cluster_traces:
  register: looked
"""

RETURN = r"""
traces:
  description: The paths that were found.
  returned: always
  type: list
  elements: str
ca:
  description: The SHA-256 of the cluster's CA certificate, empty when there is none.
  returned: always
  type: str
begun:
  description: >-
    The SHA-256 of the CA of the cluster that homelab began to make or to join here, from just before `kubeadm init` or
    `join` until the control plane is whole. Empty when it began none, or ended well.
  returned: always
  type: str
receipts:
  description: The roles of homelab that came to their end here.
  returned: always
  type: list
  elements: str
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

ROOT = Path("/")
# What a member of a cluster has on its disk. Sources: kubernetes.io/docs/setup/production-environment/tools/kubeadm
# (implementation details), docs.k3s.io/cli/server, docs.rke2.io/reference, docs.k0sproject.io, microk8s.io/docs.
TRACES = (
    "etc/kubernetes/pki/ca.crt",
    "etc/kubernetes/pki/ca.key",
    "etc/kubernetes/pki/sa.key",
    "etc/kubernetes/*.conf",
    "etc/kubernetes/manifests/*",
    "var/lib/etcd/*",
    "var/lib/kubelet/config.yaml",
    "var/lib/rancher/*/server",
    "var/lib/k0s/pki",
    "var/snap/microk8s/current/certs",
)
# A file system of its own has it from its birth.
NO_TRACE = "lost+found"
CA = "etc/kubernetes/pki/ca.crt"
BEGUN = "var/lib/homelab/begun/cluster.json"


def traces() -> list[str]:
    """The paths of all traces; hidden files are none, the kubelet passes over them too."""
    found = [path for pattern in TRACES for path in sorted(ROOT.glob(pattern))]
    shown = [path for path in found if not path.name.startswith(".") and path.name != NO_TRACE]
    return [("/" + str(path.relative_to(ROOT))).encode(errors="backslashreplace").decode() for path in shown]


def ca_digest() -> str:
    """The SHA-256 of the CA certificate; empty when there is none that can be read, which is a trace all the same."""
    try:
        return hashlib.sha256((ROOT / CA).read_bytes()).hexdigest()
    except OSError:
        return ""


def begun() -> str:
    """The CA's digest in the note of a beginning; empty when there is no note that makes sense."""
    try:
        note = json.loads((ROOT / BEGUN).read_text(encoding="utf-8"))
        return str(note["ca"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def look() -> dict[str, Any]:
    """All that the module returns."""
    receipts = sorted(path.stem for path in (ROOT / "var/lib/homelab").glob("*.json"))
    return {"traces": traces(), "ca": ca_digest(), "begun": begun(), "receipts": receipts}


def main() -> None:
    """The module's entry."""
    module = AnsibleModule(argument_spec={}, supports_check_mode=True)
    try:
        module.exit_json(changed=False, **look())
    except OSError as error:
        module.fail_json(msg=f"It cannot be told whether this machine bears traces of a cluster: {error}.")


if __name__ == "__main__":
    main()
