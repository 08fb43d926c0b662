"""What making and destroying VMs may cost: ten take hardly longer than one, and hundreds leave nothing behind."""

import gc
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from homelab.lab import Lab
from homelab.rehearsal.state.parts import Timing
from tests.helpers.vm_lab import HostsOnNas, hosts_on_nas, tree, vm_lab

HOSTS = ("brix1", "brix2", "brix3", "brix4")
SLOW_POWER = Timing(boot_seconds=0.05, api_delay_seconds=0.0, shut_down_seconds=0.0, power_on_seconds=5.0)
ANSWER_SECONDS = 0.01
ROUNDS, WARM = 200, 20
# The record of each round is kept on the disk, and its name in memory.
MOST_GROWTH = 4 << 20


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def seconds_for(folder: Path, lab: Lab) -> float:
    """How long a lab's VMs take whose image is there, at 10 ms an answer."""
    with hosts_on_nas(lab, folder, timing=SLOW_POWER) as at:
        at.lay_image()
        for name in HOSTS:
            at.host(name).harm.on_request = lambda: time.sleep(ANSWER_SECONDS)
        began = time.monotonic()
        ended = at.bring()
        took = time.monotonic() - began
        assert not ended.counts.failed, ended.events
        assert ended.counts.changed == 2 * len(lab.control_plane)
    return took


@pytest.mark.figures
@pytest.mark.timeout(180)
def test_ten_vms_take_hardly_longer_than_one(tmp_path: Path) -> None:
    lab = vm_lab(tmp_path, hosts=HOSTS, vms=tuple(f"cp{n}" for n in range(1, 11)))
    one = lab.model_copy(update={"control_plane": lab.control_plane[:1]})
    took = seconds_for(tmp_path / "one", one), seconds_for(tmp_path / "ten", lab)
    assert took[1] < 1.2 * took[0], took


def resident() -> int:
    """The bytes of this process in memory: the hosts and the toolkit."""
    gc.collect()
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:"))


def left_behind(at: HostsOnNas) -> tuple[object, ...]:
    """All that a VM could leave: files, VMs, sessions, port groups, places in the order of starting."""
    host = at.host()
    return (
        tree(at.nas),
        list(host.registered_vms),
        len(at.served_hosts["brix3"].api.sessions.live()),
        dict(host.network.port_groups),
        list(host.start_order.entries),
    )


@pytest.mark.thorough
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("clone", ["thin", "linked"])
def test_two_hundred_rounds_leave_nothing_behind(tmp_path: Path, clone: str) -> None:
    with hosts_on_nas(vm_lab(tmp_path, clone=clone), tmp_path) as at:
        absent = at.lab.wanting("absent", ["cp1"])

        def go_round() -> None:
            for lab in (at.lab, absent):
                ended = at.bring("image", "vm", lab=lab) if lab is at.lab else at.bring(lab=lab)
                assert not ended.counts.failed, ended.events

        repeated(go_round, WARM)
        before, size = left_behind(at), resident()
        repeated(go_round, ROUNDS - WARM)
        assert left_behind(at) == before
        assert resident() - size < MOST_GROWTH


def repeated(act: Callable[[], None], times: int) -> None:
    for _ in range(times):
        act()
