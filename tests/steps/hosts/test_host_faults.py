"""What a user is told when something is wrong with a host or its NAS: each fault by its name, on a simulated host."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from homelab.output.documents import event_document, plan_document
from homelab.rehearsal.faults.effects import SimulatedLab
from homelab.rehearsal.faults.schedule import Faults
from homelab.rehearsal.faults.table import parse
from homelab.rehearsal.guests.network import Loopback
from homelab.rehearsal.host.host import Host
from homelab.rehearsal.state import harm
from homelab.steps.hosts import driver_fix
from homelab.steps.hosts.driver_fix import DriverFix
from homelab.steps.hosts.reboot import Reboot
from homelab.steps.product import STEP_NAMES
from tests.helpers.one_host import Ended, bring, lab_of, run_a_vm, standing

FIX = (DriverFix(hosts=("brix3",)), Reboot(logs=False))


@dataclass
class Bench:
    """A simulated host that harm can be done to, and runs on it."""

    lab: Any
    host: Host
    faults: Faults
    home: Path

    def harm(self, *requests: str) -> None:
        self.faults.schedule([parse(text, STEP_NAMES) for text in requests])

    def bring(self, *steps: Any) -> Ended:
        return bring(self.lab, self.home, steps)

    def healed(self) -> None:
        """After the harm has ended, another run completes what was missing."""
        self.faults.clear()
        ended = self.bring()
        assert not ended.counts.failed + ended.counts.blocked + ended.counts.handed_over, ended.events
        assert ended.plan.empty, plan_document(ended.plan)
        assert self.host.nics[0].driver == "e1000e"


@contextmanager
def standing_bench(folder: Path, prepare: Callable[[Host], None] = lambda host: None, **more: Any) -> Iterator[Bench]:
    lab = lab_of(**more)
    with standing(lab, folder, prepare) as served:
        simulated = SimulatedLab(lab, {"brix3": served}, served.host.datastores.volumes.nas, Loopback(), None)
        yield Bench(lab, served.host, Faults(simulated, folder / "home" / "logs"), folder / "home")


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with standing_bench(tmp_path) as ready:
        yield ready


def only_failure(ended: Ended, step: str) -> dict[str, Any]:
    failures = {e.node.step: event_document(e) for e in ended.events if e.kind == "failed" and e.node}
    assert step in failures, failures
    return failures[step]


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("fault", "what", "advice"),
    [
        (
            "nas-refuses",
            "the NAS nas was not mounted: The NFS server denied the mount request",
            "On nas, export this path to 127.0.0.1 (read and write, no_root_squash), and run again",
        ),
        (
            "nas-read-only",
            "Read-only file system",
            "check that the export is writable for this host and has no_root_squash",
        ),
        (
            "nas-squashes-root",
            "Permission denied",
            "check that the export is writable for this host and has no_root_squash",
        ),
        (
            "nas-vanishes",
            "the NAS nas was not mounted: Unable to connect to NFS server",
            "Check that nas is on, that its NFS service runs, and its address in the inventory",
        ),
        (
            "datastore-full",
            "Insufficient disk space on datastore 'nas'",
            "check that the export is writable for this host and has no_root_squash, and that it is not full",
        ),
    ],
)
def test_a_nas_that_does_not_serve_is_told_with_what_to_do_there(
    bench: Bench, fault: str, what: str, advice: str
) -> None:
    bench.harm(fault)
    ended = bench.bring()
    failure = only_failure(ended, "nfs-datastore")
    assert what in failure["what"]
    assert advice in failure["advice"]
    assert not bench.host.datastores.mounts
    assert bench.host.nics[0].driver == "e1000e"  # what does not depend on the NAS was done
    bench.healed()


def test_a_datastore_that_went_away_is_named_with_what_to_check(bench: Bench) -> None:
    assert not bench.bring().counts.failed
    bench.harm("nas-vanishes")
    failure = only_failure(bench.bring(), "nfs-datastore")
    assert failure["what"] == "datastore nas is mounted, and the NAS does not answer"
    assert failure["where"] == "brix3, 192.168.2.5:/volume1/homelab"
    assert "Check that the NAS is on and still exports the path" in failure["advice"]
    bench.healed()


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("fault", "last"), [("reboot-hangs", "Connection refused"), ("no-network-after-boot", "Connection refused")]
)
def test_a_host_that_does_not_come_back_is_handed_to_a_person(tmp_path: Path, fault: str, last: str) -> None:
    with standing_bench(tmp_path, reboot_timeout=3) as bench:
        bench.harm(fault)
        ended = bench.bring(*FIX)
        assert (ended.counts.failed, ended.counts.handed_over) == (0, 1)
        [handed] = ended.said("hand_over", "reboot")
        assert "waited 3 s for: brix3 answers after its reboot" in handed["do"]
        assert last in handed["do"]
        assert "Alt+F1" in handed["do"]
        assert "`esxcli system module set --enabled=true --module=ne1000` (`localcli`" in handed["do"]
        assert "preferVmklinux=TRUE" in handed["do"]
        bench.faults.clear()
        bench.host.changed.acquire()
        came_back = bench.host.changed.wait_for(lambda: bench.host.power.api_ready, 10)
        bench.host.changed.release()
        assert came_back
        bench.healed()
        assert not bench.host.in_maintenance


def test_a_host_whose_api_comes_late_is_waited_for(bench: Bench) -> None:
    bench.harm("hostd-late")
    bench.host.harm.api_delay_seconds = 2.0
    ended = bench.bring(*FIX)
    assert not ended.counts.failed + ended.counts.handed_over, ended.events
    waits = ended.said("waiting", "reboot")
    assert any("answers after its reboot" in wait["for"] and wait["deadline"] and wait["last"] for wait in waits)


@pytest.mark.parametrize(
    ("fault", "what", "advice"),
    [
        ("api-mute", "no answer within the API's deadline (esxi_api_timeout)", "not rebooting or overloaded"),
        ("connection-reset", "the connection broke", "Check that the host is on and was not rebooted"),
        ("wrong-password", "the login of root was refused", "five failures lock the account for 15 minutes"),
        ("account-locked", "the login of root was refused", "it was tried once only"),
    ],
)
def test_a_host_that_cannot_be_looked_at_is_told_once_a_step_and_asked_once(
    tmp_path: Path, fault: str, what: str, advice: str
) -> None:
    with standing_bench(tmp_path, api_timeout=1) as bench:
        bench.harm(fault)
        ended = bench.bring()
        failure = only_failure(ended, "first-boot")
        assert what in failure["what"]
        assert advice in failure["advice"]
        assert bench.faults.lab.hosts["brix3"].api.calls["Login"] <= 2  # once a run, and once to plan again
        bench.faults.clear()


def test_a_slow_api_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(harm, "SLOW_SECONDS", 0.1)
    with standing_bench(tmp_path) as bench:
        bench.harm("api-slow")
        ended = bench.bring(DriverFix())
        assert not ended.counts.failed


def test_a_changed_certificate_is_refused_with_the_command_that_forgets_it(bench: Bench) -> None:
    bench.bring()
    bench.harm("certificate-changed")
    failure = only_failure(bench.bring(), "first-boot")
    assert "the certificate changed: SHA256:" in failure["what"]
    assert "homelab trust brix3 --forget" in failure["advice"]


def test_a_changed_host_key_is_refused_with_the_command_that_forgets_it(bench: Bench) -> None:
    bench.bring(DriverFix(), Reboot(logs=False))
    bench.harm("host-key-changed")
    failure = only_failure(bench.bring(DriverFix(undo=True)), "driver-fix")
    assert "the SSH host key changed" in failure["what"]
    assert "homelab trust brix3 --forget" in failure["advice"]
    assert bench.host.drivers.modules["ne1000"].enabled is False


def test_a_clock_that_time_servers_put_right_is_waited_for(bench: Bench) -> None:
    bench.harm("clock-skew")
    ended = bench.bring()
    assert not ended.counts.failed, ended.events
    assert any("ask pool.ntp.org" in change["sentence"] for change in ended.said("changed", "first-boot"))


def test_a_clock_that_stays_wrong_is_told(bench: Bench) -> None:
    bench.bring()
    bench.harm("clock-skew")
    failure = only_failure(bench.bring(), "first-boot")
    assert failure["what"] == "its clock is 3600 s ahead compared with this machine's"
    assert "pool.ntp.org" in failure["advice"]


def test_under_the_free_licence_everything_goes_over_ssh(tmp_path: Path) -> None:
    def free(host: Host) -> None:
        host.licence = "free"
        host.services["TSM-SSH"].running = True
        host.services["TSM-SSH"].policy = "on"
        host.auto_backup.keep()

    with standing_bench(tmp_path, free) as bench:
        ended = bench.bring()
        assert not ended.counts.failed + ended.counts.blocked, ended.events
        assert ended.plan.empty
        assert bench.host.nics[0].driver == "e1000e"
        assert not bench.host.in_maintenance
        ntpd = bench.host.services["ntpd"]
        assert (bench.host.settings.ntp_servers, ntpd.running, ntpd.policy) == (["pool.ntp.org"], True, "on")
        assert bench.host.rulesets["ntpClient"]
        assert bench.host.advanced["ScratchConfig.CurrentScratchLocation"].startswith("/vmfs/volumes/")
        assert list(bench.home.glob("backups/brix3-*.tgz"))


def test_the_free_licence_with_ssh_off_says_where_to_switch_it_on(bench: Bench) -> None:
    bench.harm("free-licence")
    bench.host.services.set("TSM-SSH", running=False, policy="off")
    failure = only_failure(bench.bring(), "nfs-datastore")
    assert "the API only reads (vSphere 6 Hypervisor), and SSH is off" in failure["what"]
    assert "Troubleshooting Options, Enable SSH" in failure["advice"]


def test_a_task_that_fails_leaves_the_host_to_the_next_run(bench: Bench) -> None:
    bench.harm("task-fails")
    ended = bench.bring(*FIX)
    failure = only_failure(ended, "reboot")
    assert "entering maintenance mode" in failure["where"]
    bench.healed()


def without_vib(host: Host) -> None:
    host.vibs = tuple(vib for vib in host.vibs if vib.name != "net-e1000e")


def without_map(host: Host) -> None:
    host.drivers.modules["e1000e"].claims = ("8086:10d3",)


def modern(host: Host) -> None:
    host.version = "7.0.3"


@pytest.mark.parametrize(
    ("prepare", "what"),
    [
        (without_vib, "the package net-e1000e is not installed, so no driver would be left for vmnic0"),
        (without_map, "the driver map of e1000e does not name 8086:15d8, so no driver would be left for vmnic0"),
        (modern, "ESXi 7.0.3 has no other driver than ne1000 for vmnic0"),
    ],
)
def test_a_host_that_would_lose_its_only_driver_is_refused(
    tmp_path: Path, prepare: Callable[[Host], None], what: str
) -> None:
    with standing_bench(tmp_path, prepare) as bench:
        failure = only_failure(bench.bring(*FIX), "driver-fix")
        assert what in failure["what"]
        assert bench.host.drivers.modules["ne1000"].enabled
        assert bench.host.power.boots == 1


def test_a_nic_held_by_another_driver_is_left_alone(tmp_path: Path) -> None:
    with standing_bench(tmp_path, rehearsal_model="GB-XM11-3337") as bench:
        ended = bench.bring(*FIX)
        assert (ended.counts.changed, ended.counts.unchanged) == (0, 2)


def test_a_vm_that_will_not_shut_down_stops_the_fix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver_fix, "SHUT_DOWN_SECONDS", 1)
    with standing_bench(tmp_path, lambda host: run_a_vm(host, deaf=True)) as bench:
        failure = only_failure(bench.bring(DriverFix(force=True), Reboot(logs=False)), "driver-fix")
        assert "waited 1 s for: db is off; last answer: still running" in failure["what"]
        assert failure["advice"] == "Shut it down by hand, then run again; nothing else was changed"
        assert bench.host.drivers.modules["ne1000"].enabled


@pytest.mark.thorough
def test_undo_gives_the_nic_back_and_the_fix_takes_it_again(bench: Bench) -> None:
    bench.bring(*FIX)
    assert bench.host.nics[0].driver == "e1000e"
    ended = bench.bring(DriverFix(undo=True), Reboot(undo=True, logs=False))
    assert not ended.counts.failed, ended.events
    assert bench.host.nics[0].driver == "ne1000"
    bench.bring(*FIX)
    assert bench.host.nics[0].driver == "e1000e"


def test_the_boot_option_that_did_its_work_leaves_with_the_reboot(tmp_path: Path) -> None:
    def option(host: Host) -> None:
        host.kernel_settings["preferVmklinux"].configured = "TRUE"
        host.auto_backup.keep()
        host.power.boot()

    with standing_bench(tmp_path, option) as bench:
        assert bench.host.nics[0].driver == "e1000e"
        boots = bench.host.power.boots
        ended = bench.bring(*FIX)
        assert not ended.counts.failed, ended.events
        assert bench.host.kernel_settings["preferVmklinux"].configured.upper() == "FALSE"
        assert bench.host.drivers.modules["ne1000"].enabled is False
        assert bench.host.power.boots == boots + 1
        assert bench.host.nics[0].driver == "e1000e"
