#!/usr/bin/python
"""The module `receipt`: a role's last word on a guest, what went in and what came out."""

DOCUMENTATION = r"""
module: receipt
short_description: Leaves a receipt of what a role has laid down
description:
  - Writes C(/var/lib/homelab/ROLE.json) with the digest of what went into a role, the SHA-256 of every file that came
    out of it, and the units that it wants active.
  - A look at the guest then is one command that compares the receipt with files and units as they are.
  - It is a role's last task, after the handlers, so a receipt says that the role came to its end.
options:
  role:
    description: The role, which is also the name of the receipt.
    type: str
    required: true
  inputs:
    description: The digest of what went into the role. Empty when a person runs the role by hand.
    type: str
    default: ""
  files:
    description: The absolute paths of the files that the role lays down.
    type: list
    elements: path
    default: []
  units:
    description: The systemd units that the role wants active.
    type: list
    elements: str
    default: []
author:
  - homelab (!UNKNOWN)
"""

EXAMPLES = r"""
- name: Leave the receipt
  receipt:
    role: haproxy
    inputs: "{{ receipt_inputs.haproxy | default('') }}"
    files:
      - /etc/haproxy/haproxy.cfg
    units:
      - haproxy.service
"""

RETURN = r"""
path:
  description: The receipt's path.
  returned: always
  type: str
  sample: /var/lib/homelab/haproxy.json
"""

import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

FOLDER = Path("/var/lib/homelab")
FOLDER_MODE = 0o755
RECEIPT_MODE = 0o644


def digest(path: Path) -> str:
    """The SHA-256 of a file in hexadecimal, empty when there is no such file."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except FileNotFoundError:
        return ""


def earlier_receipt(path: Path) -> dict[str, Any]:
    """The receipt that lies there; empty when there is none, or none that can be read."""
    try:
        receipt = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return receipt if isinstance(receipt, dict) else {}


def has_mode(path: Path, mode: int) -> bool:
    """Whether a path exists with these permissions."""
    return path.exists() and path.stat().st_mode & 0o7777 == mode


def write(path: Path, text: str) -> None:
    """Puts a file in its place in one go: a reader sees the old one or the new one, also after a power cut."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.parent.chmod(FOLDER_MODE)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fchmod(descriptor, RECEIPT_MODE)
            os.fsync(descriptor)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def run(module: AnsibleModule) -> None:
    """Compares, writes what differs, and tells."""
    wanted = {
        "role": module.params["role"],
        "inputs": module.params["inputs"],
        "files": {name: digest(Path(name)) for name in module.params["files"]},
        "units": module.params["units"],
    }
    missing = [name for name, value in wanted["files"].items() if not value]
    if missing and not module.check_mode:
        module.fail_json(msg=f"The role {wanted['role']} should have laid down {', '.join(missing)}; it is not there.")
    path = FOLDER / f"{wanted['role']}.json"
    changed = earlier_receipt(path) != wanted or not has_mode(path, RECEIPT_MODE) or not has_mode(FOLDER, FOLDER_MODE)
    if changed and not module.check_mode:
        write(path, json.dumps(wanted, indent=2) + "\n")
    if not module.check_mode:
        # What the module `files` kept, in case that the role's service would not work.
        (FOLDER / "previous" / path.name).unlink(missing_ok=True)
    module.exit_json(changed=changed, path=str(path))


def main() -> None:
    """The module's entry."""
    options = {
        "role": {"type": "str", "required": True},
        "inputs": {"type": "str", "default": ""},
        "files": {"type": "list", "elements": "path", "default": []},
        "units": {"type": "list", "elements": "str", "default": []},
    }
    module = AnsibleModule(argument_spec=options, supports_check_mode=True)
    try:
        run(module)
    except OSError as error:
        module.fail_json(msg=f"The receipt of the role {module.params['role']} cannot be written: {error}.")


if __name__ == "__main__":
    main()
