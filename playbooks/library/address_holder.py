#!/usr/bin/python
"""The module `address_holder`: whether a stranger of this network has an address already."""

DOCUMENTATION = r"""
module: address_holder
short_description: Tells who has an address of this network
description:
  - Asks the network (ARP) who has an address, and who the peers are that may have it. It changes nothing.
  - An address that nobody has, or this machine itself, has no holder.
options:
  address:
    description: The address.
    type: str
    required: true
  peers:
    description: The addresses of machines that may have it.
    type: list
    elements: str
    default: []
  seconds:
    description: How long to wait for answers; the kernel asks three times, once a second.
    type: float
    default: 4.0
author:
  - homelab (!UNKNOWN)
"""

EXAMPLES = r"""
- name: Ask who has the virtual address
  address_holder:
    address: 192.168.2.100
    peers: [192.168.2.32]
  register: asked
"""

RETURN = r"""
stranger:
  description: The MAC address of a machine that has the address and is no peer. Empty when there is none.
  returned: always
  type: str
"""

import socket
import time
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

NEIGHBOURS = Path("/proc/net/arp")
COMPLETE = 0x2
POLL_SECONDS = 0.2


def macs() -> dict[str, str]:
    """The MAC address of every neighbour that answered (proc(5), /proc/net/arp: address, type, flags, MAC ...)."""
    rows = [line.split() for line in NEIGHBOURS.read_text().splitlines()[1:]]
    return {row[0]: row[3] for row in rows if len(row) > 3 and int(row[2], 16) & COMPLETE}


def call(address: str) -> None:
    """Have the kernel ask for an address: a datagram that nobody reads (port 9, discard)."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.setblocking(False)
        try:
            sender.sendto(b"", (address, 9))
        except OSError:
            # No way there: then nobody of this network has it.
            return


def stranger(address: str, peers: list[str], seconds: float) -> str:
    """The MAC address of whoever has the address and is no peer; empty when there is none."""
    for asked in (address, *peers):
        call(asked)
    deadline = time.monotonic() + seconds
    while not {address, *peers} <= macs().keys() and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    known = macs()
    holder = known.get(address, "")
    return "" if holder in [known.get(peer) for peer in peers] else holder


def main() -> None:
    """The module's entry."""
    options: dict[str, Any] = {
        "address": {"type": "str", "required": True},
        "peers": {"type": "list", "elements": "str", "default": []},
        "seconds": {"type": "float", "default": 4.0},
    }
    module = AnsibleModule(argument_spec=options, supports_check_mode=True)
    given = module.params
    try:
        found = stranger(given["address"], given["peers"], given["seconds"])
    except OSError as error:
        module.fail_json(msg=f"It cannot be told who has {given['address']}: {error}.")
    module.exit_json(changed=False, stranger=found)


if __name__ == "__main__":
    main()
