"""What `reboot` changes, and what a person does at the screen of a host that does not come back. Pure."""

from dataclasses import dataclass, field
from datetime import datetime

from homelab.engine.step import Change, Words
from homelab.steps.hosts.nic_drivers import RIGHT, WRONG


@dataclass(frozen=True)
class NicAfter:
    """What has to hold a NIC after a boot: any driver, but not `not_by`."""

    name: str
    not_by: str = ""

    def __str__(self) -> str:
        return f"{self.name} has a driver{f' other than {self.not_by}' if self.not_by else ''}"


@dataclass(frozen=True)
class RebootHost(Change):
    """Reboot one host, in maintenance mode, and wait `seconds` for it.

    `nics` are those of the management network; `boot_time` is the boot that has to end; `scratch` is the datastore and
    the folder that a boot has to find; `leaves_maintenance` is false when its owner had put it there;
    `ends_preference` takes the boot option preferVmklinux away first.
    """

    nics: tuple[NicAfter, ...]
    boot_time: datetime
    address: str
    seconds: float
    scratch: tuple[str, str] | None
    leaves_maintenance: bool
    ends_preference: bool
    because: tuple[str, ...] = field(compare=False)
    disruptive = True

    @property
    def expected(self) -> str:
        """What is waited for, of its NICs."""
        return ", ".join(map(str, self.nics)) or "a NIC is there"

    @property
    def drivers_change(self) -> bool:
        """Whether any of its NICs goes over to another driver with this boot."""
        return any(nic.not_by for nic in self.nics)

    def _words(self) -> Words:
        return Words(
            sentence=f"reboot {self.target} in maintenance mode, and wait until it answers again",
            reason="; ".join(self.because),
            undo=self._undo,
            before="what runs is not what is configured",
            after="what is configured runs",
        )

    @property
    def _undo(self) -> str:
        fix = f"; the driver fix can: homelab driver-fix {self.target} --undo" if self.drivers_change else ""
        return f"a reboot cannot be undone{fix}"


@dataclass(frozen=True)
class LeaveMaintenance(Change):
    """Take one host out of the maintenance mode that an interrupted run put it in."""

    def _words(self) -> Words:
        return Words(
            sentence=f"take {self.target} out of maintenance mode",
            reason="an earlier run put it there for its reboot, and was interrupted",
            undo="esxcli system maintenanceMode set --enable=true",
            before="in maintenance mode",
            after="in use",
        )


def console_steps(change: RebootHost) -> str:
    """What a person does at the screen of a host that did not come back."""
    head = (
        f"Go to {change.target} with a screen and a keyboard. 1: if it stands still, switch it off and on. "
        "2: if it shows no network, F2, log in as root, Troubleshooting Options, Enable ESXi Shell; then Alt+F1 and "
        "log in. 3: "
    )
    tail = "Then run the same command again; it goes on from there"
    unwanted = sorted({nic.not_by for nic in change.nics if nic.not_by})
    if not unwanted:
        return (
            f"{head}no driver was changed by this reboot: look at `esxcli network nic list`, at the cable and at the "
            f"switch. {tail}"
        )
    if unwanted == [RIGHT]:
        # The way back from --undo is the fix itself.
        commands, once = f"`esxcli system module set --enabled=false --module={WRONG}`", f"uses {RIGHT} once"
    else:
        commands = ", ".join(f"`esxcli system module set --enabled=true --module={name}`" for name in unwanted)
        once = f"makes it use {RIGHT}"
    option = f"4: or once, at boot, Shift+O and append preferVmklinux=TRUE, which {once}. " if WRONG in unwanted else ""
    return (
        f"{head}{commands} (`localcli` in place of `esxcli` if hostd is down), `/sbin/auto-backup.sh`, `reboot`. "
        f"{option}{tail}"
    )
