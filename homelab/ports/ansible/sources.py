"""The files that a role of a playbook is made of: what can change its outcome, beside the values that it reads."""

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

ANOTHER_ROLE = re.compile(r"(?:import|include)_role:\s+name: (\w+)")


def role_digest(playbooks: Path, role: str) -> str:
    """The SHA-256 of the names and contents of all these files, in the order of names.

    They are the playbooks that have the role, the role and those that it calls, and every folder beside roles/ but the
    collection, which is for hosts. All its playbooks count, whichever runs: a guest that two of them prepare has one
    receipt for the role. What only people read changes nothing.
    """
    digest = hashlib.sha256()
    for path in sorted(_files(playbooks, role)):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(playbooks)}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


def _files(playbooks: Path, role: str) -> set[Path]:
    roles = playbooks / "roles"
    named = re.compile(rf"^ *- role: {re.escape(role)}$", re.MULTILINE)
    plays = {path for path in playbooks.glob("*.yml") if named.search(path.read_text(encoding="utf-8"))}
    apart = {roles, playbooks / "collections"}
    folders = [path for path in playbooks.iterdir() if path.is_dir() and path not in apart]
    own = [roles / name for name in _with_called(roles, role)]
    return {*plays, *(path for folder in [*folders, *own] for path in _below(folder))}


def _with_called(roles: Path, role: str) -> set[str]:
    found, waiting = set(), {role}
    while waiting:
        name = waiting.pop()
        found.add(name)
        texts = (path.read_text(encoding="utf-8") for path in (roles / name).rglob("*.yml"))
        waiting |= {called for text in texts for called in ANOTHER_ROLE.findall(text)} - found
    return found


def _below(folder: Path) -> Iterator[Path]:
    passed_over = {"__pycache__", "README.md"}
    return (path for path in folder.rglob("*") if path.is_file() and passed_over.isdisjoint(path.parts))
