"""What kubectl says of manifests: differences, conflicts and errors. Pure."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

DIFF, OLD, NEW = "diff -u -N ", "--- ", "+++ "
# Of a hunk that begins with nothing: the object is not there yet. Of a Secret that is not there it shows a null.
FROM_NOTHING, FROM_ONE_LINE, NULL = "@@ -0,0 ", "@@ -1 ", "-null"
# A line of kubectl's own log, such as W1130 14:55:10.841726 21893 diff.go:723] ...
LOGGED = re.compile(r"[IWEF]\d{4} \d\d:")
AWAY = re.compile(
    "The connection to the server|Unable to connect to the server|dial tcp|i/o timeout|TLS handshake timeout"
    "|context deadline exceeded|unexpected EOF"
)


@dataclass(frozen=True)
class Difference:
    """How an object differs from what the cluster has: whether it is `new`, and the lines of a unified diff."""

    new: bool
    lines: tuple[str, ...]


def differences(said: str) -> dict[str, Difference]:
    """What `kubectl diff` printed, by the name that it gives an object: [GROUP.]VERSION.KIND.NAMESPACE.NAME."""
    found: dict[str, list[str]] = {}
    name = None
    for line in said.splitlines():
        # Lines of a difference begin with a blank, +, -, @ or \.
        if line.startswith(DIFF):
            name = PurePosixPath(line.split()[-1]).name
            found[name] = []
        elif name is not None and not (line.startswith((OLD, NEW)) and not found[name]):
            found[name].append(line)
    return {name: Difference(_is_new(lines), tuple(lines)) for name, lines in found.items()}


def _is_new(lines: list[str]) -> bool:
    if len(lines) > 1 and lines[0].startswith(FROM_ONE_LINE):
        return lines[1] == NULL
    return bool(lines) and lines[0].startswith(FROM_NOTHING)


def conflicts(said: str) -> list[str]:
    """The managers that own what was to be changed, as `kubectl apply --server-side` names them; empty without any."""
    return list(dict.fromkeys(re.findall(r'conflicts? with "([^"]+)"', said)))


def complaint(said: str) -> str:
    """The first lines of what kubectl said went wrong, on one line and without the advice that it adds to conflicts."""
    told = said.split("\nPlease review the fields above", 1)[0]
    lines = [line.strip() for line in told.splitlines() if line.strip() and not _is_aside(line)]
    return " ".join(lines).removeprefix("error: ")[:600]


def _is_aside(line: str) -> bool:
    return line.startswith("Warning:") or LOGGED.match(line) is not None


def is_away(said: str) -> bool:
    """Whether kubectl got no answer from the API."""
    return AWAY.search(complaint(said)) is not None


def hidden(said: str, secrets: Iterable[str]) -> str:
    """A text without what must not be shown."""
    for secret in sorted(secrets, key=len, reverse=True):
        said = said.replace(secret, "***")
    return said
