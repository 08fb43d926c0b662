"""The look at a guest: what is odd there is told as what differs, or in words, and never as absent."""

import base64
import contextlib
import hashlib
import json
import os
import socket
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from homelab.errors import HostFault
from homelab.ports.guest import look as guest
from homelab.ports.guest.look import GuestLook
from homelab.ports.guest.remote import look
from homelab.ports.ssh import Login

# What HAProxy 2.6 said of ten servers, of which two were drained.
STATE = (Path(__file__).parents[2] / "formats" / "recorded" / "haproxy-2.6" / "state").read_text(encoding="utf-8")
# What the checker said of six servers, of which one was drained.
CHECKED = (Path(__file__).parents[2] / "formats" / "recorded" / "checker" / "status").read_bytes()
CA = "etc/kubernetes/pki/ca.crt"
DAY = timedelta(days=1)
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A guest's files, and no systemd."""
    root = tmp_path / "root"
    for name in ("RECEIPTS", "CA", "RESULT", "DISABLED", "FINISHED", "PROGRAM", "ADMIN", "CHECKER"):
        monkeypatch.setattr(look, name, root / getattr(look, name).relative_to("/"))
    monkeypatch.setattr(look, "ROOT", root)
    monkeypatch.setenv("PATH", str(tmp_path))
    look.RECEIPTS.mkdir(parents=True)
    return root


class Answering:
    """A shell whose only answer is this one."""

    login = Login("cp1", "192.0.2.42", 22, "homelab", 5.0)

    def __init__(self, said: str) -> None:
        self._said = said

    def must(self, argv: list[str], *, stdin: str = "") -> str:
        return self._said


def looked(before: str = "") -> GuestLook:
    """The look as the laptop reads it."""
    return guest.look(Answering(before + json.dumps(look.look()) + "\n"))  # type: ignore[arg-type]


