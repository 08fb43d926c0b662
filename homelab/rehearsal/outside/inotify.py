"""How many inotify instances one user may have: systemd, kubelets and API servers of all guests share root's 128."""

from collections.abc import Callable
from pathlib import Path

LIMIT = Path("/proc/sys/fs/inotify/max_user_instances")
# Six guests with a cluster of four nodes hold about 110; 512 is what kind advises for several nodes on one machine.
ENOUGH = 512


def allow_many(report: Callable[[str], None], limit: Path = LIMIT) -> None:
    """Raise the machine's limit where it is lower than a cluster needs, and say so: programs fail in odd ways else."""
    name = "fs.inotify.max_user_instances"
    try:
        found = int(limit.read_text())
        if found >= ENOUGH:
            return
        limit.write_text(f"{ENOUGH}\n")
    except (OSError, ValueError) as error:
        report(f"{name} cannot be raised to {ENOUGH} ({error}); guests may fail with 'too many open files'")
        return
    report(f"raised {name} from {found} to {ENOUGH} until the next boot; back: sysctl -w {name}={found}")
