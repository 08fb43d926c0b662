"""Every state of a host that the guards know, on a simulated host: none loses a driver of its management network."""

import copy
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from homelab.output.documents import event_document, plan_document
from homelab.rehearsal.host.drivers import Drivers
from homelab.rehearsal.host.host import Host
from homelab.rehearsal.state.hardware import GB_BRI7_8550 as BRI7
from homelab.rehearsal.state.hardware import I211, N82574L, RTL8168, USB_NIC, X540, NicModel
from homelab.steps.hosts.driver_fix import DriverFix
from homelab.steps.hosts.reboot import Reboot
from tests.helpers.one_host import Ended, bring, lab_of, run_a_vm, standing

RELEASES = {"6.5.0": "5969303", "6.7.0": "8169922", "7.0.3": "20036589", "8.0.3": "24022510"}
I219 = BRI7.nics[0]


@dataclass(frozen=True)
class Wiring:
    """Which NICs a host has, and which of them are uplinks: of the management network, of another switch."""

    nics: tuple[NicModel, ...]
    management: tuple[str, ...] = ("vmnic0",)
    others: tuple[str, ...] = ()


WIRINGS: Mapping[str, Wiring] = {
    "one": Wiring((I219,)),
    "realtek": Wiring((replace(RTL8168, name="vmnic0"),)),
    "team": Wiring((I219, N82574L), ("vmnic0", "vmnic1")),
    "mixed team": Wiring((I219, I211), ("vmnic0", "vmnic1")),
    "vmnic1": Wiring((replace(I211, name="vmnic0"), replace(I219, name="vmnic1")), ("vmnic1",)),
    "unused second": Wiring((I219, N82574L)),
    "second switch": Wiring((I219, N82574L), others=("vmnic1",)),
    "three": Wiring((I219, I211, X540, RTL8168), ("vmnic0", "vmnic1"), ("vmnic2",)),
    "usb": Wiring((I219, USB_NIC), ("vusb0",)),
    "usb team": Wiring((I219, USB_NIC), ("vmnic0", "vusb0")),
}


@dataclass(frozen=True)
class State:
    """A host as it is found; `by_hand` are the modules that somebody disabled, or enabled, without a reboot since."""

    version: str = "6.7.0"
    wiring: str = "one"
    vib: bool = True
    narrow_map: bool = False
    ne1000: bool = True
    e1000e: bool = True
    prefer_vmklinux: bool = False
    by_hand: tuple[str, ...] = ()
    scratch_pending: bool = False
    stick: Literal["", "late", "gone"] = ""
    vm_running: bool = False
    maintenance: bool = False
    licence: str = "evaluation"
    ssh: bool = False
    force: bool = False
    undo: bool = False
    asked: bool = True

    def prepare(self, host: Host) -> None:
        """Make a simulated host be so, as if it had always been."""
        wiring, modern = WIRINGS[self.wiring], self.version[0] in "78"
        host.version, host.build = self.version, RELEASES[self.version]
        others = {"vSwitch1": wiring.others} if wiring.others else {}
        host.fit(*wiring.nics, management=wiring.management, others=others)
        if modern:
            host.drivers.modules = {name: module for name, module in host.drivers.modules.items() if module.native}
        if not self.vib or modern:
            host.vibs = tuple(vib for vib in host.vibs if vib.name != "net-e1000e")
            host.drivers.modules.pop("e1000e", None)
        if self.narrow_map and "e1000e" in host.drivers.modules:
            host.drivers.modules["e1000e"].claims = (I219.pci_id,)
        for name, enabled in (("ne1000", self.ne1000), ("e1000e", self.e1000e)):
            if name in host.drivers.modules:
                host.drivers.modules[name].enabled = enabled
        host.kernel_settings["preferVmklinux"].configured = str(self.prefer_vmklinux).upper()
        host.services["TSM-SSH"].policy = "on" if self.ssh else "off"
        host.licence = self.licence
        host.auto_backup.keep()
        host.power.boot()
        host.services["TSM-SSH"].running = self.ssh
        if self.vm_running:
            run_a_vm(host)
        host.in_maintenance = self.maintenance and not self.vm_running
        self.meddle(host)

    def meddle(self, host: Host) -> None:
        """What was done to the host since it booted."""
        for name in self.by_hand:
            if name in host.drivers.modules:
                host.drivers.modules[name].enabled = not host.drivers.modules[name].enabled
        if self.scratch_pending:
            [disk] = host.datastores.vmfs_mounts()
            (disk.volume.path / "scratch").mkdir()
            host.advanced["ScratchConfig.ConfiguredScratchLocation"] = f"/vmfs/volumes/{disk.volume.directory}/scratch"
        host.auto_backup.keep()
        host.harm.stick_lost = self.stick


