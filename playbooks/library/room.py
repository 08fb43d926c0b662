#!/usr/bin/python
"""The module `room`: what a machine has, and how its clock goes, before something large is begun there."""

DOCUMENTATION = r"""
module: room
short_description: Tells a machine's memory, processors, free disk and clock
description:
  - Changes nothing. What facts tell takes longer to gather, and they do not compare clocks.
options:
  path:
    description: Where something is to be written. Of a folder that is not there yet the nearest one above counts.
    type: path
    required: true
  now:
    description: The time on the machine that asks, in seconds since 1970.
    type: float
    required: true
author:
  - homelab (!UNKNOWN)
"""

EXAMPLES = r"""
- name: Look at what it has
  room:
    path: /var/lib/containerd
    now: "{{ now().timestamp() }}"
  register: found
"""

RETURN = r"""
memory_mib:
  description: The memory that the kernel has, in MiB.
  returned: success
  type: int
  sample: 3936
cpus:
  description: The number of processors that this program may use.
  returned: success
  type: int
  sample: 2
free_mib:
  description: What root can still write there, in MiB.
  returned: success
  type: int
  sample: 17211
ahead_seconds:
  description: How far this clock is ahead of the one that asks, in whole seconds; the way there counts, too.
  returned: success
  type: int
  sample: 0
"""

import os
import shutil
import time
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

MEMORY = Path("/proc/meminfo")


def memory_mib(text: str) -> int:
    """Of what /proc/meminfo says, MemTotal in MiB."""
    line = next(line for line in text.splitlines() if line.startswith("MemTotal:"))
    return int(line.split()[1]) // 1024


def nearest(path: Path) -> Path:
    """The folder itself, or the nearest one above it that is there."""
    return next(folder for folder in (path, *path.parents) if folder.exists())


def main() -> None:
    """The module's entry."""
    spec: dict[str, Any] = {
        "path": {"type": "path", "required": True},
        "now": {"type": "float", "required": True},
    }
    module = AnsibleModule(argument_spec=spec, supports_check_mode=True)
    module.exit_json(
        changed=False,
        memory_mib=memory_mib(MEMORY.read_text()),
        cpus=len(os.sched_getaffinity(0)),
        free_mib=shutil.disk_usage(nearest(Path(module.params["path"]))).free // 2**20,
        ahead_seconds=round(time.time() - module.params["now"]),
    )


if __name__ == "__main__":
    main()
