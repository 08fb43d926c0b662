"""Writes an object of a real cluster anew each second, into its etcd, so that watches of it have an event.

A program of its own: `ETCD-URL CA TOKEN ADDRESS,...`. Not by way of the API servers, for things happen to them; they
make the object once.
"""

import base64
import itertools
import json
import sys
import threading
import urllib.request
from pathlib import Path
from typing import Any

from tests.bench.failover.api_client import ask

NAME, PORT = "clock", 2379
OBJECTS = "/api/v1/namespaces/default/configmaps"
KEY = base64.b64encode(f"/registry/configmaps/default/{NAME}".encode()).decode()
SECOND, SECONDS = 1.0, 2.0


def etcd(url: str, act: str, document: dict[str, str]) -> dict[str, Any]:
    """An answer of etcd's JSON door; OSError."""
    request = urllib.request.Request(f"{url}/v3/kv/{act}", json.dumps(document).encode())
    with urllib.request.urlopen(request, timeout=SECONDS) as answer:
        return dict(json.load(answer))


def strike(url: str) -> bool:
    """Put what is there once more; whether there was something."""
    found = etcd(url, "range", {"key": KEY}).get("kvs")
    if found:
        etcd(url, "put", {"key": KEY, "value": found[0]["value"]})
    return bool(found)


def main() -> None:
    """For ever."""
    url, ca_file, token, addresses = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4].split(",")
    made = json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": NAME}})
    pause = threading.Event()
    for address in itertools.cycle(addresses):
        try:
            if not strike(url):
                ask(address, ca_file, token, "POST", OBJECTS, made)
        except OSError as error:
            sys.stderr.write(f"{error}\n")
        pause.wait(SECOND)


if __name__ == "__main__":
    main()
