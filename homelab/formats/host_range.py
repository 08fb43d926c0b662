"""Ansible's ranges in names of hosts. Pure."""

import re

RANGE = re.compile(r"^(.*)\[(\d+):(\d+)\](.*)$")


def expanded(pattern: str) -> list[str]:
    """`brix[1:4]` is four hosts; `brix[01:04]` keeps its zeros."""
    match = RANGE.match(pattern)
    if not match:
        return [pattern]
    head, first, last, tail = match.groups()
    return [f"{head}{number:0{len(first)}}{tail}" for number in range(int(first), int(last) + 1)]
