"""SSH that a run of ours switched on and was killed before it switched it off again: the next run does it."""

from dataclasses import dataclass

from homelab.engine.step import Change, Words
from homelab.ports.world import World


@dataclass(frozen=True)
class SwitchSshOff(Change):
    """Switch SSH off on one host, where an interrupted run left it on."""

    def _words(self) -> Words:
        return Words(
            sentence=f"switch SSH off on {self.target}",
            reason="an earlier run switched it on, and was interrupted before it switched it off",
            undo="switch SSH on in the host's web page (Actions, Services), or at its console (F2)",
            before="SSH on",
            after="SSH off, as that run found it",
        )


def ssh_left_on(world: World, target: str) -> bool:
    """Whether SSH is on because of us, and is not wanted on with every start of the host either."""
    return world.reader(target).ssh_left_on() and world.host(target).policies.get("TSM-SSH") != "on"
