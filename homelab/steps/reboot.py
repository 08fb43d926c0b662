"""Step `reboot`: a host whose configuration differs from what runs is rebooted once, and seen to be really back."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from homelab.errors import HomelabError, LoginRefused, Refused
from homelab.lab import Lab
from homelab.ports.vsphere import HostLook
from homelab.ports.vsphere.hosts import reboot
from homelab.ports.world import World
from homelab.step import Blocked, Change, Node, Planned, Step
from homelab.steps.driver_fix import RIGHT, WRONG, needs_fix


@dataclass(frozen=True)
class RebootHost(Change):
    """Reboot one host. `module` runs though it is disabled; `boot_time` is the boot that has to end."""

    module: str
    nic: str
    boot_time: datetime
    disruptive = True

    @property
    def sentence(self) -> str:
        """What will be done."""
        return f"reboot {self.target} and wait until it answers again"

    @property
    def reason(self) -> str:
        """Why."""
        return f"{self.module} is disabled and still runs"

    @property
    def before(self) -> str:
        """As found."""
        return f"{self.module} loaded"

    @property
    def after(self) -> str:
        """As wanted."""
        return f"{self.module} not loaded"

    @property
    def undo(self) -> str:
        """How to go back."""
        return f"esxcli system module set --enabled=true --module={self.module}, then reboot again"


class Reboot(Step):
    """One node a host."""

    name = "reboot"

    def targets(self, lab: Lab) -> Sequence[str]:
        """Every ESXi host."""
        return [host.name for host in lab.esxi]

    def after(self, lab: Lab, target: str) -> Sequence[Node]:
        """All that configures the host comes first."""
        return [Node("driver-fix", target)]

    def observe(self, world: World, target: str) -> HostLook:
        """The host's look."""
        return world.host(target)

    def plan(self, lab: Lab, target: str, observed: HostLook) -> Sequence[Planned]:
        """Reboot when a disabled module still runs; refuse while VMs run."""
        if needs_fix(lab, target, observed):
            return [Blocked(target, f"driver-fix has disabled {WRONG} on {target}")]
        module = observed.modules.get(WRONG)
        if module is None or not module.loaded or module.enabled:
            return []
        running = [vm.name for vm in observed.vms if vm.powered_on]
        if running:
            raise Refused(
                f"{target} has to reboot, and VMs are running: {', '.join(running)}",
                where=target,
                advice="Shut them down or move them away, then run again; homelab driver-fix --force does it itself",
            )
        return [RebootHost(target, WRONG, lab.host(target).management_nic, observed.boot_time)]

    def apply(self, world: World, change: RebootHost) -> None:
        """Reboot over the API, which keeps the configuration, and wait for a new boot time and a new driver."""
        with world.session(change.target) as session:
            reboot(session)
        host = world.lab.host(change.target)
        world.wait(
            f"{change.target} answers after its reboot, and {change.nic} is not held by {change.module}",
            lambda: _not_back(world, change),
            seconds=host.reboot_timeout,
            where=f"{change.target} ({host.address})",
            advice=(
                f"Look at its screen. If it stands still, switch it off and on. With no network: Alt+F1, log in, "
                f"`esxcli system module set --enabled=true --module={WRONG}` (`localcli` if hostd is down), `reboot`; "
                f"or once, at boot, Shift+O and preferVmklinux=TRUE, which makes it use {RIGHT}"
            ),
        )


def _not_back(world: World, change: RebootHost) -> str | None:
    world.forget(change.target)
    try:
        look = world.host(change.target)
    except LoginRefused:
        raise  # never tried twice
    except HomelabError as error:
        return error.what  # a host that is starting is silent, or answers with faults of many kinds
    if look.boot_time == change.boot_time:
        return f"still up since {look.boot_time:%H:%M:%S} UTC"
    nic = look.nic(change.nic)
    if nic is None or nic.driver == change.module:
        return f"back, and {change.nic} is held by {nic.driver if nic else 'nothing'}"
    return None
