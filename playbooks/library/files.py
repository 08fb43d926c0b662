#!/usr/bin/python3
"""The module `files`: all files of a role in one round trip."""

import difflib
import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: files
short_description: Lays down all files of a role in one round trip
description:
  - Lays down files that belong to root, one after another, each in one go. Their folders are made.
  - A file that names a program for its test is tested by it before it goes live. One that fails ends the module, and it
    and those after it stay as they were. Check mode tests none, because a test may need the files before it.
  - Also reports changed when a file differs from the role's receipt, so that the handler runs. A run that was cut off
    between a file and its reload leaves no other trace.
  - For the same files, ansible.builtin.copy and template take two to five round trips each.
options:
  role:
    description: The role whose receipt is compared.
    type: str
    required: true
  files:
    description: The files, in the order in which they go live.
    type: list
    elements: dict
    required: true
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
  - homelab
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
unfinished_files:
  description: The paths whose content differs from the receipt of the last run that came to its end.
  returned: always
  type: list
  elements: str
"""

RECEIPTS = Path("/var/lib/homelab")
OWNER = 0


class Unfit(Exception):
    """A file did not pass its test."""


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


def lay_down(module: AnsibleModule, file: dict[str, Any], content: bytes, mode: int) -> None:
    """Tests one file and puts it in its place in one go."""
    path = Path(file["path"])
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fchown(descriptor, OWNER, OWNER)
            os.fchmod(descriptor, mode)
            os.fsync(descriptor)
        check(module, file, draft)
        Path(draft).replace(path)
    finally:
        Path(draft).unlink(missing_ok=True)


def recorded(role: str) -> dict[str, str]:
    """The digests of the role's receipt; none when there is no readable receipt."""
    try:
        return dict(json.loads((RECEIPTS / f"{role}.json").read_text(encoding="utf-8"))["files"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return {}


def difference(path: Path, content: bytes) -> dict[str, str]:
    """What changes in one file, as people read it."""
    before = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    old, new = before.splitlines(keepends=True), content.decode().splitlines(keepends=True)
    return {"prepared": "".join(difflib.unified_diff(old, new, f"{path} (now)", f"{path} (wanted)"))}


def run(module: AnsibleModule) -> None:
    """Lays down what differs, and tells."""
    files = module.params["files"]
    known = recorded(module.params["role"])
    changed, unfinished, differences = [], [], []
    for file in files:
        path, content, mode = Path(file["path"]), file["content"].encode(), int(file["mode"], 8)
        if known.get(file["path"]) != hashlib.sha256(content).hexdigest():
            unfinished.append(file["path"])
        if not is_as_wanted(path, content, mode):
            differences.append(difference(path, content))
            if not module.check_mode:
                lay_down(module, file, content, mode)
            changed.append(file["path"])
    module.exit_json(
        changed=bool(changed or unfinished),
        paths=[file["path"] for file in files],
        changed_files=changed,
        unfinished_files=unfinished,
        diff=differences,
    )


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
        "files": {"type": "list", "elements": "dict", "required": True, "options": suboptions},
    }
    # no_log: whole files do not belong into the guest's journal.
    module = AnsibleModule(argument_spec=options, supports_check_mode=True, no_log=True)
    try:
        run(module)
    except Unfit as unfit:
        module.fail_json(msg=str(unfit))
    except OSError as error:
        module.fail_json(msg=f"The files of the role {module.params['role']} cannot be laid down: {error}.")


if __name__ == "__main__":
    main()
