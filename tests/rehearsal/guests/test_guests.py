"""Real guests: from the cached root to a login, through every way of switching off, and nothing left behind."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pycdlib import PyCdlib

from homelab.formats.guest.seed_iso import seed_iso
from homelab.rehearsal.guests import roots
from homelab.rehearsal.guests.guests import _Guest, _nspawn
from homelab.rehearsal.guests.roots import ensure_root, root_id
from homelab.rehearsal.guests.seeds import read_seed
from homelab.rehearsal.state.machines import GuestSpec, Machines, NoMachines
from tests.helpers.apart import NAMESPACES
from tests.helpers.checkout import HELPERS, ROOT

BODIES = HELPERS / "guest_bodies.py"
SEED = {"meta-data": "instance-id: a\n", "user-data": "#cloud-config\n", "network-config": "version: 2\n"}


def command(namespaces: list[str], body: str, work: Path, cache: Path) -> list[str]:
    return [*NAMESPACES, *namespaces, sys.executable, str(BODIES), body, str(work), str(cache)]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


@pytest.fixture(scope="session")
def cache() -> Path:
    if os.geteuid() != 0 or not all(map(shutil.which, ("mmdebstrap", "systemd-nspawn", "ssh"))):
        pytest.skip("real guests need root, mmdebstrap, systemd-nspawn and ssh")
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "homelab"
    ensure_root(folder, lambda _: None)
    return folder


@pytest.fixture
def run_body(cache: Path, tmp_path: Path) -> Callable[[str], None]:
    def run(body: str) -> None:
        argv = command(["--mount", "--net", "--pid"], body, tmp_path, cache)
        done = subprocess.run(argv, env=environment(), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert traces(tmp_path) == []

    return run


def traces(work: Path) -> list[str]:
    """What names the work folder outside: processes by their command line or by their mounts."""
    marker, found = str(work).encode(), []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            texts = [(process / part).read_bytes() for part in ("cmdline", "mounts")]
        except OSError:
            continue
        if process.name != str(os.getpid()) and any(marker in text for text in texts):
            found.append(process.name)
    return found


def until(condition: Callable[[], bool], seconds: float = 10) -> None:
    deadline, pause = time.monotonic() + seconds, threading.Event()
    while not condition():
        assert time.monotonic() < deadline
        pause.wait(0.05)


MORE = ("told_by_guestinfo", "power", "disk_full", "handled", "snapshots")


def thorough(body: str) -> Any:
    """One that takes its time."""
    return pytest.param(body, marks=pytest.mark.thorough)


@pytest.mark.guests
@pytest.mark.timeout(300)
@pytest.mark.parametrize("body", ["seed_applied", "linked", "no_root", *map(thorough, MORE)])
def test_a_guest(run_body: Callable[[str], None], body: str) -> None:
    run_body(body)


@pytest.mark.guests
@pytest.mark.timeout(300)
def test_a_guest_on_a_machine_with_control_groups_v2_only(run_body: Callable[[str], None]) -> None:
    run_body("unified")


@pytest.fixture
def stayer(cache: Path, tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    """The outer process of a lab with one guest that is up."""
    argv = command(["--mount", "--net", "--pid"], "stay", tmp_path, cache)
    with subprocess.Popen(argv, env=environment(), stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


@pytest.mark.guests
@pytest.mark.timeout(300)
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_nothing_is_left_behind(stayer: "subprocess.Popen[str]", tmp_path: Path, how: signal.Signals) -> None:
    assert len(traces(tmp_path)) > 3
    if how is signal.SIGKILL:
        stayer.kill()
    else:
        # unshare itself does not pass signals on; the one process below it is the lab's.
        child = Path(f"/proc/{stayer.pid}/task/{stayer.pid}/children").read_text().split()[0]
        os.kill(int(child), how)
    stayer.wait(10)
    until(lambda: traces(tmp_path) == [])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="namespaces are Linux's")
def test_addresses_come_and_go_without_root(tmp_path: Path) -> None:
    argv = command(["--user", "--map-root-user", "--mount", "--net", "--pid"], "addresses", tmp_path, tmp_path)
    if subprocess.run([*argv[: argv.index(sys.executable)], "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine gives no user namespaces")
    done = subprocess.run(argv, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_products_seed_is_read(tmp_path: Path) -> None:
    (tmp_path / "seed.iso").write_bytes(seed_iso(SEED))
    assert read_seed(tmp_path / "seed.iso") == {name: text.encode() for name, text in SEED.items()}


@pytest.mark.parametrize("names", [{"joliet": 3}, {"rock_ridge": "1.09"}])
def test_a_seed_of_others_is_read(tmp_path: Path, names: dict[str, object]) -> None:
    assert set(read_seed(write_iso(tmp_path, "CIDATA", names))) == {"meta-data", "user-data"}


def test_what_cloud_init_would_not_find_is_no_seed(tmp_path: Path) -> None:
    (tmp_path / "junk").write_bytes(b"junk")
    assert read_seed(tmp_path / "junk") == {}
    assert read_seed(tmp_path / "absent") == {}
    assert read_seed(write_iso(tmp_path, "OTHER", {"joliet": 3})) == {}
    assert read_seed(write_iso(tmp_path, "cidata", {})) == {}


def write_iso(folder: Path, label: str, names: dict[str, object]) -> Path:
    iso = PyCdlib()
    iso.new(interchange_level=3, vol_ident=label, **names)
    for plain, name in (("A", "meta-data"), ("B", "user-data")):
        options = {"rr_name": name} if "rock_ridge" in names else {"joliet_path": f"/{name}"} if names else {}
        iso.add_fp(BytesIO(b"x"), 1, f"/{plain}.;1", **options)
    path = folder / f"{label}.iso"
    iso.write(str(path))
    iso.close()
    return path


def test_the_id_follows_the_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    before = root_id()
    assert len(before) == 16
    monkeypatch.setattr(roots, "PACKAGES", (*roots.PACKAGES, "one-more"))
    assert root_id() != before


def test_a_root_that_is_there_is_used(tmp_path: Path) -> None:
    (tmp_path / "roots" / root_id()).mkdir(parents=True)
    said: list[str] = []
    assert ensure_root(tmp_path, said.append).path == tmp_path / "roots" / root_id()
    assert said == []


def test_a_guest_is_asked_to_leave_in_its_own_way(tmp_path: Path) -> None:
    guest = _Guest(GuestSpec("cp1", tmp_path, "0", "00:50:56:00:00:2a", None, 2, 2048), tmp_path)
    assert "--kill-signal=SIGRTMIN+4" in _nspawn(guest, Path("/run/netns/cp1"))


def test_without_guests_the_power_is_remembered(tmp_path: Path) -> None:
    machines: Machines = NoMachines()
    spec = GuestSpec("cp1", tmp_path, "0", "00:50:56:00:00:2a", None, 2, 2048)
    for off in (machines.power_off, machines.shut_down):
        assert not machines.is_running("cp1")
        machines.power_on(spec)
        assert machines.is_running("cp1")
        off("cp1")
    assert not machines.is_running("cp1")
