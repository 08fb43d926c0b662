#!/usr/bin/python
"""The module `files`: all files of a role in one round trip."""

DOCUMENTATION = r"""
module: files
short_description: Lays down all files of a role in one round trip
description:
  - Lays down files that belong to root, one after another, each in one go. Their folders are made.
  - A file that names a program for its test is tested by it before it goes live. One that fails ends the module, and it
    and those after it stay as they were. Check mode tests none, because a test may need the files before it.
  - A file that somebody else wrote is never overwritten, the module ends before it changes anything. What the module
    itself wrote is known by the digests in C(/var/lib/homelab/written/ROLE.json) and in the receipts; what a package
    brought, by dpkg's digests. One of its own files that somebody edited is kept beside the new one, as
    C(PATH.before-homelab).
  - What was in the place of changed files is kept in C(/var/lib/homelab/previous/ROLE.json) until the receipt is left.
    With C(put_back) it is put back, for a role whose service does not work with the new files.
  - Also reports changed when a file differs from the role's receipt, so that the handler runs. A run that was cut off
    between a file and its reload leaves no other trace.
  - For the same files, ansible.builtin.copy and template take two to five round trips each.
options:
  role:
    description: The role whose receipt is compared.
    type: str
    required: true
  put_back:
    description: Put back what was in the place of the files that the last call laid down, and do nothing else.
    type: bool
    default: false
  files:
    description: The files, in the order in which they go live.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: The absolute path.
        type: path
        required: true
      content:
        description: The whole content.
        type: str
        required: true
      mode:
        description: The permissions, four octal digits.
        type: str
        default: "0644"
      validate:
        description: The program and its arguments that test the file before it goes live; C(%s) stands for the file.
        type: list
        elements: str
        default: []
author:
  - homelab (!UNKNOWN)
"""

EXAMPLES = r"""
- name: Lay down the files
  files:
    role: haproxy
    files:
      - path: /etc/haproxy/haproxy.cfg
        content: "{{ lookup('ansible.builtin.template', 'haproxy.cfg.j2') }}"
        validate: [/usr/sbin/haproxy, -c, -f, "%s"]
  notify: Reload HAProxy
"""

RETURN = r"""
paths:
  description: All paths, as the module C(receipt) takes them.
  returned: always
  type: list
  elements: str
changed_files:
  description: The paths that were laid down anew.
  returned: always
  type: list
  elements: str
kept_files:
  description: Where files were kept that somebody had edited.
  returned: always
  type: list
  elements: str
put_back_files:
  description: The paths that were put back.
  returned: with put_back
  type: list
  elements: str
unfinished_files:
  description: The paths whose content differs from the receipt of the last run that came to its end.
  returned: always
  type: list
  elements: str
"""

import base64
import difflib
import hashlib
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

RECEIPTS = Path("/var/lib/homelab")
OWNER = 0
# The first or second line of every file of ours that can have comments.
OURS = b"# Managed by homelab."
KEPT = ".before-homelab"


class Unfit(Exception):
    """A file did not pass its test, or is not ours to overwrite."""


def is_as_wanted(path: Path, content: bytes, mode: int) -> bool:
    """Whether a regular file has this content, these permissions, and root as owner and group."""
    if path.is_symlink() or not path.is_file():
        return False
    state = path.stat()
    right = (state.st_mode & 0o7777, state.st_uid, state.st_gid) == (mode, OWNER, OWNER)
    return right and path.read_bytes() == content


def check(module: AnsibleModule, file: dict[str, Any], draft: str) -> None:
    """Has the file's program read the draft; raises Unfit with the program's words."""
    command = [word.replace("%s", draft) for word in file["validate"]]
    if not command:
        return
    status, out, err = module.run_command(command)
    if status != 0:
        words = " ".join(f"{err} {out}".replace(draft, file["path"]).split())
        raise Unfit(f"{command[0]} refuses {file['path']} (status {status}): {words} The old file stays in place.")


def lay_down(module: AnsibleModule, file: dict[str, Any], content: bytes, written: "Written") -> None:
    """Tests one file and puts it in its place in one go."""
    path = Path(file["path"])
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        fill(descriptor, content, int(file["mode"], 8))
        check(module, file, draft)
        written.add(path, content)
        Path(draft).replace(path)
    finally:
        Path(draft).unlink(missing_ok=True)


