"""What balancers tell of their servers, read from the words of each program. Pure.

HAProxy: `show stat` and `show info` (management guide of 2.6, sections 9.1 and 9.3), `show servers state` (the same,
9.3, and "admin state" in src/server-t.h of 2.6). The checker, which serves nginx and nftables: what it prints for
`status`.
"""

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace

UP, DOWN, DRAIN, MAINT = "up", "down", "drain", "maint"
BACKEND = "-servers"
# At layer 7 the API's servers stand in a second back end, for clients without a certificate. It follows the first.
OTHERS = "-servers_others"
# The bit of srv_admin_state that says that a person set it to drain.
FORCED_DRAIN = 0x08
# Conditionally passed: haproxy.cfg has it for an API server whose /readyz says `[-]shutdown failed`.
SHUTS_DOWN = "L7OKC"
# The states that `show stat` tells, by their first word. NOLB: the server says itself that it is shutting down.
STATES = {"UP": UP, "no": UP, "DOWN": DOWN, "NOLB": DRAIN, "DRAIN": DRAIN, "MAINT": MAINT}


@dataclass(frozen=True)
class ServerLook:
    """One server of one pool, as one balancer has it; `name` is what the balancer calls it.

    `state` is up, down, drain or maint; `drained` whether a person drained it: then it is never up.
    `answer` is the check's last answer. `sessions` are those of now, `connections` all since the balancer's program
    began, `errors` the connections and answers that failed; None where the kind does not tell. `since_seconds` is how
    long it has been in this state.
    """

    pool: str
    name: str
    address: str
    state: str
    drained: bool
    answer: str
    sessions: int
    connections: int | None
    errors: int | None
    since_seconds: int
    weight: int = 1

    @property
    def takes(self) -> bool:
        """Whether it takes new connections."""
        return self.state == UP and self.weight > 0


@dataclass(frozen=True)
class HaproxyInfo:
    """HAProxy itself: its version, and for how many seconds this process has run."""

    version: str
    uptime_seconds: int


def haproxy_info(text: str) -> HaproxyInfo:
    """The answer to `show info`. Raises ValueError, LookupError when it is none."""
    fields = dict(line.split(": ", 1) for line in text.splitlines() if ": " in line)
    return HaproxyInfo(fields["Version"], int(fields["Uptime_sec"]))


def haproxy_servers(stat: str, state: str) -> tuple[ServerLook, ...]:
    """The servers of every pool, from the answers to `show stat` and `show servers state`.

    At layer 7 what goes to an API server by its pool's other back end counts as well. Raises ValueError, LookupError
    when they are none.
    """
    admin = dict(admin_states(state))
    rows = [
        row for row in csv.DictReader(stat.lstrip("# ").splitlines()) if row["svname"] not in ("FRONTEND", "BACKEND")
    ]
    others = {
        (row["pxname"].removesuffix(OTHERS), row["svname"]): row for row in rows if row["pxname"].endswith(OTHERS)
    }
    found = [
        _server(row, admin.get((row["pxname"], row["svname"]), 0)) for row in rows if row["pxname"].endswith(BACKEND)
    ]
    return tuple(_with(server, others.get((server.pool, server.name))) for server in found)


def _with(server: ServerLook, row: dict[str, str] | None) -> ServerLook:
    """A server with what it has by its pool's other back end."""
    if row is None:
        return server
    other = _server(row, 0)
    return replace(
        server,
        sessions=server.sessions + other.sessions,
        connections=(server.connections or 0) + (other.connections or 0),
        errors=(server.errors or 0) + (other.errors or 0),
    )


def admin_states(state: str) -> Iterator[tuple[tuple[str, str], int]]:
    """((backend, server), bits) of `show servers state`, which tells of a drained server that is down, too."""
    lines = [line.split() for line in state.splitlines() if line.strip()]
    (heads,) = [words[1:] for words in lines if words[0] == "#"]
    backend, server, bits = (heads.index(name) for name in ("be_name", "srv_name", "srv_admin_state"))
    for words in lines:
        if len(words) == len(heads):
            yield (words[backend], words[server]), int(words[bits])


def _server(row: dict[str, str], admin: int) -> ServerLook:
    return ServerLook(
        pool=row["pxname"].removesuffix(BACKEND),
        name=row["svname"],
        address=row["addr"],
        state=STATES[row["status"].split(" ")[0]],
        drained=bool(admin & FORCED_DRAIN),
        answer=_answer(row),
        sessions=int(row["scur"]),
        connections=int(row["stot"]),
        errors=int(row["econ"] or 0) + int(row["eresp"] or 0),
        since_seconds=int(row["lastchg"]),
        weight=int(row["uweight"]),
    )


def checker_servers(text: str) -> tuple[ServerLook, ...]:
    """The servers of every pool, from the checker's answer to `status`.

    It counts no connections, and its `failed` are questions. Raises ValueError, LookupError, TypeError, AttributeError
    when it is none.
    """
    state = json.loads(text)
    return tuple(
        ServerLook(
            pool=pool,
            name=name,
            address=f"{server['address']}:{server['port']}",
            state=STATES[server["state"].upper()],
            drained=name in state["drained"],
            answer=server["last_answer"],
            sessions=int(server["sessions"]),
            connections=None,
            errors=None,
            since_seconds=max(0, int(state["at"] - server["since"])),
            weight=int(server["weight"]),
        )
        for pool, found in state["pools"].items()
        for name, server in found["servers"].items()
    )


def checker_problem(text: str) -> str:
    """Why the checker does not balance at the moment; empty when it does."""
    return str(json.loads(text)["problem"])


def _answer(row: dict[str, str]) -> str:
    """The check's last answer in words: its number, what was wrong, and how long it took when it was well."""
    status, code = row["check_status"].removeprefix("* "), row["check_code"]
    if not status:
        return "in maintenance, so it is not asked" if row["status"].startswith("MAINT") else "it is not asked"
    if status == SHUTS_DOWN:
        return f"{code}, it says that it shuts down"
    if status.endswith("OK"):
        # While the next question is under way the number of the last answer is 0.
        well = "connected" if status == "L4OK" else code if code.strip("0") else "well"
        return f"{well} in {row['check_duration'] or 0} ms"
    return f"{code} {row['last_chk'] or row['check_desc'] or status}".strip()
