"""Pins, known host keys and our own key: what OpenSSH wrote stays, what is damaged is not empty, nothing gets lost."""

import json
import shutil
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from homelab.errors import HomelabError, TrustError
from homelab.formats.trust.ssh_key import new_key
from homelab.ports import ssh
from homelab.ports.files.home import HomeFiles
from homelab.ports.net.tls import pinned_context
from homelab.rehearsal.host.host import Host
from homelab.rehearsal.shell.server import ShellFace
from homelab.rehearsal.soap.certificate import self_signed, server_context
from homelab.rehearsal.soap.face import SoapFace
from homelab.rehearsal.state.hardware import MODELS
from homelab.rehearsal.state.machines import NoMachines
from homelab.rehearsal.storage.volumes import Volumes

needs_openssh = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="needs OpenSSH's programs")
FIRST, SECOND = "SHA256:AA", "SHA256:BB"


@pytest.fixture
def files(tmp_path: Path) -> HomeFiles:
    return HomeFiles(tmp_path / "home")


def host(folder: Path, address: str = "127.0.0.2") -> Host:
    volumes = Volumes(folder / "volumes")
    return Host("brix3", address, MODELS["GB-BRi7-8550"], "root", "right", volumes=volumes, machines=NoMachines())


@pytest.fixture
def face(tmp_path: Path) -> Iterator[ShellFace]:
    face = ShellFace(host(tmp_path), "127.0.0.2", 0)
    face.start()
    yield face
    face.stop()


def log_in(face: ShellFace, files: HomeFiles, notes: list[str]) -> None:
    login = ssh.Login("brix3", "127.0.0.2", face.port, "root", 10, "right")
    with ssh.connect(login, files, notes.append) as shell:
        assert shell.must(["true"]) == ""


# --- our own key


def derived(key: Path) -> list[str]:
    said = subprocess.run(["ssh-keygen", "-y", "-f", str(key)], capture_output=True, text=True, check=True).stdout
    return said.split()[:2]


def test_the_own_key_stays_the_same(tmp_path: Path) -> None:
    assert HomeFiles(tmp_path).trust.own_key() == HomeFiles(tmp_path).trust.own_key()


@needs_openssh
@pytest.mark.parametrize("left", [None, "", "ssh-ed25519 AAAA homelab\n"])
def test_a_lost_public_half_is_derived_from_the_private_one(files: HomeFiles, left: str | None) -> None:
    line, private = files.trust.own_key(), files.trust.key.read_bytes()
    public = files.trust.key.with_suffix(".pub")
    public.unlink()
    if left is not None:
        public.write_text(left)
    assert HomeFiles(files.home).trust.own_key() == line
    assert files.trust.key.read_bytes() == private
    assert public.read_text().split()[:2] == derived(files.trust.key) == line.split()[:2]


@needs_openssh
@pytest.mark.parametrize("kind", [["-t", "ed25519"], ["-t", "ecdsa"], ["-t", "rsa", "-b", "2048", "-m", "PEM"]])
def test_a_key_that_ssh_keygen_made_is_taken_as_it_is(files: HomeFiles, kind: list[str]) -> None:
    files.home.mkdir(exist_ok=True)
    subprocess.run(["ssh-keygen", "-q", *kind, "-N", "", "-C", "me@laptop", "-f", str(files.trust.key)], check=True)
    public = files.trust.key.with_suffix(".pub").read_text()
    assert files.trust.own_key() == public.strip()
    files.trust.key.with_suffix(".pub").unlink()
    assert files.trust.own_key().split()[:2] == public.split()[:2]


