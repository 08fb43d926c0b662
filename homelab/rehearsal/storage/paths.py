"""Datastore paths, `[NAME] a/b`, taken apart and put together. Pure."""

import re

from homelab.rehearsal.state.refusals import InvalidDatastorePath


def split(datastore_path: str) -> tuple[str, str]:
    """`[NAME] a/b` as ("NAME", "a/b"); InvalidDatastorePath for anything else."""
    found = re.fullmatch(r"\[([^\]]+)\]\s*(.*)", datastore_path or "")
    if not found:
        raise InvalidDatastorePath(f"Invalid datastore path '{datastore_path}'.", datastorePath=datastore_path or "")
    return found[1], found[2]


def join(datastore: str, path: str) -> str:
    """("NAME", "a/b") as `[NAME] a/b`."""
    return f"[{datastore}] {path}".rstrip()
