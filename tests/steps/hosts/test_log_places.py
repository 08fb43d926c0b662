"""Where a host keeps its logs: what somebody chose, and what lies where they are to go, is left alone: on its wire."""

from collections.abc import Callable
from pathlib import Path

import pytest

from homelab.engine.step import Step
from homelab.lab import Lab
from homelab.rehearsal.host.host import Host
from homelab.steps.hosts.nfs_datastore import NfsDatastore
from homelab.steps.hosts.usb_housekeeping import LOG_DIR, UsbHousekeeping
from tests.helpers.one_host import Ended, bring, lab_of, standing

FOLDER = "homelab/homelab/hosts/brix3"
SCRATCH = "ScratchConfig.ConfiguredScratchLocation"
STEPS: tuple[Step, ...] = (NfsDatastore(), UsbHousekeeping())


def run(lab: Lab, folder: Path) -> Ended:
    return bring(lab, folder / "home", STEPS)


def store(host: Host, name: str = "ssd") -> Path:
    return next(mount for mount in host.datastores.mounts.values() if mount.name == name).volume.path


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def with_ssd(then: Callable[[Host], None] = lambda host: None) -> Callable[[Host], None]:
    def prepare(host: Host) -> None:
        host.datastores.leave_vmfs(next(iter(host.disks.values())), "ssd")
        then(host)

    return prepare


def test_scratch_logs_and_core_dumps_find_a_place_and_a_second_run_nothing_to_do(tmp_path: Path) -> None:
    lab = lab_of(local_datastore="ssd")
    with standing(lab, tmp_path, with_ssd()) as served:
        ended = run(lab, tmp_path)
        assert not ended.counts.failed, ended.events
        assert ended.plan.empty
        assert served.host.advanced[LOG_DIR] == f"[ssd] {FOLDER}/logs"
        assert served.host.settings.dump_file.endswith("/homelab-brix3.dumpfile")
        assert served.host.advanced[SCRATCH].endswith(FOLDER)


def test_a_place_for_logs_and_a_dump_file_that_somebody_chose_stay(tmp_path: Path) -> None:
    def choose(host: Host) -> None:
        host.advanced[LOG_DIR] = "[ssd] my-logs"
        host.system_files.use_dump_file(host.system_files.add_dump_file("ssd", "mine", None), active=False)

    lab = lab_of(local_datastore="ssd")
    with standing(lab, tmp_path, with_ssd(choose)) as served:
        dump_file = served.host.settings.dump_file
        ended = run(lab, tmp_path)
        assert not ended.counts.failed, ended.events
        [change] = ended.said("changed", "usb-housekeeping")
        assert change["sentence"].startswith("keep scratch of brix3 in [ssd]")
        assert served.host.advanced[LOG_DIR] == "[ssd] my-logs"
        assert served.host.settings.dump_file == dump_file
        assert not list((store(served.host) / "vmkdump").glob("homelab-*"))


def test_another_host_s_dump_file_whose_name_begins_alike_is_not_taken(tmp_path: Path) -> None:
    def other(host: Host) -> None:
        host.system_files.add_dump_file("ssd", "homelab-brix30", None)

    lab = lab_of(local_datastore="ssd")
    with standing(lab, tmp_path, with_ssd(other)) as served:
        assert not run(lab, tmp_path).counts.failed
        assert served.host.settings.dump_file.endswith("/homelab-brix3.dumpfile")


@pytest.mark.parametrize(
    ("name", "said"), [("thesis.odt", "something else lies there: thesis.odt"), (".homelab-0050deadbeef/log", "mark")]
)
def test_a_folder_with_somebody_s_files_is_told_and_left(tmp_path: Path, name: str, said: str) -> None:
    def fill(host: Host) -> None:
        file = store(host) / FOLDER / name
        file.parent.mkdir(parents=True)
        file.write_bytes(b"mine")

    lab = lab_of(local_datastore="ssd")
    with standing(lab, tmp_path, with_ssd(fill)) as served:
        before, options = files(store(served.host)), dict(served.host.advanced)
        ended = run(lab, tmp_path)
        [failure] = ended.said("failed", "usb-housekeeping")
        assert said in failure["what"]
        assert files(store(served.host)) == before
        assert served.host.advanced == options


def test_a_new_stick_in_the_same_machine_goes_on_in_its_old_folder(tmp_path: Path) -> None:
    lab = lab_of(local_datastore="ssd")
    with standing(lab, tmp_path, with_ssd()) as served:
        run(lab, tmp_path)
        for name in ("log", "core", "var"):
            (store(served.host) / FOLDER / name).mkdir()
        served.host.advanced[SCRATCH], served.host.advanced[LOG_DIR] = "", "[] /scratch/log"
        ended = run(lab, tmp_path)
        assert not ended.counts.failed, ended.events
        assert served.host.advanced[SCRATCH].endswith(FOLDER)