def digests(path: Path) -> dict[str, Any]:
    """The object `files` of a receipt or of a list of what was written; empty when there is none that makes sense."""
    try:
        return dict(json.loads(path.read_text(encoding="utf-8"))["files"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return {}


class Previous:
    """What was in the place of files before they were laid down, until the role's receipt is left."""

    def __init__(self, role: str) -> None:
        self._path = RECEIPTS / "previous" / f"{role}.json"

    def keep(self, paths: list[Path]) -> None:
        """Keep what is there now; what an earlier call kept stays, for its files never came to a receipt."""
        kept = digests(self._path)
        for path in paths:
            kept.setdefault(str(path), self._now(path))
        if paths:
            put(self._path, json.dumps({"files": kept}).encode(), 0o600)

    def put_back(self, written: "Written") -> list[str]:
        """Put it back where what the role wrote still stands; the paths."""
        done = []
        for name, before in digests(self._path).items():
            path = Path(name)
            if not path.is_file() or path.is_symlink() or not written.has(path, path.read_bytes()):
                continue
            if before is None:
                path.unlink()
            else:
                put(path, base64.b64decode(before["content"]), int(before["mode"], 8))
            done.append(name)
        self._path.unlink(missing_ok=True)
        return done

    @staticmethod
    def _now(path: Path) -> "dict[str, str] | None":
        if path.is_symlink() or not path.is_file():
            return None
        mode = oct(path.stat().st_mode & 0o7777)[2:]
        return {"content": base64.b64encode(path.read_bytes()).decode(), "mode": mode}


class Written:
    """What the role wrote here, by path and digest: noted before a file goes live, so no kill makes it forgotten."""

    def __init__(self, role: str) -> None:
        self._path = RECEIPTS / "written" / f"{role}.json"
        self.receipt = digests(RECEIPTS / f"{role}.json")
        noted = digests(self._path).items()
        self._files = {name: [str(digest) for digest in found] for name, found in noted if isinstance(found, list)}

    def has_path(self, path: Path) -> bool:
        """Whether the role ever wrote a file there."""
        return str(path) in self.receipt or str(path) in self._files

    def has(self, path: Path, content: bytes) -> bool:
        """Whether the role wrote this content there."""
        digest = hashlib.sha256(content).hexdigest()
        return digest == self.receipt.get(str(path)) or digest in self._files.get(str(path), [])

    def add(self, path: Path, content: bytes) -> None:
        """Note a content just before it goes live; the one before it stays noted, for it may still be in place."""
        digest = hashlib.sha256(content).hexdigest()
        known = [found for found in self._files.get(str(path), []) if found != digest]
        self._files[str(path)] = [*known[-1:], digest]
        text = json.dumps({"files": self._files}, indent=2) + "\n"
        put(self._path, text.encode(), 0o644)


def put(path: Path, content: bytes, mode: int) -> None:
    """Puts a file in its place in one go."""
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        fill(descriptor, content, mode)
        Path(draft).replace(path)
    finally:
        Path(draft).unlink(missing_ok=True)


def fill(descriptor: int, content: bytes, mode: int) -> None:
    """Writes a draft, down to the disk."""
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fchown(descriptor, OWNER, OWNER)
        os.fchmod(descriptor, mode)
        os.fsync(descriptor)


def is_from_a_package(module: AnsibleModule, path: Path, content: bytes) -> bool:
    """Whether dpkg brought exactly this file: its list of configuration files has their MD5 sums."""
    status, names, _stderr = module.run_command(["/usr/bin/dpkg-query", "--search", str(path)])
    if status != 0:
        return False
    package = names.partition(": ")[0].split(",")[0].strip()
    _status, listed, _stderr = module.run_command(
        ["/usr/bin/dpkg-query", "--show", "--showformat=${Conffiles}", package]
    )
    wanted = [str(path), hashlib.md5(content, usedforsecurity=False).hexdigest()]
    return any(line.split()[:2] == wanted for line in listed.splitlines())


def whose(module: AnsibleModule, path: Path, wanted: bytes, written: Written) -> str:
    """`free` when nothing is lost by writing there, `edited` when it is ours with somebody's changes, or `foreign`."""
    if path.is_symlink():
        return "edited" if written.has_path(path) else "foreign"
    content = path.read_bytes() if path.exists() else b""
    if content in (b"", wanted) or written.has(path, content):
        return "free"
    if written.has_path(path) or any(line.startswith(OURS) for line in content.splitlines()[:2]):
        return "edited"
    return "free" if is_from_a_package(module, path, content) else "foreign"


def refuse_foreign(paths: list[Path]) -> None:
    """Raises Unfit when there are any: what its owner wrote is the owner's to move."""
    if paths:
        moves = "; ".join(f"mv {path} {path}.own" for path in paths)
        raise Unfit(
            f"{', '.join(map(str, paths))} is there, and homelab did not write it. It is not overwritten, and nothing "
            f"was changed. If it is not needed any more, move it away on this machine ({moves}) and run again."
        )


def keep(path: Path) -> str:
    """Keeps a copy beside the file, under a name that is free; a link is kept as a link."""
    for count in range(1, 1000):
        name = path.with_name(f"{path.name}{KEPT}" + (f".{count}" if count > 1 else ""))
        if not path.is_symlink() and name.is_file() and name.read_bytes() == path.read_bytes():
            return str(name)
        if not os.path.lexists(name):
            shutil.copy2(path, name, follow_symlinks=False)
            os.chown(name, OWNER, OWNER, follow_symlinks=False)
            return str(name)
    raise Unfit(f"{path} was edited, and no name beside it is free to keep it under. Take some of {path}{KEPT}.* away.")


def difference(path: Path, content: bytes) -> dict[str, str]:
    """What changes in one file, as people read it."""
    before = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    old, new = before.splitlines(keepends=True), content.decode(errors="replace").splitlines(keepends=True)
    return {"prepared": "".join(difflib.unified_diff(old, new, f"{path} (now)", f"{path} (wanted)"))}


def run(module: AnsibleModule) -> None:
    """Lays down what differs, and tells."""
    files = module.params["files"]
    # What was read as text and is no UTF-8 arrives as surrogates, and leaves as the bytes that it was.
    contents = [file["content"].encode(errors="surrogateescape") for file in files]
    written = Written(module.params["role"])
    differing = [
        (file, content)
        for file, content in zip(files, contents)  # noqa: B905 - Python 3.9
        if not is_as_wanted(Path(file["path"]), content, int(file["mode"], 8))
    ]
    found = {file["path"]: whose(module, Path(file["path"]), content, written) for file, content in differing}
    refuse_foreign([Path(path) for path, owner in found.items() if owner == "foreign"])
    if not module.check_mode:
        Previous(module.params["role"]).keep([Path(path) for path in found])
    answer: dict[str, list[Any]] = {"changed_files": [], "kept_files": [], "diff": []}
    for file, content in differing:
        path = Path(file["path"])
        answer["diff"].append(difference(path, content))
        answer["changed_files"].append(file["path"])
        if module.check_mode:
            continue
        if found[file["path"]] == "edited":
            answer["kept_files"].append(keep(path))
            module.warn(f"Somebody edited {path}; it is kept as {answer['kept_files'][-1]}.")
        lay_down(module, file, content, written)
    unfinished = [
        file["path"]
        for file, content in zip(files, contents)  # noqa: B905
        if written.receipt.get(file["path"]) != hashlib.sha256(content).hexdigest()
    ]
    module.exit_json(
        changed=bool(answer["changed_files"] or unfinished),
        paths=[file["path"] for file in files],
        unfinished_files=unfinished,
        **answer,
    )


def put_back(module: AnsibleModule) -> None:
    """Puts back what the last call took the place of."""
    role = module.params["role"]
    done = [] if module.check_mode else Previous(role).put_back(Written(role))
    module.exit_json(changed=bool(done), put_back_files=done)


def main() -> None:
    """The module's entry."""
    suboptions = {
        "path": {"type": "path", "required": True},
        "content": {"type": "str", "required": True},
        "mode": {"type": "str", "default": "0644"},
        "validate": {"type": "list", "elements": "str", "default": []},
    }
    options = {
        "role": {"type": "str", "required": True},
        "put_back": {"type": "bool", "default": False},
        "files": {"type": "list", "elements": "dict", "default": [], "options": suboptions},
    }
    # no_log: whole files do not belong into the guest's journal.
    module = AnsibleModule(argument_spec=options, supports_check_mode=True, no_log=True)
    try:
        (put_back if module.params["put_back"] else run)(module)
    except Unfit as unfit:
        module.fail_json(msg=str(unfit))
    except OSError as error:
        module.fail_json(msg=f"The files of the role {module.params['role']} cannot be laid down: {error}.")


if __name__ == "__main__":
    main()
