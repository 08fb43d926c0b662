"""SSH that a run of ours switched on and was killed before it switched it off again: the next run does it."""

from dataclasses import dataclass

from homelab.ports.world import World
from homelab.step import Change


@dataclass(frozen=True)
class SwitchSshOff(Change):
    """Switch SSH off on one host, where an interrupted run left it on."""

    @property
    def sentence(self) -> str:
        """What will be done."""
        return f"switch SSH off on {self.target}"

    @property
    def reason(self) -> str:
        """Why."""
        return "an earlier run switched it on, and was interrupted before it switched it off"

    @property
    def before(self) -> str:
        """As found."""
        return "SSH on"

    @property
    def after(self) -> str:
        """As wanted."""
        return "SSH off, as that run found it"

    @property
    def undo(self) -> str:
        """How to go back."""
        return "switch SSH on in the host's web page (Actions, Services), or at its console (F2)"


def ssh_left_on(world: World, target: str) -> bool:
    """Whether SSH is on because of us, and is not wanted on with every start of the host either."""
    return world.ssh_left_on(target) and world.host(target).policies.get("TSM-SSH") != "on"
