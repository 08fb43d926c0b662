"""Rounds of bad days on the sample lab with simulated hosts, for as long as one likes: `make soak`.

In each round something befalls a host or the NAS while bootstrap works, or bootstrap is killed. Then the fault ends,
and the next bootstrap has to complete everything, the one after it to change nothing; so too once VMs were destroyed.
No command may end in a traceback, and the lab's process may not grow without end. What is chosen follows from the seed.
"""

import argparse
import random
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.helpers.served import HOMELAB, Lab, served, summary

HOSTS = ("brix1", "brix2", "brix3", "brix4")
VMS = ("cp1", "cp2", "cp3", "lb1", "lb2")
# Those after which a person has nothing to do but to end them.
FAULTS = (
    *("api-mute", "api-slow", "clock-skew", "connection-reset", "datastore-full", "lease-dies", "nas-read-only"),
    *("nas-refuses", "nas-vanishes", "power-on-refused", "task-fails", "upload-cut"),
)
OF_THE_NAS = ("datastore-full", "nas-vanishes")
# As far as it goes without guests.
BOOTSTRAP = ("--yes", "bootstrap", "--until", "vm")
KILLED = "killed"
MOST_WRITES, KILLED_STATUS = 12, 137
# When a bootstrap is killed, as shares of how long one works.
EARLIEST, LATEST = 0.3, 0.9
WARM_ROUNDS, MOST_GROWTH_MIB = 5, 64


@dataclass
class Soak:
    """One lab and what was seen of it."""

    lab: Lab
    chance: random.Random
    sizes: list[float] = field(default_factory=list)
    work_seconds: float = 0.0

    def run(self, *argv: str, allowed: tuple[int, ...] = (0,)) -> "subprocess.CompletedProcess[str]":
        """A command in the lab; SystemExit with what it said when it ended in another way."""
        return self.checked(self.lab.enter("homelab", *argv, timeout=600), allowed)

    def checked(
        self, done: "subprocess.CompletedProcess[str]", allowed: tuple[int, ...]
    ) -> "subprocess.CompletedProcess[str]":
        """What a command said, when it ended as it may."""
        if done.returncode not in allowed or "Traceback (most recent call last)" in done.stdout + done.stderr:
            raise SystemExit(f"{done.args} ended with {done.returncode}:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
        return done

    def fault(self, *argv: str) -> None:
        """Order or end faults."""
        command = [*HOMELAB, "rehearsal", "fault", *argv]
        self.checked(subprocess.run(command, cwd=self.lab.folder, capture_output=True, text=True, check=False), (0,))

    def round(self) -> str:
        """One bad day; what it was."""
        happened = self.misfortune()
        self.fault("--clear")
        self.completed()
        gone = self.chance.sample(VMS, self.chance.randint(1, len(VMS)))
        self.run("--yes", "vm", "destroy", *gone)
        self.completed()
        self.sizes.append(self.size_mib())
        return f"{happened}; {', '.join(sorted(gone))} destroyed and back"

    def completed(self) -> None:
        """A bootstrap that does everything; another one finds nothing to do."""
        self.run(*BOOTSTRAP)
        again = self.run("-o", "json", *BOOTSTRAP)
        if summary(again.stdout)["changed"]:
            raise SystemExit(f"a second bootstrap changed something:\n{again.stdout[-3000:]}")

    def lose(self) -> None:
        """Two VMs, so that a bootstrap has something to do."""
        self.run("--yes", "vm", "destroy", *self.chance.sample(VMS, 2))

    def begin(self) -> None:
        """Everything is there, and it is known how long a bootstrap works."""
        self.run(*BOOTSTRAP)
        self.lose()
        began = time.monotonic()
        self.run(*BOOTSTRAP)
        self.work_seconds = time.monotonic() - began

    def misfortune(self) -> str:
        """A bootstrap that something happens to."""
        self.lose()
        what = self.chance.choice((*FAULTS, KILLED, KILLED))
        if what == KILLED:
            seconds = self.work_seconds * self.chance.uniform(EARLIEST, LATEST)
            # The one who kills is inside: whoever enters a lab only waits there for the program.
            words = ("timeout", "--signal=KILL", f"{seconds:.1f}", "homelab", *BOOTSTRAP)
            ended = self.checked(self.lab.enter(*words), (0, KILLED_STATUS)).returncode
            return f"bootstrap killed after {seconds:.1f} s" if ended else f"bootstrap done within {seconds:.1f} s"
        at = "" if what in OF_THE_NAS else f"@{self.chance.choice(HOSTS)}"
        ordered = f"{what}{at}:{self.chance.randint(1, MOST_WRITES)}"
        self.fault(ordered)
        ended = self.run(*BOOTSTRAP, allowed=(0, 1)).returncode
        return f"{ordered}, bootstrap ended with {ended}"

    def size_mib(self) -> float:
        """The memory of the lab's process and of those below it."""
        return sum(resident_mib(pid) for pid in family(self.lab.process.pid))

    def grown_mib(self) -> float:
        """How much it grew since it was warm."""
        warm = self.sizes[WARM_ROUNDS:] or [0.0]
        return max(warm) - warm[0]


def family(pid: int) -> list[int]:
    """A process and all below it."""
    children = {int(path.name): path / "stat" for path in Path("/proc").glob("[0-9]*")}
    parents: dict[int, int] = {}
    for number, stat in children.items():
        try:
            parents[number] = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    found = [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found


def resident_mib(pid: int) -> float:
    """A process's own memory; 0 when it is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("RssAnon:")), 0.0)


def main() -> int:
    """Until time is up."""
    parser = argparse.ArgumentParser(prog="soak", description="Rounds of bad days on a simulated lab.")
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    began, number = time.monotonic(), 0
    folder = tempfile.TemporaryDirectory(prefix="homelab-soak-")
    with folder, served(Path(folder.name) / "lab", "--guests", "none") as lab:
        soak = Soak(lab, random.Random(asked.seed))
        soak.begin()
        while number == 0 or time.monotonic() - began < asked.minutes * 60:
            number += 1
            told = soak.round()
            minutes = (time.monotonic() - began) / 60
            sys.stdout.write(f"{number}, {minutes:.1f} min, {soak.sizes[-1]:.0f} MiB: {told}\n")
            sys.stdout.flush()
        grown = soak.grown_mib()
    sys.stdout.write(f"{number} rounds with seed {asked.seed}; the lab grew by {grown:.0f} MiB once it was warm\n")
    if grown > MOST_GROWTH_MIB:
        sys.stderr.write(f"the lab's process may grow by {MOST_GROWTH_MIB} MiB\n")
    return int(grown > MOST_GROWTH_MIB)


if __name__ == "__main__":
    raise SystemExit(main())
