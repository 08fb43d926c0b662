"""The mark that a stick carries in its first sector while it is written, so that half a stick never looks whole. Pure.

A sector with this mark has no boot signature: no firmware starts it. Last of all the image's own first sector takes
its place.
"""

import json
from dataclasses import asdict, dataclass

SECTOR = 512
MAGIC = b"HOMELAB STICK BEING WRITTEN\n"


@dataclass(frozen=True)
class Marker:
    """A write that is going on, or was cut off: of `size` bytes, `done` are on the medium. `began` is RFC 3339.

    `fault` is a clause when what was read back differs.
    """

    image: str
    size: int
    done: int
    began: str
    fault: str = ""

    def sector(self) -> bytes:
        """The sector to be laid down."""
        fields = {**asdict(self), "image": self.image[-100:]}
        return (MAGIC + json.dumps(fields).encode() + b"\n").ljust(SECTOR, b"\0")

    def __str__(self) -> str:
        if self.fault:
            return f"a write of {self.image}, begun {self.began}, failed: {self.fault}"
        percent = min(99, 100 * self.done // max(1, self.size))
        return f"a write of {self.image}, begun {self.began}, was cut off at {percent} %"


def read_marker(sector: bytes) -> Marker | None:
    """The mark of a medium's first sector; None when it carries none."""
    if not sector.startswith(MAGIC):
        return None
    try:
        fields = json.loads(sector[len(MAGIC) :].partition(b"\n")[0])
        words = [str(fields[name]) for name in ("image", "began", "fault")]
        return Marker(words[0], int(fields["size"]), int(fields["done"]), words[1], words[2])
    except (ValueError, KeyError, TypeError):
        return Marker("an unknown image", 0, 0, "at an unknown time")
