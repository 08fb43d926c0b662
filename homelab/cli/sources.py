"""Which inventories are meant when none is named. Light: completion loads it."""

import os
from collections.abc import Sequence
from pathlib import Path


def inventories(named: Sequence[str]) -> tuple[Path, ...]:
    """The named sources, else HOMELAB_INVENTORY, else ./inventory."""
    listed = [name for name in os.environ.get("HOMELAB_INVENTORY", "").split(",") if name]
    return tuple(Path(name) for name in named or listed or ["inventory"])
