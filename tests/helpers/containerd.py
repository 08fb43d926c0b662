"""A real containerd of Debian, in the rehearsal's cached root, with nothing of this machine but its kernel."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

CAN_RUN = os.geteuid() == 0 and all(shutil.which(name) for name in ("unshare", "mount", "mmdebstrap"))
# All of it is gone with the namespaces; `native` needs no overlay on an overlay.
INSIDE = """\
set -e
mount -t tmpfs tmpfs "$WORK" && mkdir "$WORK/upper" "$WORK/work" "$WORK/root"
mount -t overlay overlay -o "lowerdir=$ROOT,upperdir=$WORK/upper,workdir=$WORK/work" "$WORK/root"
cd "$WORK/root" && mkdir -p var/lib/containerd given
mount -t proc proc proc && mount --rbind /sys sys && mount --rbind /dev dev
mount -t tmpfs tmpfs run && mount -t tmpfs tmpfs var/lib/containerd && mount --bind "$GIVEN" given
exec chroot . sh -ec '
    containerd >/tmp/log 2>&1 &
    until ctr version >/dev/null 2>&1; do kill -0 $!; sleep 0.1; done
    "$@"
' sh "$@"
"""


def with_containerd(root: Path, given: Path, work: Path, argv: Sequence[str]) -> str:
    """What a program says that runs beside containerd; the folder `given` lies at /given. It must end with 0."""
    command = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "sh", "-c", INSIDE, "sh", *argv]
    environment = os.environ | {"ROOT": str(root), "GIVEN": str(given), "WORK": str(work)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout
