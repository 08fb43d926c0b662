"""Which file something was read from, so that another one, or a changed one, is noticed."""

import os


def identity(found: os.stat_result) -> tuple[int, ...]:
    """Device, number, size and time of change."""
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