@needs_openssh
def test_a_private_key_that_cannot_be_read_is_never_replaced(files: HomeFiles) -> None:
    files.home.mkdir(exist_ok=True)
    locked = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "long enough", "-f", str(files.trust.key)]
    subprocess.run(locked, check=True)
    before = files.trust.key.read_bytes()
    with pytest.raises(HomelabError, match="locked with a passphrase"):
        files.trust.own_key()
    for damaged in (before[: len(before) // 2], b"", b"\xff\x00"):
        files.trust.key.write_bytes(damaged)
        with pytest.raises(HomelabError, match="no private key that can be read") as caught:
            files.trust.own_key()
        assert "never replaced" in caught.value.advice
        assert files.trust.key.read_bytes() == damaged


def test_a_lost_private_half_is_told_and_no_other_one_is_made(files: HomeFiles) -> None:
    files.trust.own_key()
    files.trust.key.unlink()
    with pytest.raises(HomelabError, match="private half of the guests' key is gone") as caught:
        files.trust.own_key()
    assert "id_ed25519.pub" in caught.value.advice
    assert not files.trust.key.exists()


# --- host keys


@needs_openssh
def test_lines_that_others_wrote_into_known_hosts_are_kept(face: ShellFace, files: HomeFiles, tmp_path: Path) -> None:
    """`ssh-keygen -H` hashes names as Debian's ssh does; the forms are those of sshd(8)."""
    kinds = {name: new_key("x").public.split()[1] for name in ("scan", "hashed", "authority", "names", "revoked")}
    hashed = tmp_path / "hashed"
    hashed.write_text(f"192.168.2.77 ssh-ed25519 {kinds['hashed']}\n")
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", str(hashed)], capture_output=True, check=True)
    lines = [
        "# 192.168.2.5:22 SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3",
        f"192.168.2.5 ssh-ed25519 {kinds['scan']}",
        hashed.read_text().strip(),
        f"@cert-authority *.lab.home.arpa ssh-ed25519 {kinds['authority']} the lab's CA",
        f"@revoked * ssh-ed25519 {kinds['revoked']}",
        f"nas,192.168.2.6,[192.168.2.6]:2222 ssh-ed25519 {kinds['names']} caf\udce9",
        "",
    ]
    assert lines[2].startswith("|1|")
    text = "\n".join(lines).encode(errors="surrogateescape")
    files.home.mkdir(exist_ok=True)
    files.trust.known_hosts.write_bytes(text)
    notes: list[str] = []
    log_in(face, files, notes)
    log_in(face, files, notes)
    assert len(notes) == 1
    assert files.trust.known_hosts.read_bytes().startswith(text)
    assert f"[127.0.0.2]:{face.port} ".encode() in files.trust.known_hosts.read_bytes()[len(text) :]
    files.trust.forget_host_keys({f"[127.0.0.2]:{face.port}"})
    assert files.trust.known_hosts.read_bytes() == text


@needs_openssh
def test_a_hashed_name_is_known_and_can_be_forgotten(face: ShellFace, files: HomeFiles) -> None:
    files.home.mkdir(exist_ok=True)
    files.trust.known_hosts.write_text(face.known_hosts_line)
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", str(files.trust.known_hosts)], capture_output=True, check=True)
    assert files.trust.known_hosts.read_text().startswith("|1|")
    notes: list[str] = []
    log_in(face, files, notes)
    assert notes == []
    name = f"[127.0.0.2]:{face.port}"
    files.trust.known_hosts.write_text(files.trust.known_hosts.read_text().replace(*face_key_and_another(face)))
    with pytest.raises(TrustError, match="the SSH host key changed"):
        log_in(face, files, notes)
    files.trust.forget_host_keys({name})
    assert files.trust.known_hosts.read_text() == ""


def face_key_and_another(face: ShellFace) -> tuple[str, str]:
    kind, blob = face.known_hosts_line.split()[1:3]
    return f"{kind} {blob}", " ".join(new_key("x").public.split()[:2])


def test_one_of_several_names_is_forgotten_and_the_others_stay(files: HomeFiles) -> None:
    key = " ".join(new_key("x").public.split()[:2])
    files.home.mkdir(exist_ok=True)
    files.trust.known_hosts.write_text(f"nas,192.168.2.5,[192.168.2.5]:2222 {key} comment\n192.168.2.5 {key}\n")
    files.trust.forget_host_keys({"192.168.2.5"})
    assert files.trust.known_hosts.read_text() == f"nas,[192.168.2.5]:2222 {key} comment\n"


def test_a_known_key_that_is_cut_is_no_unknown_one(face: ShellFace, files: HomeFiles) -> None:
    files.home.mkdir(exist_ok=True)
    whole = face.known_hosts_line.strip()
    for cut in (whole[:-8], whole[:-9], whole.rpartition(" ")[0]):
        files.trust.known_hosts.write_text(cut)
        with pytest.raises(TrustError, match="a known host key is damaged: line 1"):
            log_in(face, files, [])
        assert files.trust.known_hosts.read_text() == cut
        names = {f"[127.0.0.2]:{face.port}"}
        assert files.trust.mentions(names)
        files.trust.forget_host_keys(names)
        assert not files.trust.mentions(names)


# --- certificates


@pytest.mark.parametrize(
    "text", ["", "{", '{"brix3": {"certificate": "SHA', "[]", '{"brix3": "SHA256:00"}', '{"brix3": {}}']
)
def test_pins_that_cannot_be_read_are_not_none(tmp_path: Path, files: HomeFiles, text: str) -> None:
    face = SoapFace(host(tmp_path, "127.0.0.3"), port=0)
    face.start()
    try:
        files.home.mkdir(exist_ok=True)
        files.trust.pin_file.write_text(text)
        with pytest.raises(TrustError, match="the file of pinned certificates") as caught:
            pinned_context("brix3", "127.0.0.3", face.port, files, timeout=5, report=print)
        assert caught.value.where == str(files.trust.pin_file)
        assert files.trust.pin_file.read_text() == text
    finally:
        face.stop()


def test_a_file_of_an_earlier_version_is_read(files: HomeFiles) -> None:
    files.home.mkdir(exist_ok=True)
    files.trust.pin_file.write_text(json.dumps({"brix3": {"certificate": FIRST, "since": "2026-01-01T00:00:00+00:00"}}))
    assert files.trust.meet_certificate("brix3", "192.168.2.13", 443, FIRST) is None
    assert json.loads(files.trust.pin_file.read_text())["brix3"] == {
        "certificate": FIRST,
        "since": "2026-01-01T00:00:00+00:00",
        "addresses": ["192.168.2.13:443"],
    }
    with pytest.raises(TrustError, match="the certificate changed"):
        files.trust.meet_certificate("brix3", "192.168.2.13", 443, SECOND)


@pytest.mark.parametrize("old", ["192.168.2.13", "brick3"])
def test_a_machine_that_gets_another_name_keeps_its_pin(files: HomeFiles, old: str) -> None:
    files.trust.meet_certificate(old, "192.168.2.13", 443, FIRST)
    with pytest.raises(TrustError, match=rf"the certificate changed.*met there as {old}") as caught:
        files.trust.meet_certificate("brix3", "192.168.2.13", 443, SECOND)
    assert "homelab trust brix3 --forget" in caught.value.advice
    said = files.trust.meet_certificate("brix3", "192.168.2.13", 443, FIRST)
    assert said == f"192.168.2.13:443 was met as {old}; its certificate is trusted under the name brix3 now"
    assert set(files.trust.pins()) == {"brix3"}
    assert files.trust.meet_certificate("brix3", "192.168.2.13", 443, FIRST) is None


def test_a_bare_address_takes_no_name_away(files: HomeFiles) -> None:
    files.trust.meet_certificate("brix3", "192.168.2.13", 443, FIRST)
    assert files.trust.meet_certificate("192.168.2.13", "192.168.2.13", 443, FIRST) is None
    assert set(files.trust.pins()) == {"brix3"}


def test_a_machine_with_another_address_keeps_its_pin(files: HomeFiles) -> None:
    files.trust.meet_certificate("brix3", "192.168.2.112", 443, FIRST)
    assert files.trust.meet_certificate("brix3", "192.168.2.13", 443, FIRST) is None
    assert files.trust.pins()["brix3"].addresses == ("192.168.2.13:443", "192.168.2.112:443")
    with pytest.raises(TrustError):
        files.trust.meet_certificate("brix3", "192.168.2.13", 443, SECOND)


def test_two_machines_that_exchange_their_names_are_no_strangers(files: HomeFiles) -> None:
    files.trust.meet_certificate("brix3", "192.168.2.13", 443, FIRST)
    files.trust.meet_certificate("brix4", "192.168.2.14", 443, SECOND)
    said = [
        files.trust.meet_certificate("brix3", "192.168.2.14", 443, SECOND),
        files.trust.meet_certificate("brix4", "192.168.2.13", 443, FIRST),
    ]
    assert all("first time" not in (sentence or "") for sentence in said)
    assert {name: pin.certificate for name, pin in files.trust.pins().items()} == {"brix3": SECOND, "brix4": FIRST}


def test_what_an_earlier_version_pinned_for_the_address_of_a_name_is_not_kept_twice(files: HomeFiles) -> None:
    files.home.mkdir(exist_ok=True)
    row = {"certificate": FIRST, "since": "2026-01-01T00:00:00+00:00"}
    files.trust.pin_file.write_text(json.dumps({"brix3": row, "192.168.2.13": row}))
    files.trust.meet_certificate("brix3", "192.168.2.13", 443, FIRST)
    assert set(files.trust.pins()) == {"brix3"}


# --- two processes

PINNING = """
import sys
from pathlib import Path
from homelab.ports.files.home import HomeFiles
from homelab.ports.net.tls import pinned_context
home, port, first = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
sys.stdin.readline()
for number in range(first, first + 40):
    pinned_context(f"h{number}", f"127.0.1.{number}", port, HomeFiles(home), timeout=5, report=lambda _: None)
"""


@pytest.fixture
def tls_port() -> Iterator[int]:
    """A listener at every address of the loopback that shows one certificate."""
    context = server_context(*self_signed("brix3", "127.0.0.1"))
    with socket.create_server(("0.0.0.0", 0), backlog=64) as listener:
        threading.Thread(target=_shake_hands, args=(listener, context), daemon=True).start()
        yield listener.getsockname()[1]


def _shake_hands(listener: socket.socket, context: ssl.SSLContext) -> None:
    while True:
        try:
            plain, _ = listener.accept()
            with context.wrap_socket(plain, server_side=True) as secured:
                secured.recv(1)
        except (OSError, ssl.SSLError):
            if listener.fileno() < 0:
                return


def test_two_processes_that_pin_at_once_lose_nothing(tmp_path: Path, tls_port: int) -> None:
    home = tmp_path / "home"
    processes = [
        subprocess.Popen([sys.executable, "-c", PINNING, str(home), str(tls_port), first], stdin=subprocess.PIPE)
        for first in ("1", "41")
    ]
    for process in processes:
        assert process.stdin
        process.stdin.write(b"\n")
        process.stdin.close()
    assert [process.wait(50) for process in processes] == [0, 0]
    assert set(json.loads((home / "trust.json").read_text())) == {f"h{number}" for number in range(1, 81)}


MAKING = """
import sys
from pathlib import Path
from homelab.ports.files.home import HomeFiles
sys.stdin.readline()
sys.stdout.write(HomeFiles(Path(sys.argv[1])).trust.own_key())
"""


def test_two_processes_make_one_key(tmp_path: Path) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", MAKING, str(tmp_path / "home")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        for _ in range(2)
    ]
    for process in processes:
        assert process.stdin
        process.stdin.write(b"\n")
        process.stdin.close()
    said = {process.stdout.read() for process in processes if process.stdout}
    assert [process.wait(20) for process in processes] == [0, 0]
    assert said == {(tmp_path / "home" / "id_ed25519.pub").read_bytes().strip()}