def pem(*, days: int) -> bytes:
    """A certificate that ends then."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kube-apiserver")])
    builder = x509.CertificateBuilder(
        name, name, key.public_key(), x509.random_serial_number(), BEGAN, BEGAN + days * DAY
    )
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def lay(root: Path, path: str, content: bytes = b"x") -> Path:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_bytes(content)
    return root / path


def leave(root: Path, name: str = "haproxy", **fields: Any) -> None:
    receipt = {"role": name, "inputs": "a", "files": {}, "units": []} | fields
    lay(root, f"var/lib/homelab/{name}.json", json.dumps(receipt).encode())


def test_a_bare_guest_bears_nothing(root: Path) -> None:
    assert looked() == GuestLook("absent", {}, None, ())


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"[]",
        b"\xff\xfe",
        b'{"role": "haproxy", "inputs": "a"}',
        b'{"version": 2, "role": "haproxy", "inputs": {"sha512": "a"}, "files": [], "units": {}}',
    ],
    ids=["empty", "cut off", "no object", "not UTF-8", "without files", "of a newer homelab"],
)
def test_a_receipt_that_cannot_be_understood_is_drift(root: Path, text: bytes) -> None:
    lay(root, "var/lib/homelab/haproxy.json", text)
    why = looked().needs("haproxy", "a")
    assert why is not None
    assert "haproxy.json cannot be understood" in why
    assert "never laid down" not in why


def test_a_receipt_that_cannot_be_read_is_drift(root: Path) -> None:
    (look.RECEIPTS / "haproxy.json").mkdir()
    assert "cannot be understood" in str(looked().needs("haproxy", "a"))


def test_without_systemd_a_unit_is_not_taken_for_active(root: Path) -> None:
    leave(root, units=["haproxy.service"])
    assert looked().needs("haproxy", "a") == "haproxy.service is in a state that systemctl does not tell"


def test_a_file_that_cannot_be_read_is_not_gone(root: Path) -> None:
    (root / "etc").mkdir()
    kept = lay(root, "etc/kept")
    files = {str(root / "etc"): "a", str(root / "etc/gone"): "b", str(kept): hashlib.sha256(b"x").hexdigest()}
    leave(root, files=files)
    why = str(looked().needs("haproxy", "a"))
    assert f"{root}/etc unreadable" in why
    assert f"{root}/etc/gone is gone" in why
    assert "kept" not in why


def test_names_that_are_not_utf_8_do_not_end_the_look(root: Path) -> None:
    odd = os.fsdecode(b"caf\xe9.json")
    lay(root, f"var/lib/homelab/{odd}", b"{")
    lay(root, f"etc/kubernetes/manifests/{odd}")
    found = looked()
    assert found.traces == (f"{root}/etc/kubernetes/manifests/caf\\udce9.json",)
    for text in (*found.traces, *found.receipts):
        text.encode()


@pytest.mark.parametrize("result", [b"", b"{", b"[]", b'{"v1": {}}', b"\xff"])
def test_a_result_of_cloud_init_that_makes_no_sense_is_told(root: Path, result: bytes) -> None:
    lay(root, "run/cloud-init/result.json", result)
    assert looked().cloud_init.startswith("error: ")


def test_a_ca_that_is_not_ascii_is_read_and_one_that_cannot_be_read_is_a_trace(root: Path) -> None:
    lay(root, CA, b"# caf\xe9\nPEM\n")
    assert looked().cluster_ca == "# caf\\xe9\nPEM\n"
    (root / CA).unlink()
    (root / CA).mkdir()
    found = looked()
    assert found.cluster_ca is None
    assert found.traces == (f"{root}/{CA}",)


class Haproxy:
    """HAProxy's admin socket, on which it says one thing."""

    def __init__(self, path: Path, said: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._listener = socket.socket(socket.AF_UNIX)
        # A path below the test's own folder may be too long for a socket.
        with contextlib.chdir(path.parent):
            self._listener.bind(path.name)
        self._listener.listen()
        threading.Thread(target=self._answer, args=(said,), daemon=True).start()

    def _answer(self, said: str) -> None:
        caller, _ = self._listener.accept()
        caller.recv(1000)
        caller.sendall(said.encode())
        caller.close()


@pytest.mark.parametrize(
    ("said", "drained"), [(STATE, ("cp5", "cp6")), ("Permission denied\n", ()), ("1 a b c d e x\n", ())]
)
def test_what_a_person_drained_on_a_balancer_is_told(root: Path, said: str, drained: tuple[str, ...]) -> None:
    leave(root)
    Haproxy(look.ADMIN, said)
    assert looked().drained == drained


@pytest.mark.parametrize(("content", "drained"), [(CHECKED, ("cp2",)), (b"{", ()), (b"[]", ()), (b"{}", ())])
def test_what_a_person_drained_is_told_of_a_balancer_with_a_checker(
    root: Path, content: bytes, drained: tuple[str, ...]
) -> None:
    leave(root, "checker")
    lay(root, "run/homelab-checker/state.json", content)
    assert looked().drained == drained


@pytest.mark.parametrize(("kind", "drained"), [("haproxy", ("cp5", "cp6")), ("checker", ("cp2",)), ("nfs_server", ())])
def test_what_a_kind_left_that_gave_way_to_another_is_not_told(root: Path, kind: str, drained: tuple[str, ...]) -> None:
    """The checker's state outlives it until the next boot; HAProxy may be the owner's."""
    leave(root, kind)
    lay(root, "run/homelab-checker/state.json", CHECKED)
    Haproxy(look.ADMIN, STATE)
    assert looked().drained == drained


def test_what_a_shell_prints_by_itself_is_passed_over(root: Path) -> None:
    assert looked("Welcome to cp1!\n").cloud_init == "absent"


@pytest.mark.parametrize("said", ["", "Welcome!\n", "[]\n", "{}\n", '{"cloud_init": "done", "receipts": []}\n'])
def test_an_answer_that_is_none_is_told_in_words(said: str) -> None:
    with pytest.raises(HostFault, match="said something else") as fault:
        guest.look(Answering(said))  # type: ignore[arg-type]
    assert "192.0.2.42" in str(fault.value)


def test_the_clusters_certificates_are_told_with_their_ends_and_no_key_is(root: Path) -> None:
    lay(root, "etc/kubernetes/pki/apiserver.crt", pem(days=365))
    lay(root, "etc/kubernetes/pki/etcd/peer.crt", pem(days=20))
    lay(root, "etc/kubernetes/pki/front-proxy-client.crt", b"half of one")
    lay(root, CA, pem(days=3650))
    lay(root, "etc/kubernetes/pki/etcd/ca.crt", pem(days=3650))
    data, key = base64.b64encode(pem(days=30)).decode(), base64.b64encode(b"THE KEY").decode()
    # As kubeadm 1.36.3 writes it.
    conf = (
        f"users:\n- name: kubernetes-admin\n  user:\n    client-certificate-data: {data}\n    client-key-data: {key}\n"
    )
    lay(root, "etc/kubernetes/admin.conf", conf.encode())
    lay(root, "etc/kubernetes/scheduler.conf", b"users: []\n")
    lay(root, "etc/kubernetes/kubelet.conf", conf.encode())
    told = json.dumps(look.look())
    assert "THE KEY" not in told
    assert key not in told
    folder = root / "etc/kubernetes"
    assert looked().ends == {
        f"{folder}/pki/apiserver.crt": BEGAN + 365 * DAY,
        f"{folder}/pki/etcd/peer.crt": BEGAN + 20 * DAY,
        f"{folder}/admin.conf": BEGAN + 30 * DAY,
    }
