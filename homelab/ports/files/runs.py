"""What earlier runs left in `.homelab/logs/`, read again. Secrets were masked when it was written."""

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

EVENTS, LOG, TIMELINE = "events.jsonl", "run.log", "timeline.svg"
# Of a log that is shown: enough for the last lines, however long it is; and of events, far more than any run has.
TAIL_BYTES = 256 << 10
MOST_BYTES = 32 << 20


def last_run(home: Path) -> Path | None:
    """The folder of the last run that brought something about; looks alone leave no events."""
    return next(iter(earlier_runs(home, 1)), None)


def earlier_runs(home: Path, most: int, but: str = "") -> list[Path]:
    """The folders of the last runs that brought something about, the newest first; `but` for one of that name."""
    # The names are times.
    found = {path.parent for path in (home / "logs").glob(f"*/{EVENTS}")}
    return sorted((path for path in found if path.name != but), reverse=True)[:most]


def events_of(folder: Path) -> list[dict[str, Any]]:
    """The events of a run, as far as they can be read; a log may have been cut off, or be gone."""
    found = []
    for line in _end_of(folder / EVENTS, MOST_BYTES).splitlines():
        with suppress(ValueError):
            event = json.loads(line)
            if isinstance(event, dict):
                found.append(event)
    return found


def last_lines(folder: Path, count: int) -> list[str]:
    """The last lines of a run's log."""
    return _end_of(folder / LOG, TAIL_BYTES).splitlines()[-count:]


def _end_of(path: Path, most: int) -> str:
    """The end of a file, from the beginning of a line on; empty where there is none."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - most))
            data = file.read()
    except OSError:
        return ""
    text = data.decode(errors="replace")
    return text.partition("\n")[2] if size > most else text
