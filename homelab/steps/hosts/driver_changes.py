"""What `driver-fix` changes, each with its sentence, its reason and the way back. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from homelab.engine.step import Change, Words
from homelab.ports.vsphere import NicLook
from homelab.steps.hosts.nic_drivers import RIGHT, WRONG, names


@dataclass(frozen=True)
class DisableModule(Change):
    """Disable the wrong driver for the next boot; the right one is enabled before, where it is not.

    `nics` are those in use that change their driver, or keep it only so; `unused` the ones that nothing uses, and that
    ne1000 holds as well.
    """

    nics: tuple[NicLook, ...]
    unused: tuple[NicLook, ...] = ()
    enable_first: bool = False
    disruptive = True

    @property
    def nic_names(self) -> str:
        """`vmnic0, vmnic1`."""
        return ", ".join(nic.name for nic in self.nics)

    def _words(self) -> Words:
        return Words(
            sentence=self._sentence,
            reason=self._reason,
            undo=(
                f"homelab driver-fix {self.target} --undo; at the console (Alt+F1): "
                f"esxcli system module set --enabled=true --module={WRONG}, then reboot"
            ),
            before=f"{WRONG} enabled",
            after=f"{WRONG} disabled",
        )

    @property
    def _sentence(self) -> str:
        first = f"enable the driver {RIGHT} and " if self.enable_first else ""
        return (
            f"{first}disable the driver {WRONG} on {self.target}, so that {RIGHT} takes {self.nic_names} at the next "
            "boot"
        )

    @property
    def _reason(self) -> str:
        wrong = [nic for nic in self.nics if nic.driver == WRONG]
        kept = [nic for nic in self.nics if nic.driver != WRONG]
        parts = [f"{names(wrong)} {_is(wrong)} held by {WRONG}, which hangs on this release"] if wrong else []
        if kept:
            parts.append(f"{names(kept)} {_is(kept)} held by {RIGHT} only until the boot option preferVmklinux is gone")
        if self.unused:
            parts.append(
                f"{names(self.unused)}, which no switch uses, {_is(self.unused)} held by {WRONG} too, and may be left "
                "without a driver"
            )
        return "; ".join(parts)


def _is(nics: Sequence[NicLook]) -> str:
    return "is" if len(nics) == 1 else "are"


@dataclass(frozen=True)
class EnableModule(Change):
    """Enable the driver again that the fix disabled (`--undo`); `nics` are the ones that it may take."""

    nics: tuple[str, ...]
    disruptive = True

    def _words(self) -> Words:
        return Words(
            sentence=self._sentence,
            reason="the driver fix is to be undone, as an upgrade to 7.0 or later needs it",
            undo=(
                f"homelab driver-fix {self.target}; without a network, at the console (Alt+F1): "
                f"esxcli system module set --enabled=false --module={WRONG}, then reboot"
            ),
            before=f"{WRONG} disabled",
            after=f"{WRONG} enabled",
        )

    @property
    def _sentence(self) -> str:
        taken = f"; it takes {', '.join(self.nics)} at the next boot" if self.nics else ""
        return f"enable the driver {WRONG} on {self.target} again{taken}"


@dataclass(frozen=True)
class ShutDownVm(Change):
    """Shut one running VM down in the guest's own way (`--force`), within `seconds`.

    `path` is the datastore path of its .vmx. `before_fix` is the change that it makes room for: its guards are asked
    before the VM goes off, not after.
    """

    vm: str
    path: str
    seconds: float
    before_fix: DisableModule | None = None
    disruptive = True

    def _words(self) -> Words:
        return Words(
            sentence=f"shut the VM {self.vm} down, because {self.target} has to reboot",
            reason=f"{self.vm} runs on {self.target}",
            undo=f"switch {self.vm} on again",
            before="running",
            after="off",
        )
