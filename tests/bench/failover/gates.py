"""What each of our kinds must reach. One table; a gate that is missed ends the bench with 1."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tests.bench.failover.measures import NEVER, Cell

Cells = Mapping[tuple[str, str], Cell]


@dataclass(frozen=True)
class Gate:
    """The median of a figure is `least` to `most`, where that is said; so is each run's, up to `worst`.

    `never` asks that the figure is never to be had, in no run.
    """

    figure: str
    most: float = NEVER
    worst: float = NEVER
    least: float = 0.0
    never: bool = False

    def missed(self, cell: Cell) -> str | None:
        """What is wrong, in words, or None."""
        median, worst = cell.median(self.figure), cell.worst(self.figure)
        if self.never:
            had = any(getattr(run, self.figure) is not None for run in cell.runs)
            return f"{WORDS[self.figure]}: must never be" if had else None
        if (NEVER if median is None else median) > self.most or (median or 0.0) < self.least:
            return f"{WORDS[self.figure]}: {_number(median)}, must be {self.bounds()}"
        if (NEVER if worst is None else worst) > self.worst:
            return f"{WORDS[self.figure]}, worst run: {_number(worst)}, must be at most {self.worst:g}"
        return None

    def bounds(self) -> str:
        """In words."""
        if self.never:
            return "never"
        most = f"at most {self.most:g}" if self.most != NEVER else ""
        least = f"at least {self.least:g}" if self.least else ""
        worst = f"worst run {self.worst:g}" if self.worst != NEVER else ""
        return ", ".join(text for text in (least, most, worst) if text)


WORDS = {
    "lost": "requests lost",
    "down": "seconds until it is taken for down",
    "watch_gap": "longest watch gap, s",
    "gap": "longest time without an answer, s",
    "last": "seconds until nothing is lost any more",
    "up": "seconds until the first answer",
    "silent": "seconds that a silent watch lived",
    "light": "share of the server with weight 10 of 100",
}

# What holds for each kind. A second without an answer is one with 25 requests in it.
ALL_KINDS = {
    "stall": (Gate("down", never=True),),
    "balancer-killed": (Gate("gap", most=1.0),),
    "balancer-stopped": (Gate("gap", most=2.0, worst=2.5),),
    "balancer-off": (Gate("gap", most=1.0),),
    "all-down": (Gate("up", most=3.0),),
    "silence": (Gate("silent", least=65.0),),
    "weighted": (Gate("light", least=0.08, most=0.12),),
}
GATES: Mapping[str, Mapping[str, tuple[Gate, ...]]] = {
    "haproxy": {
        "kill": (Gate("lost", most=0, worst=0),),
        "restart": (Gate("lost", most=0, worst=0),),
        "hang": (Gate("lost", most=2), Gate("watch_gap", most=6.0)),
        "off": (Gate("lost", most=2), Gate("watch_gap", most=6.0)),
        "unready": (Gate("lost", most=17),),
        "graceful": (Gate("lost", most=0),),
        "reload": (Gate("lost", most=0),),
        **ALL_KINDS,
    },
    "nginx": {
        "kill": (Gate("lost", most=2),),
        "hang": (Gate("lost", most=30), Gate("watch_gap", most=10.0), Gate("down", most=4.0)),
        "off": (Gate("lost", most=30), Gate("watch_gap", most=10.0), Gate("down", most=4.0)),
        "unready": (Gate("lost", most=30), Gate("down", most=2.0)),
        "graceful": (Gate("lost", most=2),),
        "reload": (Gate("lost", most=2),),
        **ALL_KINDS,
    },
    "nftables": {
        "kill": (Gate("lost", most=10), Gate("last", most=1.0)),
        "hang": (Gate("lost", most=35), Gate("watch_gap", most=6.0), Gate("down", most=4.0)),
        "off": (Gate("lost", most=35), Gate("watch_gap", most=6.0), Gate("down", most=4.0)),
        "unready": (Gate("lost", most=20), Gate("down", most=2.0)),
        "graceful": (Gate("lost", most=10),),
        "reload": (Gate("lost", most=0),),
        **ALL_KINDS,
    },
}


@dataclass(frozen=True)
class Verdict:
    """One gate of one configuration; `wrong` is None when it is met."""

    configuration: str
    fault: str
    gate: Gate
    wrong: str | None


def verdicts(cells: Cells, kinds: Mapping[str, str]) -> Iterator[Verdict]:
    """Every gate of what was run; `kinds` is each configuration's row of gates."""
    for (configuration, fault), cell in cells.items():
        for gate in GATES.get(kinds.get(configuration, ""), {}).get(fault, ()):
            yield Verdict(configuration, fault, gate, gate.missed(cell))


def _number(value: float | None) -> str:
    return "never" if value is None else f"{value:.3g}"
