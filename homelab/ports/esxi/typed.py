"""Long commands in a host's shell."""

from dataclasses import dataclass
from threading import Event

from homelab.errors import HostFault
from homelab.ports.ssh import SHOWN, Output, Shell, Watch
from homelab.ports.vsphere.tasks import Progress


@dataclass(frozen=True)
class Typed:
    """Long commands that write: their progress is told, and an interruption gives them a moment to end."""

    shell: Shell
    stop: Event

    def run(self, argv: list[str], seconds: float, progress: Progress) -> Output:
        """What one printed, however it ended."""
        return self.shell.run(argv, writes=True, seconds=seconds, watch=Watch(progress, self.stop))

    def must(self, argv: list[str], seconds: float, progress: Progress) -> str:
        """What one printed that has to succeed."""
        return self.shell.must(argv, writes=True, seconds=seconds, watch=Watch(progress, self.stop))

    def refused(self, what: str, output: Output) -> HostFault:
        """One that did not do what it should, in the host's words."""
        said = " ".join((output.stderr.strip() or output.stdout.strip() or "nothing").split())
        return HostFault(
            f"{what}; the host said: {said[:SHOWN]}",
            where=self.shell.login.where,
            advice="These are the host's own words. Run again; if it stays so, see /var/log/hostd.log there",
        )
