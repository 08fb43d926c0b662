"""What `driver-fix` changes, each with its sentence, its reason and the way back. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from homelab.ports.vsphere import NicLook
from homelab.step import Change
from homelab.steps.nic_drivers import RIGHT, WRONG, names


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

    @property
    def sentence(self) -> str:
        """What will be done."""
        first = f"enable the driver {RIGHT} and " if self.enable_first else ""
        return (
            f"{first}disable the driver {WRONG} on {self.target}, so that {RIGHT} takes {self.nic_names} at the next "
            "boot"
        )

    @property
    def reason(self) -> str:
        """Why."""
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

    @property
    def before(self) -> str:
        """The setting as found."""
        return f"{WRONG} enabled"

    @property
    def after(self) -> str:
        """The setting as wanted."""
        return f"{WRONG} disabled"

    @property
    def undo(self) -> str:
        """How to go back, at the console if need be."""
        return (
            f"homelab driver-fix {self.target} --undo; at the console (Alt+F1): "
            f"esxcli system module set --enabled=true --module={WRONG}, then reboot"
        )


def _is(nics: Sequence[NicLook]) -> str:
    return "is" if len(nics) == 1 else "are"


@dataclass(frozen=True)
class EnableModule(Change):
    """Enable the driver again that the fix disabled (`--undo`); `nics` are the ones that it may take."""

    nics: tuple[str, ...]
    disruptive = True

    @property
    def sentence(self) -> str:
        """What will be done."""
        taken = f"; it takes {', '.join(self.nics)} at the next boot" if self.nics else ""
        return f"enable the driver {WRONG} on {self.target} again{taken}"

    @property
    def reason(self) -> str:
        """Why."""
        return "the driver fix is to be undone, as an upgrade to 7.0 or later needs it"

    @property
    def before(self) -> str:
        """The setting as found."""
        return f"{WRONG} disabled"

    @property
    def after(self) -> str:
        """The setting as wanted."""
        return f"{WRONG} enabled"

    @property
    def undo(self) -> str:
        """How to go back."""
        return (
            f"homelab driver-fix {self.target}; without a network, at the console (Alt+F1): "
            f"esxcli system module set --enabled=false --module={WRONG}, then reboot"
        )


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

    @property
    def sentence(self) -> str:
        """What will be done."""
        return f"shut the VM {self.vm} down, because {self.target} has to reboot"

    @property
    def reason(self) -> str:
        """Why."""
        return f"{self.vm} runs on {self.target}"

    @property
    def before(self) -> str:
        """As found."""
        return "running"

    @property
    def after(self) -> str:
        """As wanted."""
        return "off"

    @property
    def undo(self) -> str:
        """How to go back."""
        return f"switch {self.vm} on again"
