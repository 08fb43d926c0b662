"""Step `driver-fix`: takes the NIC away from ne1000, which hangs on ESXi 6.5 and 6.7, and gives it to e1000e.

Only 6.5 and 6.7 ship both drivers. From 7.0 on ne1000 is the only one: disabling it takes the host off the network.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from homelab.errors import Refused
from homelab.lab import Lab
from homelab.ports.esxi_shell import driver_map_names, keep_configuration, set_module_enabled
from homelab.ports.vsphere import HostLook, NicLook
from homelab.ports.vsphere.vms import shut_down_guest
from homelab.ports.world import World
from homelab.step import Change, Node, Planned, Step
from homelab.steps.host_state import RIGHT, WRONG, fixable, needs_fix

VIB = "net-e1000e"
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
        return (
            f"homelab driver-fix {self.target} --undo; at the console (Alt+F1): "
            f"esxcli system module set --enabled=true --module={WRONG}, then reboot"
        )


@dataclass(frozen=True)
class EnableModule(Change):
    """Enable the driver again that the fix disabled (`--undo`)."""

    nic: str
    disruptive = True

    @property
    def sentence(self) -> str:
        """What will be done."""
        return f"enable the driver {WRONG} on {self.target} again; it takes {self.nic} at the next boot"

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


class DriverFix(Step):
    """One node a host. `force` shuts running VMs down first and overrides no other guard; `undo` goes the way back."""

    name = "driver-fix"

    def __init__(self, *, force: bool = False, undo: bool = False) -> None:
        self.force, self.undo = force, undo

    def targets(self, lab: Lab) -> Sequence[str]:
        """Every ESXi host."""
        return [host.name for host in lab.esxi]

    def after(self, lab: Lab, target: str) -> Sequence[Node]:
        """The host has answered."""
        return [Node("boot-media", target)]

    def settled(self, lab: Lab, target: str) -> Sequence[Node]:
        """Logs have found their place before; it does not matter how that went."""
        return [Node("usb-housekeeping", target)]

    def observe(self, world: World, target: str) -> Drivers:
        """The host's look, and its packages when a fix is in question."""
        look = world.host(target)
        wanted = needs_fix(world.lab, target, look) and fixable(look) and not self.undo
        return Drivers(look, world.vibs(target) if wanted else ())

    def plan(self, lab: Lab, target: str, observed: Drivers) -> Sequence[Planned]:
        """The table of the documentation: fix, leave alone, or refuse."""
        look = observed.look
        if self.undo:
            return self._undo(lab, target, look)
        nic = needs_fix(lab, target, look)
        if nic is None:
            return []
        _check_drivers(target, look, nic, observed.vibs)
        enable_first = not look.modules[RIGHT].enabled
        fix = DisableModule(target, nic.name, nic.pci_id, nic.driver, enable_first)
        return [*self._shut_downs(target, look), fix]

    def _undo(self, lab: Lab, target: str, look: HostLook) -> Sequence[Planned]:
        wrong = look.modules.get(WRONG)
        if wrong is None or wrong.enabled:
            return []
        return [*self._shut_downs(target, look), EnableModule(target, lab.host(target).management_nic)]

    def _shut_downs(self, target: str, look: HostLook) -> list[ShutDownVm]:
        """The running VMs that go first; refused without `force`, which only a person can give."""
        running = [vm for vm in look.vms if vm.powered_on]
        if running and not self.force:
            raise Refused(
                f"VMs are running: {', '.join(vm.name for vm in running)}",
                where=target,
                advice="Shut them down or move them away first; homelab driver-fix --force shuts them down itself",
            )
        return [ShutDownVm(target, vm.name, vm.moid) for vm in running]

    def apply(self, world: World, change: DisableModule | EnableModule | ShutDownVm) -> None:
        """Set the module over SSH, read it back, keep the configuration."""
        if isinstance(change, ShutDownVm):
            _shut_down(world, change)
        elif isinstance(change, DisableModule):
            _disable(world, change)
        else:
            with world.shell(change.target) as shell:
                set_module_enabled(shell, WRONG, True)
                keep_configuration(shell)


def _check_drivers(target: str, look: HostLook, nic: NicLook, vibs: Sequence[str]) -> None:
    """Refuse whenever no driver would be left for the NIC; nobody can overrule that."""
    if not fixable(look):
        raise Refused(
            f"ESXi {look.version} has no other driver than {WRONG} for {nic.name}; disabling it would take the "
            "host off the network",
            where=target,
            advice="Leave this host as it is; the fix is for 6.5 and 6.7 only",
        )
    if VIB not in vibs:
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


def _disable(world: World, change: DisableModule) -> None:
    """The boot option preferVmklinux, where it is set, stays until the reboot: it is what gives the host a network."""
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
