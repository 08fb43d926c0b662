"""With this folder in PYTHONPATH Linux's Python says that it is a Mac's, and lacks what a Mac's has not.

What it cannot pretend: another kernel, /proc that is not there, macOS's own programs.
"""

import fcntl
import os
import platform
import sys
import sysconfig
import types

# They look at sys.platform once, for what only a Mac has.
sysconfig.get_config_vars()
platform.uname()
proxies = types.ModuleType("_scproxy")
proxies._get_proxy_settings = proxies._get_proxies = dict  # type: ignore[attr-defined]
sys.modules["_scproxy"] = proxies
import subprocess  # noqa: E402, F401 - how it starts a child is decided when it is loaded

sys.platform = "darwin"
fcntl.F_FULLFSYNC = 51  # type: ignore[attr-defined]
for name in (
    "POSIX_FADV_DONTNEED", "copy_file_range", "memfd_create", "pidfd_open", "pipe2", "posix_fadvise", "posix_fallocate",
    "sched_getaffinity", "setns", "splice", "unshare",
):  # fmt: skip
    if hasattr(os, name):
        delattr(os, name)
