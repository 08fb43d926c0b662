"""What a command of the simulated shell is given, and what it answers."""

from dataclasses import dataclass

from homelab.rehearsal.host.host import Host


@dataclass(frozen=True)
class Call:
    """One command as the shell runs it: `argv[0]` is the name as it was typed."""

    host: Host
    argv: tuple[str, ...]
    stdin: str = ""

    @property
    def arguments(self) -> tuple[str, ...]:
        """All but the command's name."""
        return self.argv[1:]


@dataclass(frozen=True)
class Answer:
    """Standard output, standard error and the exit status."""

    out: str = ""
    err: str = ""
    status: int = 0
