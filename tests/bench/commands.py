"""What commands cost a person who waits for them, beside a floor of the same run: `make bench-quick`.

The sample lab with simulated hosts is served; every command is a process in it. `network` is the time from a command's
first question to the end of its last one, by its own record: what is asked for, whoever asks. The rest is ours. Reading
the inventory is Ansible's, so `ansible-inventory --list` stands beside it. Each is begun by `homelab rehearsal enter`:
what that costs is most of the first row.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from tests.helpers.served import Lab, served

FLOORS = {
    "python -c pass": ("python", "-c", "pass"),
    "ansible-inventory --list": ("ansible-inventory", "--list"),
}
# As a person types them; each finds what the one before it left.
COMMANDS = (
    ("--version",),
    ("status",),
    ("plan",),
    ("doctor",),
    ("--yes", "vm", "create", "cp1"),
    ("vm", "list"),
    ("--yes", "vm", "destroy", "cp1"),
)
ALLOWED = (0, 1, 3)  # doctor tells that something is not fine, plan that there is work


@dataclass(frozen=True)
class Cost:
    """Seconds of one process, those of its network, and how many calls it made."""

    seconds: float
    network: float = 0.0
    calls: int = 0


def timed(act: Callable[[], "subprocess.CompletedProcess[str]"]) -> float:
    """Seconds of a process; SystemExit with what it said when it failed."""
    began = time.perf_counter()
    done = act()
    seconds = time.perf_counter() - began
    if done.returncode not in ALLOWED:
        raise SystemExit(f"{done.args} ended with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return seconds


def records(lab: Lab) -> set[Path]:
    """The record of every run that had one."""
    return set((lab.overlay.parent / "logs").glob("*/record.jsonl"))


def network(record: Path) -> tuple[float, int]:
    """From the first question to the end of the last one, and how many there were."""
    rows = [row for row in map(json.loads, record.read_text().splitlines()) if "what" in row]
    times = [(datetime.fromisoformat(row["at"]).timestamp(), row["seconds"]) for row in rows]
    if not times:
        return 0.0, 0
    return max(at + seconds for at, seconds in times) - min(at for at, _ in times), len(times)


def cost(lab: Lab, argv: Sequence[str]) -> Cost:
    """Of one command in the lab."""
    before = records(lab)
    seconds = timed(lambda: lab.enter("homelab", *argv))
    found = [network(record) for record in records(lab) - before]
    return Cost(seconds, sum(one for one, _ in found), sum(calls for _, calls in found))


def rounds(lab: Lab, number: int) -> Iterator[tuple[str, Cost]]:
    """Floors and commands in turns, so that a machine that is busy for a while is so for all of them."""
    for _ in range(number):
        for name, argv in FLOORS.items():
            yield name, Cost(timed(lambda argv=argv: lab.enter(*argv)))  # type: ignore[misc]
        for words in COMMANDS:
            yield f"homelab {' '.join(words)}", cost(lab, words)


def table(costs: dict[str, list[Cost]]) -> str:
    """Medians, and how far the rounds lie apart."""
    lines = [f"{'':<34} {'median':>7} {'network':>8} {'the rest':>9} {'calls':>6}  best to worst"]
    for name, found in costs.items():
        middle = statistics.median(one.seconds for one in found)
        asked = statistics.median(one.network for one in found)
        rest = statistics.median(one.seconds - one.network for one in found)
        spread = f"{min(one.seconds for one in found):.2f} to {max(one.seconds for one in found):.2f} s"
        calls = statistics.median(one.calls for one in found)
        lines.append(f"{name:<34} {middle:>5.2f} s {asked:>6.2f} s {rest:>7.2f} s {calls:>6.0f}  {spread}")
    return "\n".join(lines)


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="bench-quick", description="What commands cost, beside a floor.")
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    costs: dict[str, list[Cost]] = {}
    folder = tempfile.TemporaryDirectory(prefix="homelab-bench-")
    with folder, served(Path(folder.name) / "lab", "--guests", "none") as lab:
        timed(lambda: lab.enter("homelab", "--yes", "bootstrap", "--until", "image"))
        for name, one in rounds(lab, asked.rounds):
            costs.setdefault(name, []).append(one)
    sys.stdout.write(f"{table(costs)}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
