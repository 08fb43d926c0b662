#!/usr/bin/python
"""The module `port_holders`: which programs of this machine listen where a balancer is to listen."""

DOCUMENTATION = r"""
module: port_holders
short_description: Tells which programs listen on ports of an address
description:
  - Reads the kernel's lists of listening TCP sockets, IPv4 and IPv6, and finds the processes that hold them. It changes
    nothing.
  - Who listens on all addresses listens on this one too.
options:
  address:
    description: The address.
    type: str
    required: true
  ports:
    description: The ports.
    type: list
    elements: int
    required: true
  units:
    description: The systemd units that may hold them.
    type: list
    elements: str
    default: []
author:
  - homelab (!UNKNOWN)
"""

EXAMPLES = r"""
- name: Ask who listens there
  port_holders:
    address: 192.168.2.100
    ports: [6443]
    units: [haproxy.service]
  register: held
"""

RETURN = r"""
holders:
  description: One sentence for each port that somebody else holds.
  returned: always
  type: list
  elements: str
"""

import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

PROC = Path("/proc")
LISTENS = "0A"
# /proc/net/tcp6 has IPv4 addresses mapped; sockets on all addresses take IPv4 as well, unless told otherwise.
EVERYWHERE = {"0.0.0.0", "::"}


def listening() -> Iterator["tuple[str, int, str]"]:
    """Address, port and inode of every listening socket (proc_pid_net(5): words 2, 4 and 10 of a line)."""
    for name, family in (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6)):
        path = PROC / "net" / name
        for line in path.read_text().splitlines()[1:] if path.exists() else ():
            words = line.split()
            if words[3] != LISTENS:
                continue
            raw, _colon, port = words[1].partition(":")
            # Each 32-bit word is in the machine's own order, which is little-endian wherever homelab runs.
            packed = b"".join(bytes.fromhex(raw[at : at + 8])[::-1] for at in range(0, len(raw), 8))
            yield socket.inet_ntop(family, packed).replace("::ffff:", ""), int(port, 16), words[9]


def owners(inodes: "set[str]") -> "dict[str, Path]":
    """The process that holds each of these sockets."""
    wanted = {f"socket:[{inode}]": inode for inode in inodes}
    found: dict[str, Path] = {}
    for path in PROC.glob("[0-9]*/fd/*"):
        with suppress(OSError):
            target = str(path.readlink())
            if target in wanted:
                found[wanted[target]] = path.parent.parent
    return found


def unit_of(process: Path) -> str:
    """The systemd unit of a process, by its control group; empty for none."""
    try:
        parts = (process / "cgroup").read_text().replace("\n", "/").split("/")
    except OSError:
        return ""
    return next((part for part in parts if part.endswith(".service")), "")


def called(process: "Path | None", unit: str) -> str:
    """What a holder is called among people."""
    if process is None:
        return "the kernel"
    name = (process / "comm").read_text().strip()
    return f"{name} (process {process.name}{f', {unit}' if unit else ''})"


def holders(address: str, ports: "list[int]", units: "list[str]") -> "list[str]":
    """One sentence for each port that somebody else holds."""
    found = [(at, port, inode) for at, port, inode in listening() if port in ports and at in {address, *EVERYWHERE}]
    processes = owners({inode for _address, _port, inode in found})
    said = []
    for at, port, inode in found:
        process = processes.get(inode)
        unit = unit_of(process) if process else ""
        if unit not in units:
            said.append(f"{called(process, unit)} listens on {at}:{port}")
    return sorted(set(said))


def main() -> None:
    """The module's entry."""
    options: dict[str, Any] = {
        "address": {"type": "str", "required": True},
        "ports": {"type": "list", "elements": "int", "required": True},
        "units": {"type": "list", "elements": "str", "default": []},
    }
    module = AnsibleModule(argument_spec=options, supports_check_mode=True)
    try:
        found = holders(module.params["address"], module.params["ports"], module.params["units"])
    except OSError as error:
        module.fail_json(msg=f"It cannot be told who listens on {module.params['address']}: {error}.")
    module.exit_json(changed=False, holders=found)


if __name__ == "__main__":
    main()
