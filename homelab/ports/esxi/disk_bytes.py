"""The bytes of a host's disk, read over SSH; nothing is written."""

from homelab.errors import HostFault
from homelab.formats.disk.disk_ends import AT_THE_END, dump_command, ends, parse_dump, parse_sum, sum_command, told
from homelab.ports.ssh import Shell


def read_ends(shell: Shell, path: str, size: int) -> str | None:
    """What a disk holds by its bytes; empty when its first and last megabyte are zero, None when nothing was read."""
    first, last = ends(size)
    for piece in (first, last):
        try:
            seen = parse_sum(shell.must(sum_command(path, piece)))
        except HostFault:
            return None
        if seen is None:
            return None
        if seen != piece.blank_sum:
            return AT_THE_END if piece is last else told(parse_dump(shell.run(dump_command(path)).stdout))
    return ""
