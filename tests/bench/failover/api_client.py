"""Asks API servers one after another: `CA TOKEN ADDRESS,... --wait=SECONDS PATH...` is a program of its own.

It ends with 0 once every server has answered 200 to every path, with 1 and a sentence when time is up.
"""

import argparse
import http.client
import ssl
import sys
import time
from pathlib import Path

from tests.bench.failover.places import PORT

SECONDS, POLL_SECONDS = 2.0, 0.2


def ask(address: str, ca_file: Path, token: Path, method: str, path: str, body: str | None = None) -> int:
    """The status of an answer; 0 when there was none."""
    context = ssl.create_default_context(cafile=str(ca_file))
    connection = http.client.HTTPSConnection(address, PORT, timeout=SECONDS, context=context)
    try:
        headers = {"Authorization": f"Bearer {token.read_text()}", "Content-Type": "application/json"}
        connection.request(method, path, body, headers)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()


def main() -> None:
    """Ask until all is well."""
    parser = argparse.ArgumentParser()
    parser.add_argument("ca", type=Path)
    parser.add_argument("token", type=Path)
    parser.add_argument("addresses")
    parser.add_argument("paths", nargs="+")
    parser.add_argument("--wait", type=float, default=0.0, metavar="SECONDS")
    asked = parser.parse_args()
    left = [(address, path) for address in asked.addresses.split(",") for path in asked.paths]
    end = time.monotonic() + asked.wait
    while left:
        address, path = left[0]
        status = ask(address, asked.ca, asked.token, "GET", path)
        if status == 200:
            left.pop(0)
        elif time.monotonic() > end:
            sys.exit(f"{address}{path}: {status or 'no answer'} after {asked.wait:g} s")
        else:
            time.sleep(POLL_SECONDS)


if __name__ == "__main__":
    main()
