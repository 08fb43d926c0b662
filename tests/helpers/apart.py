"""What keeps tests with guests apart from this machine and from each other: namespaces, and SSH connections."""

import os
import tempfile
from functools import cache

# Namespaces of one's own, which end with whoever made them; the words that name them follow, then the program.
NAMESPACES = ["setpriv", "--pdeathsig", "KILL", "unshare", "--fork", "--mount-proc", "--kill-child"]


@cache
def _sockets() -> "tempfile.TemporaryDirectory[str]":
    return tempfile.TemporaryDirectory(prefix="cp-")


def surroundings() -> dict[str, str]:
    """The environment of a play. Its SSH connections are its own: guests of other networks have the same addresses."""
    return {**os.environ, "ANSIBLE_NOCOLOR": "1", "COLUMNS": "1000", "ANSIBLE_SSH_CONTROL_PATH_DIR": _sockets().name}
