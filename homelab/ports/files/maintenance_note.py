"""The note that a host is in maintenance mode because of us, as it is kept in `.homelab/maintenance/HOST`."""

import json
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class MaintenanceNote:
    """That a run put a host into maintenance mode: `since` by the host's clock, in the boot that began at `boot_time`.

    `phase` is "entering", then "rebooting" once the reboot that it is for begins, and "missing" when the host did not
    come back and was handed to a person.
    """

    run: str
    since: datetime
    boot_time: datetime
    phase: str = "entering"

    def text(self) -> str:
        """As it is kept: JSON."""
        fields = {"run": self.run, "since": self.since.isoformat(), "boot_time": self.boot_time.isoformat()}
        return json.dumps({**fields, "phase": self.phase}) + "\n"

    @classmethod
    def read(cls, text: str) -> "MaintenanceNote":
        """What `text` made; ValueError, KeyError or TypeError for anything else."""
        data = json.loads(text)
        since, boot_time = (datetime.fromisoformat(data[name]) for name in ("since", "boot_time"))
        if since.tzinfo is None or boot_time.tzinfo is None:
            raise ValueError("a time without its zone")
        return cls(str(data["run"]), since, boot_time, str(data["phase"]))
