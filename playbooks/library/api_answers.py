#!/usr/bin/python
"""The module `api_answers`: who answers at the addresses where an API server may be."""

DOCUMENTATION = r"""
module: api_answers
short_description: Asks addresses whether an API server answers there
description:
  - Opens a connection to each address and asks C(/readyz) over TLS. Nothing secret is sent, and no answer is believed
    but this one, somebody is there.
  - An address where nobody is refuses (RST), or is not routed (no answer to ARP, no route). A firewall can answer the
    same way as a router does, so a neighbour that did answer ARP is never "not routed".
options:
  addresses:
    description: Names to ADDRESS:PORT.
    type: dict
    required: true
  authority:
    description: The path of a CA certificate. Who shows a certificate of it is told apart.
    type: path
    default: ""
  seconds:
    description: How long to wait for a connection, which silence is asked for twice, and again for the answer.
    type: float
    default: 8.0
author:
  - homelab (!UNKNOWN)
"""

EXAMPLES = r"""
- name: Ask every API server
  api_answers:
    addresses:
      cp1: 192.168.2.21:6443
    authority: /etc/kubernetes/pki/ca.crt
  register: asked
"""

RETURN = r"""
answers:
  description: >-
    For each name C(address), C(kind) and C(said). C(kind) is C(refused) or C(unrouted) where nobody is; C(closed) where
    a connection was taken and closed without a word, as a balancer without servers does; C(ours) with a certificate
    of the authority, C(unserved) when it says 503 besides, as a balancer of layer 7 without servers does; C(other) for
    everything else. C(said) is what was answered, in words.
  returned: always
  type: list
  elements: dict
"""

import contextlib
import errno
import http.client
import socket
import ssl
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

# What a balancer of layer 7 says that has no server. An API server that is not ready answers 500.
UNSERVED = "HTTP 503 at /readyz"
NEIGHBOURS = Path("/proc/net/arp")
COMPLETE = 0x2
# Not ENETUNREACH: that this machine has no way there says nothing about the other one.
UNROUTED = (errno.EHOSTUNREACH, errno.EHOSTDOWN)


def is_neighbour(address: str) -> bool:
    """Whether the address answered ARP (proc(5), /proc/net/arp: address, type, flags, MAC ...)."""
    try:
        rows = [line.split() for line in NEIGHBOURS.read_text().splitlines()[1:]]
    except OSError:
        return False
    return any(row[0] == address and int(row[2], 16) & COMPLETE for row in rows if len(row) > 2)


def tls(authority: str) -> ssl.SSLContext:
    """TLS that believes anybody, or who shows a certificate of the authority; SSLError when its file holds none."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    if authority:
        made.load_verify_locations(cafile=authority)
        made.verify_mode = ssl.CERT_REQUIRED
    return made


def without_connection(host: str, error: OSError) -> tuple[str, str]:
    """Kind and words of a connection that did not come about."""
    said = error.strerror or str(error)
    if isinstance(error, ConnectionRefusedError):
        return "refused", "it refuses connections"
    if error.errno not in UNROUTED:
        return "other", f"no connection: {said}"
    if is_neighbour(host):
        return "other", f"a machine has that address, and a firewall says: {said}"
    return "unrouted", "nobody has that address"


def what_it_says(connection: ssl.SSLSocket, host: str) -> str:
    """The answer at /readyz, in words: whatever it is, a server with a certificate is there."""
    try:
        connection.sendall(f"GET /readyz HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        return f"HTTP {answer.status} at /readyz"
    except (OSError, http.client.HTTPException) as error:
        return f"TLS, and then: {error or type(error).__name__}"


def connect(host: str, port: int, seconds: float) -> socket.socket:
    """A connection; OSError when there is none.

    Silence is asked once more: in a neighbour that was there a moment ago the kernel goes on believing for up to 45 s
    (arp(7): base_reachable_time), and only who asks anew for its address is told that nobody is there.
    """
    try:
        return socket.create_connection((host, port), timeout=seconds)
    except TimeoutError:
        forget_neighbour(host)
        return socket.create_connection((host, port), timeout=seconds)


def forget_neighbour(host: str) -> None:
    """Have the kernel ask again who has an address on the LAN; what it knows of it is a cache, and nothing is lost."""
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        subprocess.run(["ip", "neigh", "flush", "to", host], capture_output=True, timeout=5, check=False)


def answer_of(host: str, port: int, seconds: float, context: ssl.SSLContext, kind: str) -> tuple[str, str]:
    """Kind and words of one answer; SSLCertVerificationError when the certificate is not the authority's."""
    try:
        connection = connect(host, port, seconds)
    except OSError as error:
        return without_connection(host, error)
    with connection:
        try:
            speaking = context.wrap_socket(connection, server_hostname=host)
        except ssl.SSLCertVerificationError:
            raise
        except (ConnectionError, ssl.SSLEOFError, ssl.SSLZeroReturnError):
            return "closed", "it takes connections and closes them without a word"
        except TimeoutError:
            return "other", f"it takes connections and says nothing within {seconds:g} s"
        except OSError as error:
            return "other", f"it takes connections and speaks no TLS: {error.strerror or error}"
        with speaking:
            said = what_it_says(speaking, host)
            return ("unserved" if kind == "ours" and said == UNSERVED else kind), said


def ask(name: str, address: str, authority: str, seconds: float) -> dict[str, str]:
    """What one address answers."""
    host, _colon, port = address.rpartition(":")
    kind, said = "other", ""
    if authority and Path(authority).is_file():
        try:
            kind, said = answer_of(host, int(port), seconds, tls(authority), "ours")
        except ssl.SSLError:
            # Not a certificate of that authority, or no authority in that file: asked again by who believes anybody.
            said = ""
    if not said:
        kind, said = answer_of(host, int(port), seconds, tls(""), "other")
    return {"name": name, "address": address, "kind": kind, "said": said}


def run(module: AnsibleModule) -> None:
    """Asks all at once, and tells."""
    asked = module.params["addresses"].items()
    with ThreadPoolExecutor(max(len(asked), 1)) as pool:
        authority, seconds = module.params["authority"], module.params["seconds"]
        answers = list(pool.map(lambda pair: ask(pair[0], str(pair[1]), authority, seconds), asked))
    module.exit_json(changed=False, answers=answers)


def main() -> None:
    """The module's entry."""
    options: dict[str, Any] = {
        "addresses": {"type": "dict", "required": True},
        "authority": {"type": "path", "default": ""},
        "seconds": {"type": "float", "default": 8.0},
    }
    run(AnsibleModule(argument_spec=options, supports_check_mode=True))


if __name__ == "__main__":
    main()
