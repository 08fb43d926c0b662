"""Step `driver-fix`: takes the NIC away from ne1000, which hangs on ESXi 6.5 and 6.7, and gives it to e1000e.

Only 6.5 and 6.7 ship both drivers. From 7.0 on ne1000 is the only one: disabling it takes the host off the network.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from homelab.errors import Refused
from homelab.lab import Lab
from homelab.ports.esxi_shell import (
    driver_map_names,
    keep_configuration,
    kernel_setting,
    set_kernel_setting,
    set_module_enabled,
)
from homelab.ports.vsphere import HostLook, NicLook
from homelab.ports.vsphere.vms import shut_down_guest
from homelab.ports.world import World
from homelab.step import Change, Node, Planned, Step

WRONG, RIGHT, VIB = "ne1000", "e1000e", "net-e1000e"
FIXABLE = ("6.5.", "6.7.")
SHUT_DOWN_SECONDS = 300


@dataclass(frozen=True)
class DisableModule(Change):
    """Disable the wrong driver for the next boot; the right one is enabled before, where it is not."""

    nic: str
    pci_id: str
    held_by: str
    enable_first: bool = False
    disruptive = True

    @property
    def sentence(self) -> str:
        """What will be done."""
        first = f"enable the driver {RIGHT} and " if self.enable_first else ""
        return f"{first}disable the driver {WRONG} on {self.target}, so that {RIGHT} takes {self.nic} at the next boot"

    @property
    def reason(self) -> str:
        """Why."""
        if self.held_by == WRONG:
            return f"{self.nic} ({self.pci_id}) is held by {WRONG}, which hangs on this release"
        return f"{self.nic} ({self.pci_id}) is held by {self.held_by} only until the boot option preferVmklinux is gone"

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
        return f"esxcli system module set --enabled=true --module={WRONG}, then reboot (at the console: Alt+F1)"


@dataclass(frozen=True)
class ShutDownVm(Change):
    """Shut one running VM down in the guest's own way (`--force`)."""

    vm: str
    moid: str
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


@dataclass(frozen=True)
class Drivers:
    """What the step sees: the host, and its packages when a fix is in question."""

    look: HostLook
    vibs: tuple[str, ...]


def needs_fix(lab: Lab, target: str, look: HostLook) -> NicLook | None:
    """The management NIC, when ne1000 is enabled there and ought not to be; None when the host stays as it is."""
    host = lab.host(target)
    if host.disabled_modules is not None and WRONG not in host.disabled_modules:
        return None
    nic = look.nic(host.management_nic)
    wrong = look.modules.get(WRONG)
    if nic is None or nic.driver not in (WRONG, RIGHT) or wrong is None or not wrong.enabled:
        return None
    return nic


class DriverFix(Step):
    """One node a host. `force` shuts running VMs down first; it overrides no other guard."""

    name = "driver-fix"

    def __init__(self, force: bool = False) -> None:
        self.force = force

    def targets(self, lab: Lab) -> Sequence[str]:
        """Every ESXi host."""
        return [host.name for host in lab.esxi]

    def settled(self, lab: Lab, target: str) -> Sequence[Node]:
        """The mount comes first; it does not matter how it went."""
        return [Node("nfs-datastore", target)]

    def observe(self, world: World, target: str) -> Drivers:
        """The host's look, and its packages when a fix is in question."""
        look = world.host(target)
        wanted = needs_fix(world.lab, target, look) and look.version.startswith(FIXABLE)
        return Drivers(look, world.vibs(target) if wanted else ())

    def plan(self, lab: Lab, target: str, observed: Drivers) -> Sequence[Planned]:
        """The table of the documentation: fix, leave alone, or refuse."""
        look = observed.look
        nic = needs_fix(lab, target, look)
        if nic is None:
            return []
        if not look.version.startswith(FIXABLE):
            raise Refused(
                f"ESXi {look.version} has no other driver than {WRONG} for {nic.name}; disabling it would take the "
                "host off the network",
                where=target,
                advice="Leave this host as it is; the fix is for 6.5 and 6.7 only",
            )
        if VIB not in observed.vibs:
            raise Refused(
                f"the package {VIB} is not installed, so no driver would be left for {nic.name}",
                where=target,
                advice=f"Install {VIB} for ESXi {look.version} first, then run again",
            )
        if RIGHT not in look.modules:
            raise Refused(
                f"the module {RIGHT} is not there, so no driver would be left for {nic.name}",
                where=target,
                advice=f"Install {VIB} for ESXi {look.version} again, then run again",
            )
        running = [vm for vm in look.vms if vm.powered_on]
        if running and not self.force:
            raise Refused(
                f"VMs are running: {', '.join(vm.name for vm in running)}",
                where=target,
                advice="Shut them down or move them away first; homelab driver-fix --force shuts them down itself",
            )
        shut_downs = [ShutDownVm(target, vm.name, vm.moid) for vm in running]
        enable_first = not look.modules[RIGHT].enabled
        return [*shut_downs, DisableModule(target, nic.name, nic.pci_id, nic.driver, enable_first)]

    def apply(self, world: World, change: DisableModule | ShutDownVm) -> None:
        """Disable the module over SSH, read it back, keep the configuration."""
        if isinstance(change, ShutDownVm):
            _shut_down(world, change)
        else:
            _disable(world, change)


def _disable(world: World, change: DisableModule) -> None:
    with world.shell(change.target) as shell:
        if not driver_map_names(shell, RIGHT, change.pci_id):
            raise Refused(
                f"the driver map of {RIGHT} does not name {change.pci_id}, so no driver would be left for {change.nic}",
                where=change.target,
                advice=f"Look at /etc/vmware/driver.map.d/{RIGHT}.map on the host; nothing was changed",
            )
        if change.enable_first:
            set_module_enabled(shell, RIGHT, True)
        set_module_enabled(shell, WRONG, False)
        # Left on, preferVmklinux would prefer legacy drivers for every device (esxi-facts, the driver fix).
        if kernel_setting(shell, "preferVmklinux") == "true":
            set_kernel_setting(shell, "preferVmklinux", "FALSE")
        keep_configuration(shell)


def _shut_down(world: World, change: ShutDownVm) -> None:
    with world.session(change.target) as session:
        shut_down_guest(session, change.moid)

    def still_on() -> str | None:
        world.forget(change.target)
        on = any(vm.moid == change.moid and vm.powered_on for vm in world.host(change.target).vms)
        return "still running" if on else None

    world.wait(
        f"{change.vm} is off",
        still_on,
        seconds=SHUT_DOWN_SECONDS,
        where=change.target,
        advice="Shut it down by hand, then run again; nothing else was changed",
    )
