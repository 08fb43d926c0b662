"""Resource pools below the root: plain state. What they promise is kept and shown; nothing is scheduled by it."""

from dataclasses import dataclass, field

ROOT = "ha-root-pool"
SHARES = {"low": 2000, "normal": 4000, "high": 8000}


@dataclass
class Allocation:
    """What a pool gets of CPU (MHz) or memory (MiB); a limit of -1 is none."""

    reservation: int = 0
    expandable: bool = True
    limit: int = -1
    level: str = "normal"
    shares: int = 4000


@dataclass
class Pool:
    """One pool, by its parent's id."""

    name: str
    parent: str
    cpu: Allocation = field(default_factory=Allocation)
    memory: Allocation = field(default_factory=Allocation)
