"""Step `driver-fix`: takes the NICs away from ne1000, which hangs on ESXi 6.5 and 6.7, and gives them to e1000e.

Only 6.5 and 6.7 ship both drivers. From 7.0 on ne1000 is the only one: disabling it takes the host off the network.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from homelab.engine.step import Node, Planned, Step
from homelab.errors import HostFault, Refused
from homelab.lab import Lab
from homelab.ports.esxi.shell import BootLook, keep_configuration, look_at_boot, set_module_enabled
from homelab.ports.ssh import Shell
from homelab.ports.vsphere import HostLook
from homelab.ports.world import World
from homelab.steps.hosts.driver_changes import DisableModule, EnableModule, ShutDownVm
from homelab.steps.hosts.driver_guards import check_claims, check_drivers, check_medium, remarks
from homelab.steps.hosts.host_state import row_of
from homelab.steps.hosts.nic_drivers import RIGHT, WRONG, fixable, needs_fix, to_undo, unused_of_wrong

SHUT_DOWN_SECONDS = 300


@dataclass(frozen=True)
class DriverFixState:
    """What the step sees: the host; its packages when a fix is in question; its maps and medium where SSH runs then."""

    look: HostLook
    vibs: tuple[str, ...] = ()
    boot: BootLook | None = None


Changes = DisableModule | EnableModule | ShutDownVm


class DriverFix(Step[DriverFixState, Changes]):
    """One node for each host.

    `hosts` are those that a person named: what cannot be fixed is then refused, else it is left alone with a remark.
    `force` shuts running VMs down first and overrules no other guard; `undo` goes the way back.
    """

    name = "driver-fix"

    def __init__(self, *, force: bool = False, undo: bool = False, hosts: Sequence[str] = ()) -> None:
        self.force, self.undo, self.hosts = force, undo, hosts
        self.row = row_of(hosts)

    def targets(self, lab: Lab) -> Sequence[str]:
        """The hosts that a person named, in that order; else every ESXi host."""
        return self.hosts or [host.name for host in lab.esxi]

    def after(self, lab: Lab, target: str) -> Sequence[Node]:
        """The host has answered."""
        return [Node("boot-media", target)]

    def settled(self, lab: Lab, target: str) -> Sequence[Node]:
        """Logs have found their place before; it does not matter how that went."""
        return [Node("usb-housekeeping", target)]

    def observe(self, world: World, lab: Lab, target: str) -> DriverFixState:
        """The host's look, and what a fix needs to know when one is in question."""
        look = world.host(target)
        if self.undo:
            return DriverFixState(look, (), world.reader(target).boot() if to_undo(look) else None)
        if not needs_fix(lab, target, look) or not fixable(look):
            return DriverFixState(look)
        return DriverFixState(look, world.reader(target).vibs(), world.reader(target).boot())

    def plan(self, lab: Lab, target: str, observed: DriverFixState) -> Sequence[Planned[Changes]]:
        """The table of the documentation: fix, leave alone, or refuse."""
        look = observed.look
        if self.undo:
            return self._undo(target, observed)
        nics = needs_fix(lab, target, look)
        if not nics or not (fixable(look) or self.hosts):
            return []
        check_drivers(target, look, nics, observed.vibs)
        if observed.boot is not None:
            check_medium(target, observed.boot)
            check_claims(target, nics, observed.boot, look)
        unused = unused_of_wrong(look)
        fix = DisableModule(target, nics, unused, enable_first=not look.modules[RIGHT].enabled)
        return [*self._shut_downs(target, look, fix), fix]

    def remarks(self, lab: Lab, target: str, observed: DriverFixState) -> Sequence[str]:
        """Why a host is left alone, where a person might wonder."""
        return () if self.undo else remarks(lab, target, observed.look, asked=bool(self.hosts))

    def _undo(self, target: str, observed: DriverFixState) -> Sequence[Planned[Changes]]:
        look = observed.look
        if not to_undo(look):
            return []
        if observed.boot is not None:
            check_medium(target, observed.boot)
        back = EnableModule(target, tuple(nic.name for nic in look.nics if nic.driver == RIGHT))
        return [*self._shut_downs(target, look, None), back]

    def _shut_downs(self, target: str, look: HostLook, fix: DisableModule | None) -> list[ShutDownVm]:
        """The running VMs that go first; refused without `force`, which only a person can give."""
        running = [vm for vm in look.vms if vm.powered_on]
        if running and not self.force:
            raise Refused(
                f"VMs are running: {', '.join(vm.name for vm in running)}",
                where=target,
                advice="Shut them down or move them away first; homelab driver-fix --force shuts them down itself",
            )
        return [ShutDownVm(target, vm.name, vm.path, SHUT_DOWN_SECONDS, fix) for vm in running]

    def apply(self, world: World, change: Changes) -> None:
        """Read the guards anew, whatever the change; then shut down, or set the module, read it back and keep it."""
        if isinstance(change, ShutDownVm):
            with world.shell(change.target) as shell:
                _check(world, shell, change.target, change.before_fix)
            _shut_down(world, change)
            return
        with world.shell(change.target) as shell:
            _check(world, shell, change.target, change if isinstance(change, DisableModule) else None)
            if isinstance(change, EnableModule):
                set_module_enabled(shell, WRONG, True)
            else:
                _disable(shell, change)
            keep_configuration(shell)


def _check(world: World, shell: Shell, target: str, fix: DisableModule | None) -> None:
    """Every guard but the VMs', on the host as it is now: before the first write, and before the first VM goes off."""
    boot = look_at_boot(shell)
    check_medium(target, boot)
    if fix is None:
        return
    world.forget(target)
    look = world.host(target)
    check_drivers(target, look, fix.nics, None)
    held = {nic.name for nic in (*look.used_nics, *look.management_nics) if nic.driver == WRONG}
    if held - {nic.name for nic in fix.nics}:
        raise Refused(
            f"{WRONG} holds {', '.join(sorted(held))} now, and the plan was made for {fix.nic_names}",
            where=target,
            advice="Nothing was changed; look at the new plan and run again",
        )
    check_claims(target, fix.nics, boot, look)


def _disable(shell: Shell, change: DisableModule) -> None:
    """The boot option preferVmklinux, where it is set, stays until the reboot: it is what gives the host a network."""
    if change.enable_first:
        set_module_enabled(shell, RIGHT, True)
    set_module_enabled(shell, WRONG, False)


def _shut_down(world: World, change: ShutDownVm) -> None:
    with world.vm_writer(change.target) as writer:
        if not writer.ask_to_shut_down(change.path, change.vm):
            raise HostFault(
                f"{change.vm} cannot be asked to shut down: VMware Tools do not run in it",
                where=change.target,
                advice="Shut it down by hand, then run again; nothing else was changed",
            )

    def still_on() -> str | None:
        world.forget(change.target)
        on = any(vm.path == change.path and vm.powered_on for vm in world.host(change.target).vms)
        return "still running" if on else None

    world.wait(
        f"{change.vm} is off",
        still_on,
        seconds=change.seconds,
        where=change.target,
        advice="Shut it down by hand, then run again; nothing else was changed",
    )
