"""How tests run plays against guests of networks of their own."""

import os
import tempfile
from functools import cache


@cache
def _sockets() -> "tempfile.TemporaryDirectory[str]":
    return tempfile.TemporaryDirectory(prefix="cp-")


def surroundings() -> dict[str, str]:
    """The environment of a play. Its SSH connections are its own: guests of other networks have the same addresses."""
    return {**os.environ, "ANSIBLE_NOCOLOR": "1", "COLUMNS": "1000", "ANSIBLE_SSH_CONTROL_PATH_DIR": _sockets().name}
