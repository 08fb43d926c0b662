"""The command as a process in hard places: folders that are barred or open, a second run, bytes that are no text."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from homelab.commands.trust import trusted
from homelab.formats.trust.ssh_key import new_key
from homelab.lab import machines
from homelab.ports.files.home import HomeFiles
from tests.helpers.checkout import ROOT
from tests.helpers.sample import sample_lab
from tests.helpers.served import until
from tests.helpers.shapes import printed_fits

ESC = "\x1b]0;gotcha\x07"
PASSWORD = 'pa"ss\\wörd'
# root is let through everywhere but for these capabilities; a user of the lab is no root.
AS_A_USER = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []

needs_setpriv = pytest.mark.skipif(bool(AS_A_USER) and not shutil.which("setpriv"), reason="needs setpriv")
Homelab = Callable[..., "subprocess.CompletedProcess[str]"]


def start(*argv: str | bytes, cwd: Path, user: bool = False, **variables: str) -> "subprocess.Popen[str]":
    environment = {**os.environ, "VMWARE_USER": "root", "VMWARE_PASSWORD": PASSWORD, **variables}
    environment.pop("HOMELAB_INVENTORY", None)
    return subprocess.Popen(
        [*(AS_A_USER if user else []), sys.executable, "-m", "homelab", *argv],
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="surrogateescape",
    )


@pytest.fixture
def homelab(tmp_path: Path) -> Homelab:
    def run(*argv: str | bytes, **more: object) -> "subprocess.CompletedProcess[str]":
        process = start(*argv, **{"cwd": tmp_path, **more})  # type: ignore[arg-type]
        out, err = process.communicate(timeout=50)
        assert "Traceback" not in err, err
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    return run


@pytest.fixture
def mute() -> Iterator[str]:
    """An address of the loopback where somebody listens at 443 and never says a word."""
    address = "127.0.0.77"
    try:
        listener = socket.create_server((address, 443))
    except PermissionError:
        pytest.skip("needs to listen at 443")
    with listener:
        yield address


# --- folders


@needs_setpriv
def test_a_folder_that_may_not_be_written_is_told_with_what_to_do(homelab: Homelab, tmp_path: Path) -> None:
    barred = tmp_path / "barred"
    barred.mkdir()
    barred.chmod(0o555)
    done = homelab("--yes", "driver-fix", "127.0.0.9", cwd=barred, user=True)
    assert done.returncode == 2
    assert done.stderr.startswith(".homelab cannot be made: Permission denied\n")
    assert f"where: {barred}/.homelab" in done.stderr
    assert "-i" in done.stderr
    assert "mistake of homelab" not in done.stderr


@needs_setpriv
def test_trust_that_has_nothing_to_write_needs_no_place_to_write(homelab: Homelab, tmp_path: Path) -> None:
    home = tmp_path / "barred" / ".homelab"
    home.mkdir(parents=True)
    (home / "trust.json").write_text(json.dumps({"127.0.0.9": {"certificate": "SHA256:AA", "since": "x"}}))
    home.chmod(0o555)
    home.parent.chmod(0o555)
    shown = homelab("-o", "json", "trust", "127.0.0.9", cwd=home.parent, user=True)
    assert shown.returncode == 0
    assert json.loads(shown.stdout)["certificate"] == "SHA256:AA"
    assert printed_fits(["json", "trust"], shown.stdout) == 1
    forgotten = homelab("trust", "127.0.0.9", "--forget", cwd=home.parent, user=True)
    assert forgotten.returncode == 2
    assert ".homelab cannot be written to: Permission denied" in forgotten.stderr


def test_a_run_closes_a_folder_that_was_open(homelab: Homelab, tmp_path: Path) -> None:
    home = tmp_path / ".homelab"
    home.mkdir()
    (home / "id_ed25519").write_text("")
    for path in (home, home / "id_ed25519"):
        path.chmod(0o755)
    done = homelab("--yes", "-o", "json", "driver-fix", "127.0.0.9")
    assert done.returncode == 1
    assert "was open to others of this machine; it is closed now" in done.stderr
    assert (home / ".gitignore").read_text() == "*\n"
    opened = [path for path in (home, *home.rglob("*")) if path.stat().st_mode & 0o077 and path.name != "logs"]
    assert not opened


# --- two runs


@pytest.mark.timeout(180)
def test_a_second_run_that_writes_is_refused_with_who_is_at_work(homelab: Homelab, mute: str, tmp_path: Path) -> None:
    first = start("--yes", "driver-fix", mute, cwd=tmp_path)
    lock = tmp_path / ".homelab" / "lock"
    until(lambda: lock.exists() and str(first.pid) in lock.read_text(), 60, "the first run has the lock")
    first.send_signal(signal.SIGSTOP)  # it stays at work for as long as the others take
    (tmp_path / ".homelab" / "trust.json").write_text('{"127.0.0.9": {"certificate": "SHA256:AA", "since": "x"}}')
    for argv in (["--yes", "driver-fix", "127.0.0.9"], ["trust", "127.0.0.9", "--forget"]):
        second = homelab(*argv)
        assert second.returncode == 2, second.stderr
        told = f"another run is at work: `homelab driver-fix {mute}`, process {first.pid} on {socket.gethostname()}"
        assert told in second.stderr
        assert "since 20" in second.stderr
    assert homelab("trust", "127.0.0.9").returncode == 0
    first.send_signal(signal.SIGKILL)
    first.communicate()
    # The text of the dead one is still there, and blocks nobody.
    assert str(first.pid) in lock.read_text()
    assert homelab("trust", "127.0.0.9", "--forget").returncode == 0
    assert lock.read_text() == ""


# --- trust


PINS = {
    "brix3": {"certificate": "SHA256:AA", "since": "x", "addresses": ["192.168.2.13:443", "192.168.2.113:443"]},
    "192.168.2.14": {"certificate": "SHA256:BB", "since": "x"},
    "gone": {"certificate": "SHA256:CC", "since": "x", "addresses": ["192.168.2.77:443"]},
}
KNOWN = "192.168.2.5 {0}\n192.168.2.14 {0}\n[192.168.2.14]:2222 {0}\n192.168.2.140 {0}\n# the lab\n".format(
    new_key("x").public.rpartition(" ")[0]
)


@pytest.fixture
def pinned(tmp_path: Path) -> Path:
    """The sample lab with pins of this version and of an earlier one, and known host keys."""
    shutil.copytree(ROOT / "inventory", tmp_path / "inventory")
    shutil.copytree(ROOT / "tests" / "inventories" / "password", tmp_path / "password")
    home = tmp_path / ".homelab"
    home.mkdir()
    (home / "trust.json").write_text(json.dumps(PINS))
    (home / "known_hosts").write_text(KNOWN)
    return home


@pytest.mark.parametrize(
    ("asked", "pinned_as", "keys"),
    [
        ("brix3", ("brix3",), 0),
        ("192.168.2.113", ("brix3",), 0),
        ("brix4", ("192.168.2.14",), 1),
        ("192.168.2.14", ("192.168.2.14",), 2),
        ("gone", ("gone",), 0),
        ("nas", (), 1),
        ("cp1", (), 0),
    ],
)
def test_trust_knows_every_name_and_every_address_that_was_pinned(
    pinned: Path, asked: str, pinned_as: tuple[str, ...], keys: int
) -> None:
    files = HomeFiles(pinned)
    found = trusted(files, machines(sample_lab()), asked)
    assert found.names == pinned_as
    assert sum(any(line.startswith(f"{name} ") for name in found.ssh_names) for line in KNOWN.splitlines()) == keys
    files.trust.forget_pins(found.names)
    files.trust.forget_host_keys(found.ssh_names)
    assert set(files.trust.pins()) == set(PINS) - set(pinned_as)
    assert len(files.trust.known_hosts.read_text().splitlines()) == len(KNOWN.splitlines()) - keys


@pytest.mark.thorough
def test_forgetting_a_machine_leaves_the_host_keys_of_others(homelab: Homelab, pinned: Path) -> None:
    shown = homelab("-i", "inventory", "-i", "password", "-o", "json", "trust", "brix4")
    assert json.loads(shown.stdout) | {"host_keys": []} == {
        "host": "brix4",
        "certificate": "SHA256:BB",
        "host_keys": [],
        "pinned_as": ["192.168.2.14"],
    }
    done = homelab("-i", "inventory", "-i", "password", "trust", "192.168.2.14", "--forget")
    assert done.returncode == 0, done.stderr
    kept = (pinned / "known_hosts").read_text().splitlines()
    assert [line.split()[0] for line in kept] == ["192.168.2.5", "192.168.2.140", "#"]


def test_trust_names_what_it_knows(homelab: Homelab, pinned: Path) -> None:
    done = homelab("-i", "inventory", "-i", "password", "trust", "192.168.2.99", "--forget")
    assert done.returncode == 2
    assert "neither the inventory nor the pins know 192.168.2.99" in done.stderr
    assert "brix1, brix2, brix3" in done.stderr
    assert "gone" in done.stderr


# --- bytes that are no text


@pytest.mark.parametrize("name", [b"\xff\xfe", ESC.encode(), "\x9b31m".encode()], ids=["bytes", "escape", "c1"])
@pytest.mark.parametrize(
    "argv", [["-i", "NAME", "plan"], ["trust", "NAME"], ["driver-fix", "NAME"], ["NAME"], ["usb", "lint", "NAME"]]
)
def test_no_argument_ends_the_command_or_acts_on_the_terminal(homelab: Homelab, argv: list[str], name: bytes) -> None:
    done = homelab(*(name if word == "NAME" else word for word in argv))
    assert done.returncode in (1, 2)
    assert done.stderr
    for text in (done.stdout, done.stderr):
        assert not {"\x1b", "\x07", "\x9b"} & set(text)
        assert not any("\ud800" <= sign <= "\udfff" for sign in text)


@pytest.mark.thorough
def test_an_inventory_whose_name_is_no_utf_8_is_read(homelab: Homelab, tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path) + b"/lab-\xff"
    shutil.copytree(os.fsencode(ROOT / "inventory"), folder)
    password = str(ROOT / "tests" / "inventories" / "password")
    done = homelab("-i", folder, "-i", password, "trust", "brix1")
    assert (done.returncode, done.stderr) == (0, "")
    assert "brix1: certificate none" in done.stdout
    unknown = homelab("-i", folder, "-i", password, "trust", b"\xff")
    assert unknown.returncode == 2
    assert "neither the inventory nor the pins know \\xff" in unknown.stderr


@pytest.mark.thorough
@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_a_terminal_of_another_encoding_ends_no_command(homelab: Homelab, encoding: str) -> None:
    done = homelab("trust", "zw\u00f6lf-\u2603", PYTHONIOENCODING=encoding)
    assert done.returncode == 2
    assert done.stderr


def test_a_reader_that_goes_away_is_no_mistake(tmp_path: Path) -> None:
    home = tmp_path / ".homelab"
    home.mkdir()
    (home / "trust.json").write_text('{"127.0.0.9": {"certificate": "SHA256:AA", "since": "x"}}')
    process = start("trust", "127.0.0.9", cwd=tmp_path)
    assert process.stdout and process.stderr
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait(20) in (0, 1)
