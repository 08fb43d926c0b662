"""What keeps a host from being lost, on a simulated host: the maps, the moment of the reboot, notes, backups."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from homelab.checks.preflight import preflight
from homelab.output.documents import plan_document
from homelab.ports.ansible.inventory import Vault
from homelab.ports.files.home import HomeFiles, MaintenanceNote
from homelab.ports.open_world import open_world
from homelab.ports.vsphere.hosts import ENTERED, LEFT, HostEvent
from homelab.rehearsal.faults.effects import SimulatedLab
from homelab.rehearsal.faults.schedule import Faults
from homelab.rehearsal.faults.table import parse
from homelab.rehearsal.guests.network import Loopback
from homelab.rehearsal.host.host import Host
from homelab.steps.hosts.driver_fix import DriverFix
from homelab.steps.hosts.maintenance import still_ours
from homelab.steps.hosts.reboot import Reboot
from homelab.steps.product import STEP_NAMES
from tests.helpers.one_host import bring, lab_of, plan, run_a_vm, standing

FIX = (DriverFix(hosts=("brix3",)), Reboot(logs=False))
MAP = "/etc/vmware/driver.map.d/e1000e.map"
LINE = "regtype=linux,bus=pci,id=8086:15d8 0000:0000,driver=e1000e,class=network\n"


def modern(host: Host) -> None:
    host.version = "8.0.3"
    host.drivers.modules = {name: module for name, module in host.drivers.modules.items() if module.native}
    host.vibs = tuple(vib for vib in host.vibs if vib.name != "net-e1000e")
    host.auto_backup.keep()


@pytest.mark.parametrize("ssh", [False, True])
def test_a_commented_line_of_the_map_claims_nothing_and_no_vm_is_shut_down_for_it(tmp_path: Path, ssh: bool) -> None:
    def edited(host: Host) -> None:
        host.edited_files[MAP] = f"#{LINE}"
        host.drivers.modules["e1000e"].claims = ()
        host.services["TSM-SSH"].running = ssh
        run_a_vm(host)

    lab = lab_of()
    with standing(lab, tmp_path, edited) as served:
        ended = bring(lab, tmp_path / "home", (DriverFix(force=True, hosts=("brix3",)), Reboot(logs=False)))
        [failed] = ended.said("failed", "driver-fix")
        assert "the driver map of e1000e does not name 8086:15d8" in failed["what"]
        assert ended.counts.changed == 0
        assert served.host.drivers.modules["ne1000"].enabled
        assert served.host.registered_vms["1"].powered_on


def test_a_line_in_capitals_claims(tmp_path: Path) -> None:
    lab = lab_of()
    with standing(lab, tmp_path, lambda host: host.edited_files.update({MAP: LINE.upper()})) as served:
        assert not bring(lab, tmp_path / "home", FIX).counts.failed
        assert served.host.nics[0].driver == "e1000e"


def test_a_driver_that_is_disabled_while_the_reboot_is_prepared_stops_it(tmp_path: Path) -> None:
    lab = lab_of()
    with standing(lab, tmp_path) as served:
        host = served.host

        def meanwhile(what: str) -> None:
            if what == "EnterMaintenanceMode_Task":
                host.drivers.set_enabled("e1000e", False)

        host.harm.on_write = meanwhile
        ended = bring(lab, tmp_path / "home", FIX)
        [failed] = ended.said("failed", "reboot")
        assert "brix3 is not rebooted: after its next boot no enabled driver would claim vmnic0" in failed["what"]
        assert "homelab driver-fix brix3 --undo" in failed["advice"]
        assert (host.power.boots, host.in_maintenance) == (1, False)
        assert HomeFiles(tmp_path / "home").maintenance_note("brix3") is None


def test_the_plan_says_beforehand_that_a_reboot_would_cost_the_network(tmp_path: Path) -> None:
    def by_hand(host: Host) -> None:
        for name in ("ne1000", "e1000e"):
            host.drivers.set_enabled(name, False)

    lab = lab_of()
    with standing(lab, tmp_path, by_hand):
        found = plan(lab, tmp_path / "home", FIX)
        [error] = found.failures.values()
        assert "no enabled driver would claim vmnic0 (8086:15d8)" in error.what
        assert "`esxcli system module set --enabled=true --module=ne1000`" in error.advice


def test_a_sound_host_with_one_driver_only_is_left_alone_by_plan_bootstrap_and_doctor(tmp_path: Path) -> None:
    lab, steps = lab_of(), (DriverFix(), Reboot(logs=False))
    with standing(lab, tmp_path, modern):
        ended = bring(lab, tmp_path / "home", steps)
        assert (ended.counts.failed, ended.counts.unchanged) == (0, 2)
        [unchanged] = ended.said("unchanged", "driver-fix")
        assert "vmnic0 (8086:15d8): held by ne1000, and left alone" in unchanged["sentence"]
        document = plan_document(ended.plan)
        assert ended.plan.empty
        assert [(r["step"], r["target"]) for r in document["remarks"]] == [("driver-fix", "brix3")]
        world = open_world(lab, [tmp_path], Vault(None), HomeFiles(tmp_path / "home"), lambda _: None)
        [check] = [check for check in preflight(lab) if "the NIC of brix3" in check.sentence]
        answer = check.probe(world)
        assert answer.ok
        assert "left alone" in answer.text
        asked = bring(lab, tmp_path / "home", FIX)
        assert "off the network" in asked.said("failed", "driver-fix")[0]["what"]


def test_doctor_tells_a_host_that_the_next_boot_would_cost_its_network(tmp_path: Path) -> None:
    def by_hand(host: Host) -> None:
        modern(host)
        host.drivers.set_enabled("ne1000", False)

    lab = lab_of()
    with standing(lab, tmp_path, by_hand):
        world = open_world(lab, [tmp_path], Vault(None), HomeFiles(tmp_path / "home"), lambda _: None)
        [check] = [check for check in preflight(lab) if "the NIC of brix3" in check.sentence]
        answer = check.probe(world)
        assert (answer.ok, "no enabled driver would claim vmnic0" in answer.text) == (False, True)


# Maintenance mode: whose it is.

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
BOOTED = NOON - timedelta(days=3)


def after(**delta: float) -> datetime:
    return NOON + timedelta(**delta)


@pytest.mark.parametrize(
    ("phase", "boot", "events", "is_ours"),
    [
        ("entering", BOOTED, [(ENTERED, after(seconds=2))], True),
        ("rebooting", after(minutes=2), [], True),
        ("missing", after(days=2), [], True),
        # Its owner took it out, and put it back.
        ("entering", BOOTED, [(ENTERED, after(seconds=2)), (LEFT, after(hours=1)), (ENTERED, after(hours=2))], False),
        ("rebooting", after(minutes=2), [(LEFT, after(hours=1)), (ENTERED, after(hours=2))], False),
        # The run ended before it was entered; its owner did so a week later.
        ("entering", BOOTED, [(ENTERED, after(days=7))], False),
        ("entering", BOOTED, [], False),
        # Somebody else booted it since: what happened before that is forgotten.
        ("entering", after(days=1), [], False),
        ("rebooting", after(days=1), [], False),
    ],
)
def test_maintenance_mode_is_ours_only_while_nobody_else_touched_it(
    phase: str, boot: datetime, events: list[tuple[str, datetime]], is_ours: bool
) -> None:
    note = MaintenanceNote("20260101T120000Z", NOON, BOOTED, phase)
    assert still_ours(note, boot, [HostEvent(*event) for event in events]) is is_ours
    assert MaintenanceNote.read(note.text()) == note


def fixed(host: Host) -> None:
    host.drivers.set_enabled("ne1000", False)
    host.auto_backup.keep()
    host.power.boot()


def by_nobody(host: Host) -> None:
    """Since our run was interrupted."""


def by_its_owner(host: Host) -> None:
    host.maintenance.exit()
    host.maintenance.enter()


@pytest.mark.parametrize(("touched", "stays"), [(by_nobody, False), (by_its_owner, True)])
def test_the_maintenance_mode_of_an_interrupted_run_is_left_unless_its_owner_set_it_since(
    tmp_path: Path, touched: Callable[[Host], None], stays: bool
) -> None:
    lab = lab_of()
    with standing(lab, tmp_path, fixed) as served:
        host, files = served.host, HomeFiles(tmp_path / "home")
        files.note_maintenance("brix3", MaintenanceNote("20260101T120000Z", host.now(), host.boot_time))
        host.maintenance.enter()
        touched(host)
        ended = bring(lab, tmp_path / "home", FIX)
        assert not ended.counts.failed
        assert host.in_maintenance is stays
        assert bool(ended.said("unchanged", "reboot")) is stays
        if stays:
            assert "it stays in maintenance mode" in ended.said("unchanged", "reboot")[0]["sentence"]
        else:
            assert files.maintenance_note("brix3") is None


def test_a_note_of_maintenance_mode_goes_when_entering_fails(tmp_path: Path) -> None:
    lab = lab_of()
    with standing(lab, tmp_path) as served:
        simulated = SimulatedLab(lab, {"brix3": served}, served.host.datastores.volumes.nas, Loopback(), None)
        Faults(simulated, tmp_path / "logs").schedule([parse("task-fails", STEP_NAMES)])
        ended = bring(lab, tmp_path / "home", FIX)
        assert "entering maintenance mode" in ended.said("failed", "reboot")[0]["where"]
        assert not served.host.in_maintenance
        assert not (tmp_path / "home" / "maintenance" / "brix3").exists()


# Backups.


@pytest.mark.parametrize("size", [0, 40, 200])
@pytest.mark.parametrize("licence", ["evaluation", "free"])
def test_without_a_whole_copy_of_its_configuration_nothing_is_changed(tmp_path: Path, size: int, licence: str) -> None:
    def cut(host: Host) -> None:
        host.harm.backup_bytes = size
        host.licence = licence
        host.services["TSM-SSH"].running = host.services["TSM-SSH"].policy == "on" or licence == "free"

    lab = lab_of()
    with standing(lab, tmp_path, cut) as served:
        ended = bring(lab, tmp_path / "home", FIX)
        assert (
            "the copy of the configuration that the host gave is none" in ended.said("failed", "driver-fix")[0]["what"]
        )
        assert served.host.drivers.modules["ne1000"].enabled
        assert not list((tmp_path / "home").glob("backups/*"))
