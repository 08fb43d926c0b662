"""What an interruption or a kill leaves behind, and that the next run puts it right: SSH, tasks, uploads."""

import io
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from homelab.errors import HomelabError, Interrupted, Unreachable
from homelab.lab import Lab
from homelab.output.documents import plan_document
from homelab.ports import ssh
from homelab.ports.ansible.inventory import Vault
from homelab.ports.esxi.shell import login_of
from homelab.ports.files.home import HomeFiles
from homelab.ports.files.ssh_notes import note_ssh
from homelab.ports.open_world import open_world
from homelab.ports.vsphere import storage, tasks
from homelab.ports.vsphere.api_writer import ApiWriter
from homelab.ports.world import World
from homelab.rehearsal.served_host import ServedHost
from homelab.steps.hosts.driver_fix import DriverFix
from homelab.steps.hosts.reboot import Reboot
from tests.helpers.one_host import bring, lab_of, plan, run_a_vm, standing
from tests.steps.hosts.test_kill_points import ROOT, plain

SERVICE = "TSM-SSH"
LEFT_ON = (Reboot(logs=False),)
DIES_IN_THE_SHELL = """
import json, os, signal, sys
from pathlib import Path
from homelab.lab import Lab
from homelab.ports.ansible.inventory import Vault
from homelab.ports.files.home import HomeFiles
from homelab.ports.open_world import open_world
lab = Lab.model_validate(json.loads(Path(sys.argv[1]).read_text()))
world = open_world(lab, [Path(sys.argv[2])], Vault(None), HomeFiles(Path(sys.argv[2])), lambda _: None)
with world.shell("brix3") as shell:
    shell.must(["echo", "here"])
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def lab() -> Lab:
    return lab_of(disabled_modules=[])


@pytest.fixture
def served(lab: Lab, tmp_path: Path) -> Iterator[ServedHost]:
    with standing(lab, tmp_path) as ready:
        yield ready


def world_of(lab: Lab, home: Path, notes: list[str] | None = None) -> World:
    return open_world(lab, [home], Vault(None), HomeFiles(home), (notes if notes is not None else []).append)


def is_on(served: ServedHost) -> bool:
    return served.host.services[SERVICE].running


def killed_in_the_shell(lab: Lab, folder: Path) -> None:
    (folder / "lab.json").write_text(json.dumps(plain(lab)))
    argv = [sys.executable, "-c", DIES_IN_THE_SHELL, str(folder / "lab.json"), str(folder / "home")]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr


def planned(lab: Lab, folder: Path) -> list[str]:
    return [change["sentence"] for change in plan_document(plan(lab, folder / "home", LEFT_ON))["changes"]]


def test_ssh_that_a_killed_run_left_on_is_switched_off_by_the_next(
    lab: Lab, served: ServedHost, tmp_path: Path
) -> None:
    killed_in_the_shell(lab, tmp_path)
    assert is_on(served)
    assert planned(lab, tmp_path) == ["switch SSH off on brix3"]
    assert is_on(served)
    ended = bring(lab, tmp_path / "home", LEFT_ON)
    assert not ended.counts.failed, ended.events
    assert not is_on(served)
    assert ended.plan.empty
    assert not list((tmp_path / "home" / "ssh").iterdir())


def left_on(served: ServedHost, home: Path) -> Path:
    """As a run that was killed leaves it; the note."""
    served.host.services[SERVICE].running = True
    files = HomeFiles(home)
    note_ssh(files, "brix3", served.host.boot_time)
    return files.home / "ssh" / "brix3"


def test_a_shell_that_finds_its_own_ssh_on_switches_it_off_as_well(
    lab: Lab, served: ServedHost, tmp_path: Path
) -> None:
    left_on(served, tmp_path / "home")
    with world_of(lab, tmp_path / "home").shell("brix3") as shell:
        shell.must(["echo", "here"])
    assert not is_on(served)


def test_ssh_that_its_owner_switched_on_stays_on(lab: Lab, served: ServedHost, tmp_path: Path) -> None:
    served.host.services[SERVICE].running = True
    assert planned(lab, tmp_path) == []
    with world_of(lab, tmp_path / "home").shell("brix3") as shell:
        shell.must(["echo", "here"])
    assert is_on(served)


def test_a_note_of_an_earlier_boot_or_of_ssh_that_is_off_counts_for_nothing(
    lab: Lab, served: ServedHost, tmp_path: Path
) -> None:
    note = left_on(served, tmp_path / "home")
    text = note.read_text()
    served.host.services[SERVICE].running = False
    assert planned(lab, tmp_path) == []
    assert not note.exists()
    served.host.services[SERVICE].running = True
    assert planned(lab, tmp_path) == []
    year = f'"boot": "{served.host.boot_time.year}'
    assert year in text
    note.write_text(text.replace(year, f'"boot": "{served.host.boot_time.year - 1}'))
    assert planned(lab, tmp_path) == []
    note.write_text("{}")
    assert planned(lab, tmp_path) == []


def test_ssh_is_switched_off_whatever_happens_in_the_shell(lab: Lab, served: ServedHost, tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), world_of(lab, tmp_path / "home").shell("brix3"):
        assert is_on(served)
        raise ZeroDivisionError
    assert not is_on(served)


def test_ssh_that_cannot_be_switched_off_is_told_and_noted_and_hides_no_error(
    lab: Lab, served: ServedHost, tmp_path: Path
) -> None:
    notes: list[str] = []
    with pytest.raises(ZeroDivisionError), world_of(lab, tmp_path / "home", notes).shell("brix3"):
        served.host.harm.resets = True
        raise ZeroDivisionError
    assert any("SSH stays on for now, the next run switches it off" in note for note in notes)
    served.host.harm.resets = False
    assert planned(lab, tmp_path) == ["switch SSH off on brix3"]


def test_a_note_that_cannot_be_written_switches_nothing_on(lab: Lab, served: ServedHost, tmp_path: Path) -> None:
    world = world_of(lab, tmp_path / "home")
    world._backups.get("brix3")
    (tmp_path / "home" / "ssh").write_text("in the way")
    with pytest.raises(HomelabError, match="SSH was not switched on"), world.shell("brix3"):
        pass
    assert not is_on(served)


def test_ssh_that_never_answers_is_not_waited_for_once_interrupted(
    lab: Lab, served: ServedHost, tmp_path: Path
) -> None:
    stop = threading.Event()
    stop.set()
    began = time.monotonic()
    with pytest.raises(Interrupted, match="interrupted before SSH answered"):
        ssh.await_port(login_of(lab.esxi[0]), 15, stop)
    assert time.monotonic() - began < 5


def test_a_task_is_given_a_moment_and_then_named(
    lab: Lab, served: ServedHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "GRACE_SECONDS", 0.5)
    run_a_vm(served.host)  # entering maintenance mode waits until it is off
    world = world_of(lab, tmp_path / "home")
    began = time.monotonic()
    with pytest.raises(Interrupted) as caught, world.session("brix3") as session:
        ApiWriter(session).enter_maintenance(120, lambda _: world.run.stop.set())
    assert "the host goes on with a task by itself; last answer: running" in caught.value.what
    assert "entering maintenance mode" in caught.value.where
    assert time.monotonic() - began < 20


def test_a_task_that_ends_in_that_moment_has_ended_well(lab: Lab, served: ServedHost, tmp_path: Path) -> None:
    world = world_of(lab, tmp_path / "home")
    with world.session("brix3") as session:
        world.run.stop.set()
        ApiWriter(session).enter_maintenance(120, lambda _: None)
    assert served.host.in_maintenance


class Stopping(io.BytesIO):
    """A file that is interrupted when its third block is read."""

    def __init__(self, content: bytes, stop: threading.Event) -> None:
        super().__init__(content)
        self._stop, self._reads = stop, 0

    def read(self, size: int | None = -1) -> bytes:
        self._reads += 1
        if self._reads == 3:
            self._stop.set()
        return super().read(size)


def with_a_datastore(served: ServedHost) -> ServedHost:
    served.host.datastores.mount_nas("192.168.2.5", "/volume1/homelab", "nas")
    return served


def test_an_upload_stops_at_a_block_and_names_the_half_file(lab: Lab, served: ServedHost, tmp_path: Path) -> None:
    with_a_datastore(served)
    world, size = world_of(lab, tmp_path / "home"), 6 * storage.BLOCK
    with pytest.raises(Interrupted) as caught, world.session("brix3") as session:
        storage.upload(session, "nas", "image-flat.vmdk", Stopping(b"x" * size, world.run.stop), size)
    half = f"[nas] image-flat.vmdk is half a file, {3 * storage.BLOCK} of {size} bytes were sent"
    assert half in caught.value.what
    assert "sent anew" in caught.value.advice


def test_after_an_interruption_no_long_upload_begins_and_a_short_one_is_not_cut(
    lab: Lab, served: ServedHost, tmp_path: Path
) -> None:
    with_a_datastore(served)
    world, size = world_of(lab, tmp_path / "home"), 2 * storage.BLOCK
    with world.session("brix3") as session:
        world.run.stop.set()
        with pytest.raises(Interrupted, match="before the upload of"):
            storage.upload(session, "nas", "image-flat.vmdk", io.BytesIO(b"x" * size), size)
        storage.upload(session, "nas", "seed.iso", io.BytesIO(b"iso"), 3)
        assert storage.file_size(session, "nas", "image-flat.vmdk") is None
        assert storage.file_size(session, "nas", "seed.iso") == 3


def test_an_upload_that_nobody_takes_is_left(lab: Lab, served: ServedHost, tmp_path: Path) -> None:
    lab = lab.model_copy(update={"esxi": (lab.esxi[0].model_copy(update={"api_timeout": 1}),)})
    with_a_datastore(served)
    size = 64 * storage.BLOCK
    with world_of(lab, tmp_path / "home").session("brix3") as session:
        served.host.harm.api_mute = True
        began = time.monotonic()
        with pytest.raises(Unreachable, match="the transfer broke"):
            storage.upload(session, "nas", "big", io.BytesIO(b"x" * size), size)
        assert time.monotonic() - began < 10
        served.host.harm.api_mute = False


def test_a_host_that_is_starting_is_waited_for(lab: Lab, served: ServedHost, tmp_path: Path) -> None:
    served.host.harm.unknown = frozenset({"hardware.pciDevice", "config.network"})
    threading.Timer(0.5, lambda: setattr(served.host.harm, "unknown", frozenset())).start()
    assert world_of(lab, tmp_path / "home").host("brix3").nics


@pytest.mark.parametrize(
    "path", ["config.network", "config.product.version", "runtime.bootTime", "hardware.memorySize", "configManager"]
)
def test_a_host_that_stays_so_is_told_and_holds_nobody_else_up(path: str, tmp_path: Path) -> None:
    lab = lab_of(api_timeout=1)
    with standing(lab, tmp_path) as served:
        served.host.harm.unknown = frozenset({path})
        [failure] = plan(lab, tmp_path / "home", LEFT_ON).failures.values()
    assert "its answer about itself lacks something" in failure.what
    assert path in failure.what
    assert "It is starting" in failure.advice


def test_a_reboot_waits_for_a_host_that_does_not_know_itself_yet(tmp_path: Path) -> None:
    lab = lab_of()
    with standing(lab, tmp_path) as served:
        threading.Thread(target=forgetful_after_its_boot, args=(served,), daemon=True).start()
        ended = bring(lab, tmp_path / "home", (DriverFix(), *LEFT_ON))
        assert not ended.counts.failed + ended.counts.handed_over, ended.events
        assert served.host.nics[0].driver == "e1000e"
        assert not served.host.in_maintenance


def forgetful_after_its_boot(served: ServedHost) -> None:
    with served.host.changed:
        served.host.changed.wait_for(lambda: served.host.power.state == "down", 60)
        served.host.harm.unknown = frozenset({"config.network", "hardware.pciDevice"})
        served.host.changed.wait_for(lambda: served.host.power.api_ready, 60)
    threading.Event().wait(1.0)
    served.host.harm.unknown = frozenset()


def test_a_second_shell_of_the_same_run_does_not_switch_ssh_off_under_the_first(
    lab: Lab, served: ServedHost, tmp_path: Path
) -> None:
    world = world_of(lab, tmp_path / "home")
    with world.shell("brix3") as first:
        first.must(["echo", "here"])
        world.forget("brix3")
        with world.shell("brix3") as second:
            second.must(["echo", "here"])
        assert is_on(served)
        first.must(["echo", "still here"])
    assert not is_on(served)


def test_a_look_between_the_note_and_the_start_takes_no_note_away(lab: Lab, served: ServedHost, tmp_path: Path) -> None:
    world = world_of(lab, tmp_path / "home")
    note_ssh(world.files, "brix3", served.host.boot_time)
    assert not world.host("brix3").services[SERVICE]
    assert (tmp_path / "home" / "ssh" / "brix3").exists()
