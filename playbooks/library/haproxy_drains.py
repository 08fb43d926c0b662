#!/usr/bin/python
"""The module `haproxy_drains`: the file in which HAProxy finds what a person drained."""

DOCUMENTATION = r"""
module: haproxy_drains
short_description: Keeps the file of drained servers as HAProxy may read it
description:
  - HAProxy reads its C(server-state-file) whenever it starts. There it finds the servers that a person drained, and no
    others, as C(homelab lb drain) notes them.
  - Makes the file when it is not there, since HAProxy warns of one that is missing or empty.
  - Takes out servers that no pool has any more, and gives the others the port that they have now, for HAProxy takes the
    port from this file, and not from its configuration.
options:
  path:
    description: The file.
    type: path
    required: true
  pools:
    description: The pools of the balancer, each with its name and its servers.
    type: list
    elements: dict
    required: true
author:
  - homelab (!UNKNOWN)
"""

EXAMPLES = r"""
- name: Keep what was drained
  haproxy_drains:
    path: /var/lib/homelab/haproxy.state
    pools: "{{ haproxy_pools }}"
"""

RETURN = r"""
drained:
  description: The servers that are drained, as BACKEND/SERVER.
  returned: always
  type: list
  elements: str
"""

import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

# The version of its format, which is all that a file without a drained server has.
VERSION = "1"
# Fields of a line (management guide of HAProxy 2.6, "show servers state").
BACKEND = 1
SERVER = 3
PORT = 18
FOLDER_MODE = 0o755
FILE_MODE = 0o644


def called(pool: Mapping[str, Any], server: Mapping[str, Any]) -> str:
    """What a server is called in haproxy.cfg (server_name in playbooks/balancer/haproxy.py)."""
    is_web = pool.get("layer") == 7 and pool.get("check") != "readyz"
    return f"{server['address']}:{server['port']}" if is_web else str(server["name"])


def kept(text: str, pools: Sequence[Mapping[str, Any]]) -> list[str]:
    """The lines of a state file that are of a server of these pools, with the port that it has there."""
    ports = {
        (f"{pool['name']}-servers", called(pool, server)): str(server["port"])
        for pool in pools
        for server in pool["servers"]
    }
    lines = []
    for line in text.splitlines():
        words = line.split(" ")
        if len(words) > PORT and not line.startswith("#") and (words[BACKEND], words[SERVER]) in ports:
            words[PORT] = ports[words[BACKEND], words[SERVER]]
            lines.append(" ".join(words))
    return lines


def write(path: Path, text: str) -> None:
    """Writes a file whole."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=FOLDER_MODE)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            os.fchmod(descriptor, FILE_MODE)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def run(module: AnsibleModule) -> None:
    """Compares, writes what differs, and tells."""
    path = Path(module.params["path"])
    found = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
    header = [line for line in found.splitlines() if line.startswith("#")][:1]
    lines = kept(found, module.params["pools"])
    wanted = "".join(f"{line}\n" for line in (VERSION, *header, *lines))
    if wanted != found and not module.check_mode:
        write(path, wanted)
    drained = ["/".join((line.split(" ")[BACKEND], line.split(" ")[SERVER])) for line in lines]
    module.exit_json(changed=wanted != found, drained=drained)


def main() -> None:
    """The module's entry."""
    options = {
        "path": {"type": "path", "required": True},
        "pools": {"type": "list", "elements": "dict", "required": True},
    }
    module = AnsibleModule(argument_spec=options, supports_check_mode=True)
    try:
        run(module)
    except OSError as error:
        module.fail_json(msg=f"The file of drained servers cannot be kept: {error}.")


if __name__ == "__main__":
    main()