STATES = st.builds(
    State,
    # Weighted towards hosts on which something may be written: a state that is refused at once proves little.
    version=st.sampled_from(["6.5.0", "6.7.0", "6.5.0", "6.7.0", "7.0.3", "8.0.3"]),
    wiring=st.sampled_from(sorted(WIRINGS)),
    vib=st.sampled_from([True, True, False]),
    narrow_map=st.sampled_from([False, False, True]),
    ne1000=st.sampled_from([True, True, False]),
    e1000e=st.booleans(),
    prefer_vmklinux=st.sampled_from([False, False, True]),
    by_hand=st.lists(st.sampled_from(["ne1000", "e1000e", "igbn", "igb", "vmklinux_9"]), unique=True).map(tuple),
    scratch_pending=st.booleans(),
    stick=st.sampled_from(["", "", "", "", "late", "gone"]),
    vm_running=st.sampled_from([False, False, True]),
    maintenance=st.booleans(),
    licence=st.sampled_from(["evaluation"] * 3 + ["free"]),
    ssh=st.booleans(),
    force=st.booleans(),
    undo=st.sampled_from([False] * 3 + [True]),
    asked=st.booleans(),
)


def uplinks(host: Host) -> set[str]:
    """The NICs of the management network that a driver holds."""
    return {nic.name for nic in host.nics if nic.driver and nic.name in host.network.management_uplinks}


def after_a_boot(host: Host) -> set[str]:
    """The same, after whatever boots the host next, a power cut among it; the host itself stays as it is."""
    twin = copy.copy(host)
    twin.nics, twin.kernel_settings = copy.deepcopy(host.nics), copy.deepcopy(host.kernel_settings)
    drivers = Drivers(twin)
    drivers.modules = copy.deepcopy(host.drivers.modules)
    for setting in twin.kernel_settings.values():
        setting.runtime = setting.configured
    drivers.load()
    return uplinks(twin)


@dataclass
class Met:
    """What became of a host."""

    ended: Ended
    boots: int
    drivers: dict[str, str | None]
    switched: bool
    vm_on: bool

    def failure(self, step: str) -> str:
        """What one step failed with, and what it says to do."""
        [failed] = self.ended.said("failed", step)
        return f"{failed['what']} | {failed['advice']}"


