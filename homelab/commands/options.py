"""What every command takes; apart, so that a command loads no more than it needs."""

from dataclasses import dataclass
from pathlib import Path

from homelab.output.ui import Ui


@dataclass(frozen=True)
class Options:
    """The global options of one command."""

    inventories: tuple[Path, ...]
    limit: str | None
    yes: bool
    ui: Ui
