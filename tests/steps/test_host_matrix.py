"""Every state of a host that the guards know, on a simulated host: none ends up without a driver for its NIC."""

from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from homelab.rehearsal.host import Host
from homelab.steps.driver_fix import DriverFix
from homelab.steps.reboot import Reboot
from tests.steps.one_host import bring, lab_of, run_a_vm, standing

RELEASES = {"6.5.0": "5969303", "6.7.0": "8169922", "7.0.3": "20036589", "8.0.3": "24022510"}


@dataclass(frozen=True)
class State:
    """A host as it is found."""

    version: str
    board: str
    vib: bool
    ne1000: bool
    e1000e: bool
    prefer_vmklinux: bool
    vm_running: bool
    maintenance: bool
    licence: str
    ssh: bool
    force: bool
    undo: bool

    def prepare(self, host: Host) -> None:
        """Make a simulated host be so, as if it had always been."""
        modern = self.version[0] in "78"
        host.version, host.build = self.version, RELEASES[self.version]
        if modern:
            host.modules = {name: module for name, module in host.modules.items() if module.native}
        if not self.vib or modern:
            host.vibs = tuple(vib for vib in host.vibs if vib.name != "net-e1000e")
            host.modules.pop("e1000e", None)
        for name, enabled in (("ne1000", self.ne1000), ("e1000e", self.e1000e)):
            if name in host.modules:
                host.modules[name].enabled = enabled
        host.kernel_settings["preferVmklinux"].configured = str(self.prefer_vmklinux).upper()
        host.services["TSM-SSH"].policy = "on" if self.ssh else "off"
        host.licence = self.licence
        host.keep_configuration()
        host.boot_physics()
        host.services["TSM-SSH"].running = self.ssh
        if self.vm_running:
            run_a_vm(host)
        host.in_maintenance = self.maintenance and not self.vm_running


# A host as it is found in the one state that the fix is for; the guards are tried one by one from here.
FIXABLE = State(
    version="6.7.0",
    board="GB-BRi7-8550",
    vib=True,
    ne1000=True,
    e1000e=True,
    prefer_vmklinux=False,
    vm_running=False,
    maintenance=False,
    licence="evaluation",
    ssh=False,
    force=False,
    undo=False,
)
# Weighted towards hosts on which something may be written: a state that is refused at once proves little.
STATES = st.builds(
    State,
    version=st.sampled_from(["6.5.0", "6.7.0", "6.5.0", "6.7.0", "7.0.3", "8.0.3"]),
    board=st.sampled_from(["GB-BRi7-8550"] * 3 + ["GB-XM11-3337"]),
    vib=st.booleans(),
    ne1000=st.sampled_from([True, True, False]),
    e1000e=st.booleans(),
    prefer_vmklinux=st.sampled_from([False, False, True]),
    vm_running=st.sampled_from([False, False, True]),
    maintenance=st.booleans(),
    licence=st.sampled_from(["evaluation"] * 3 + ["free"]),
    ssh=st.booleans(),
    force=st.booleans(),
    undo=st.sampled_from([False] * 3 + [True]),
)


def check(state: State) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        lab = lab_of(rehearsal_model=state.board)
        with standing(lab, folder, state.prepare) as site:
            host = site.host
            driver, boots = host.nics[0].driver, host.boots
            if driver is None:
                return  # nobody can reach it: it is lost already
            steps = (DriverFix(force=state.force, undo=state.undo), Reboot(undo=state.undo, logs=False))
            ended = bring(lab, folder / "home", steps)
            assert host.nics[0].driver is not None
            assert host.boots - boots <= 1
            next_boot(host)
            failed = ended.counts["failed"] + ended.counts["blocked"] + ended.counts["handed_over"]
            assert failed or ended.plan.empty, ended.plan.document()
            assert host.services["TSM-SSH"].running in (state.ssh, False)
            if not ended.counts["handed_over"]:
                assert host.in_maintenance == (state.maintenance and not state.vm_running)


def next_boot(host: Host) -> None:
    """Whatever happens next, a power cut among it: the host finds a driver."""
    host.boot_physics()
    assert host.nics[0].driver is not None, "the next boot loses the network"


@pytest.mark.parametrize(
    "state",
    [
        FIXABLE,
        replace(FIXABLE, vib=False),
        replace(FIXABLE, vib=False, force=True),
        replace(FIXABLE, e1000e=False),
        replace(FIXABLE, version="7.0.3", force=True),
        replace(FIXABLE, prefer_vmklinux=True),
        replace(FIXABLE, prefer_vmklinux=True, ne1000=False),
        replace(FIXABLE, vm_running=True, force=True),
        replace(FIXABLE, maintenance=True),
        replace(FIXABLE, licence="free", ssh=True),
        replace(FIXABLE, ne1000=False, undo=True),
        replace(FIXABLE, board="GB-XM11-3337", force=True),
    ],
    ids=lambda state: (
        " ".join(f"{name}={value}" for name, value in vars(state).items() if value != getattr(FIXABLE, name))
        or "fixable"
    ),
)
def test_a_host_of_each_kind_ends_with_a_driver(state: State) -> None:
    check(state)


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
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