def check(state: State) -> Met | None:
    """Bring a host, and look whether anything of ours cost it a driver; None when it had no network before."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        lab = lab_of(rehearsal_disk="vmfs")
        with standing(lab, folder, state.prepare) as served:
            host = served.host
            had, boots = uplinks(host), host.power.boots
            hidden = any(nic.driver is None for nic in host.nics)
            if not host.power.reachable:
                return None  # nobody can reach it: it is lost already
            would_have, enabled = after_a_boot(host), {m.name: m.enabled for m in host.drivers.modules.values()}
            steps = (
                DriverFix(force=state.force, undo=state.undo, hosts=("brix3",) if state.asked else ()),
                Reboot(undo=state.undo, logs=False),
            )
            ended = bring(lab, folder / "home", steps)
            assert host.power.boots - boots <= 1
            assert uplinks(host) >= had, "a reboot of ours cost a driver"
            assert after_a_boot(host) >= would_have, "the next boot costs a driver, and that is our doing"
            switched = enabled != {m.name: m.enabled for m in host.drivers.modules.values()}
            assert not state.stick or (host.power.boots == boots and not switched), "nothing of that outlives a boot"
            if hidden and host.power.boots > boots and not ended.plan.empty:
                # A NIC that had no driver is seen after the boot only; what it needs is the next run's matter.
                ended = bring(lab, folder / "home", steps)
            failed = ended.counts.failed + ended.counts.blocked + ended.counts.handed_over
            assert failed or ended.plan.empty, plan_document(ended.plan)
            assert host.services["TSM-SSH"].running in (state.ssh, False)
            assert not ended.counts.handed_over, ended.said("hand_over", "reboot")
            assert host.in_maintenance == (state.maintenance and not state.vm_running)
            vm_on = any(vm.powered_on for vm in host.registered_vms.values())
            return Met(ended, host.power.boots - boots, {nic.name: nic.driver for nic in host.nics}, switched, vm_on)


FIXABLE = State()
# State, what becomes of the host, and what is said of it: `fixed` is a reboot, `rebooted` one for something else.
NAMED: Sequence[tuple[State, str, str]] = [
    (FIXABLE, "fixed", ""),
    (replace(FIXABLE, vib=False, force=True, vm_running=True), "driver-fix", "net-e1000e is not installed"),
    (replace(FIXABLE, e1000e=False), "fixed", ""),
    (replace(FIXABLE, version="7.0.3", force=True), "driver-fix", "off the network"),
    (replace(FIXABLE, version="8.0.3", asked=False), "left", "held by ne1000, and left alone"),
    (replace(FIXABLE, version="8.0.3", asked=False, scratch_pending=True), "rebooted", ""),
    (replace(FIXABLE, prefer_vmklinux=True), "fixed", ""),
    (replace(FIXABLE, prefer_vmklinux=True, ne1000=False, maintenance=True), "fixed", ""),
    (replace(FIXABLE, vm_running=True, force=True), "fixed", ""),
    (replace(FIXABLE, licence="free", ssh=True), "fixed", ""),
    (replace(FIXABLE, ne1000=False, undo=True), "undone", ""),
    (replace(FIXABLE, prefer_vmklinux=True, undo=True), "undone", "preferVmklinux gives its NICs to e1000e"),
    (replace(FIXABLE, wiring="realtek", force=True), "left", "by r8168"),
    # One driver is disabled for all NICs.
    (replace(FIXABLE, wiring="team"), "fixed", ""),
    (replace(FIXABLE, wiring="team", narrow_map=True, force=True, vm_running=True), "driver-fix", "left for vmnic1"),
    (replace(FIXABLE, wiring="mixed team", vib=False, asked=False), "driver-fix", "esxi_disabled_modules: []"),
    (replace(FIXABLE, wiring="team", narrow_map=True), "driver-fix", "left for vmnic1"),
    (replace(FIXABLE, wiring="second switch", narrow_map=True, ssh=True), "driver-fix", "left for vmnic1"),
    (replace(FIXABLE, wiring="unused second", narrow_map=True), "fixed", "no switch uses"),
    (replace(FIXABLE, wiring="vmnic1"), "fixed", "takes vmnic1"),
    (replace(FIXABLE, wiring="usb", asked=False), "left", "vusb0 by uether"),
    (replace(FIXABLE, wiring="three"), "fixed", ""),
    # Whoever disabled it.
    (replace(FIXABLE, by_hand=("ne1000", "e1000e"), asked=False), "reboot", "claim vmnic0 (8086:15d8)"),
    (replace(FIXABLE, version="7.0.3", by_hand=("ne1000",), asked=False), "reboot", "driver-fix brix3 --undo"),
    (replace(FIXABLE, by_hand=("ne1000",), narrow_map=True, wiring="team"), "reboot", "claim vmnic1 (8086:10d3)"),
    (
        replace(FIXABLE, version="8.0.3", wiring="mixed team", by_hand=("igbn",), scratch_pending=True, asked=False),
        "reboot",
        "--enabled=true --module=igbn",
    ),
    # Which driver takes a NIC that has none now is known after a boot only.
    (
        replace(FIXABLE, wiring="team", narrow_map=True, ne1000=False, by_hand=("ne1000",)),
        "driver-fix",
        "vmnic1 has no driver now",
    ),
    # The boot stick.
    (replace(FIXABLE, stick="late", force=True, vm_running=True), "driver-fix", "boot medium was lost"),
    (replace(FIXABLE, version="8.0.3", stick="gone", scratch_pending=True, asked=False), "reboot", "medium was lost"),
]


def told(state: State) -> str:
    return " ".join(f"{name}={value}" for name, value in vars(state).items() if value != getattr(FIXABLE, name))


@pytest.mark.parametrize(("state", "end", "words"), NAMED, ids=[told(state) or "fixable" for state, *_ in NAMED])
def test_a_host_of_each_kind_ends_as_the_table_says(state: State, end: str, words: str) -> None:
    met = check(state)
    assert met is not None
    if end in ("driver-fix", "reboot"):
        assert words in met.failure(end)
        assert (met.boots, met.switched, met.vm_on) == (0, False, state.vm_running)
        return
    said = "; ".join(json.dumps(event_document(event)) for event in met.ended.events)
    assert words in said
    assert not met.ended.counts.failed, met.ended.events
    assert met.boots == (0 if end == "left" else 1)
    held = {driver for name, driver in met.drivers.items() if name in WIRINGS[state.wiring].management}
    expected = {"fixed": "ne1000" not in held, "undone": held == {"ne1000"}}
    assert expected.get(end, not met.switched)


@settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(STATES)
@pytest.mark.timeout(180)
def test_no_state_of_a_host_ends_without_a_driver(state: State) -> None:
    check(state)


@pytest.mark.thorough
@pytest.mark.timeout(1500)
@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(STATES)
def test_none_of_many_states_of_a_host_ends_without_a_driver(state: State) -> None:
    check(state)
