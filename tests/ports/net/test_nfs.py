"""The look at an NFS export: against the rehearsal's NAS, servers that misbehave, and answers in tables."""

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from homelab.formats.nfs.export import Answers, Export, doubt_of, is_named, problem_of
from homelab.formats.nfs.onc_rpc import text, uint
from homelab.lab import NfsServer
from homelab.ports.files.home import HomeFiles
from homelab.ports.net import nfs
from homelab.ports.net.nfs import ExportLook, look_at_export
from homelab.rehearsal.nas import face as nas_face
from homelab.rehearsal.nas import programs
from homelab.rehearsal.nas.nas import DENIED, Nas

ADDRESS = "127.0.0.95"
EXPORT = "/volume1/homelab"
HOSTS = [IPv4Address("192.168.2.11"), IPv4Address("192.168.2.12")]
WANTED = NfsServer(name="nas", server=ADDRESS, export=EXPORT, datastore="nas")
Look = Callable[..., ExportLook]


@pytest.fixture
def nas() -> Nas:
    return Nas({ADDRESS}, {EXPORT, "/volume1/other"})


@pytest.fixture
def files(tmp_path: Path) -> HomeFiles:
    return HomeFiles(tmp_path / ".homelab")


@pytest.fixture(autouse=True)
def ports(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Ports that anybody may take, instead of 111, 20048 and 2049; nobody listens there yet."""
    with ExitStack() as held:
        taken = [held.enter_context(socket.create_server((ADDRESS, 0))).getsockname()[1] for _ in range(3)]
    for module in (nfs, programs):
        monkeypatch.setattr(module, "RPCBIND_PORT", taken[0])
        monkeypatch.setattr(module, "NFS_PORT", taken[2])
    monkeypatch.setattr(programs, "MOUNT_PORT", taken[1])
    monkeypatch.setattr(nas_face, "PORTS", tuple(taken))
    return taken


@pytest.fixture
def face(nas: Nas, ports: list[int]) -> Iterator[nas_face.NasFace]:
    face = nas_face.NasFace(nas, ADDRESS)
    face.start()
    yield face
    face.stop()


@pytest.fixture
def look(face: nas_face.NasFace, files: HomeFiles) -> Look:
    def looked(*, timeout: float = 10, **wanted: str) -> ExportLook:
        return look_at_export(WANTED.model_copy(update=wanted), HOSTS, files, timeout=timeout)

    return looked


def test_an_export_that_is_well(look: Look, face: nas_face.NasFace, files: HomeFiles) -> None:
    assert look() == ExportLook(True, ("3", "4"), True, (), None, None)
    lines = [json.loads(line) for line in (files.log_folder / "record.jsonl").read_text().splitlines()]
    assert {(line["kind"], line["target"], line["writes"], line["ok"]) for line in lines if line["ok"]} == {
        ("nfs", "nas", False, True)
    }
    said = [line["what"] for line in lines]
    assert said[-3:] == ["mountd 3 EXPORT", f"mountd 3 MNT {EXPORT}", f"mountd 3 UMNT {EXPORT}"]
    assert [line["what"] for line in lines if not line["ok"]] == ["NFS 4 COMPOUND of minor version 1"]


def test_nothing_stays_mounted(look: Look, nas: Nas, face: nas_face.NasFace) -> None:
    look()
    assert face._programs._mounted == []


def test_a_silent_nas_costs_two_timeouts(look: Look, nas: Nas) -> None:
    nas.away = True
    seen = look(timeout=0.2)
    assert (seen.answers, seen.versions, seen.exported) == (False, (), None)
    assert seen.problem is not None
    assert seen.problem.what == (
        "the NAS does not answer (rpcbind: no answer within 0.2 s; NFS: no answer within 0.2 s)"
    )
    assert "the NAS is on" in seen.problem.advice


def test_nobody_listens(files: HomeFiles) -> None:
    seen = look_at_export(WANTED, HOSTS, files)
    assert seen.problem is not None
    assert "Connection refused" in seen.problem.what


def test_a_name_that_means_nothing(files: HomeFiles) -> None:
    seen = look_at_export(WANTED.model_copy(update={"server": "no..such"}), HOSTS, files)
    assert seen.problem is not None
    assert not seen.answers


@pytest.mark.parametrize(
    ("path", "what", "advice"),
    [
        ("/volume1/Homelab", "/volume1/Homelab is not exported; the NAS exports", f"Set nfs_export to {EXPORT}"),
        ("/homelab", "the NAS exports /volume1/homelab, /volume1/other", f"Did you mean {EXPORT}?"),
        ("/elsewhere", "/elsewhere is not exported", "Export /elsewhere on the NAS to every ESXi host"),
    ],
)
def test_a_path_that_is_not_exported(look: Look, path: str, what: str, advice: str) -> None:
    seen = look(export=path)
    assert (seen.answers, seen.exported) == (True, False)
    assert seen.problem is not None
    assert what in seen.problem.what
    assert advice in seen.problem.advice


def test_a_slash_at_the_end_works_and_is_told(look: Look) -> None:
    seen = look(export=f"{EXPORT}/")
    assert (seen.exported, seen.problem) == (True, None)
    assert seen.doubt is not None
    assert f"exports {EXPORT}/ as {EXPORT}" in seen.doubt.what


def test_a_nas_that_denies_this_machine_may_still_serve_the_hosts(look: Look, nas: Nas) -> None:
    nas.refuses = DENIED
    seen = look()
    assert (seen.exported, seen.problem) == (True, None)
    assert seen.doubt is not None
    assert "cannot be told from here" in seen.doubt.what


def test_a_path_that_is_no_folder(look: Look, nas: Nas) -> None:
    nas.refuses = "The specified mount path was not a directory"
    problem = look().problem
    assert problem is not None
    assert f"{EXPORT} cannot be mounted: it is no folder" in problem.what


def test_mountd_is_not_registered(look: Look, nas: Nas) -> None:
    nas.refuses = programs.NO_MOUNT
    problem = look().problem
    assert problem is not None
    assert problem.what == "rpcbind answers, and mountd (MOUNT version 3 over TCP) is not registered with rpcbind"
    assert look(nfs_version="4.1", version="4.1").problem is None


def test_nfs_is_not_registered(look: Look, nas: Nas) -> None:
    nas.refuses = programs.NO_NFS
    seen = look()
    assert seen.versions == ()
    assert seen.problem is not None
    assert "NFS version 3 over TCP is not registered" in seen.problem.what
    assert look(version="4.1").problem is not None


# Servers that the rehearsal does not play


def serve(port: int, answer: Callable[[int, bytes], bytes | None]) -> threading.Event:
    """Answer each call on a port by `answer(xid, call)`: whole bytes to send; None keeps silent."""
    listener, done = socket.create_server((ADDRESS, port)), threading.Event()

    def run() -> None:
        with listener:
            while True:
                connection, _ = listener.accept()
                if done.is_set():
                    return
                with connection, contextlib.suppress(OSError):
                    call = connection.recv(4096)
                    connection.sendall(answer(int.from_bytes(call[4:8], "big"), call) or b"")

    threading.Thread(target=run, daemon=True).start()
    return done


def accepted(xid: int, result: bytes, status: int = 0) -> bytes:
    reply = uint(xid, 1, 0, 0, 0, status) + result
    return uint(0x80000000 | len(reply)) + reply


@pytest.fixture
def only_4(ports: list[int]) -> Iterator[Callable[[int], None]]:
    """A server with NFS version 4 alone; the status of an empty COMPOUND of minor version 1 is to be given."""
    ends = []

    def start(status: int) -> None:
        ends.append(serve(ports[2], lambda xid, call: accepted(xid, uint(status) + text("") + uint(0))))

    yield start
    for end in ends:
        end.set()
        socket.create_connection((ADDRESS, ports[2])).close()


def test_a_server_with_version_4_only(only_4: Callable[[int], None], files: HomeFiles) -> None:
    only_4(0)
    seen = look_at_export(WANTED, HOSTS, files)
    assert seen.versions == ("4.1",)
    assert seen.problem is not None
    assert "offers NFS version 4 only" in seen.problem.what
    assert 'set nfs_version to "4.1"' in seen.problem.advice
    modern = look_at_export(WANTED.model_copy(update={"version": "4.1"}), HOSTS, files)
    assert (modern.problem, modern.exported) == (None, None)
    assert modern.doubt is not None


def test_a_server_with_version_4_0(only_4: Callable[[int], None], files: HomeFiles) -> None:
    only_4(nfs.MINOR_VERSION_MISMATCH)
    seen = look_at_export(WANTED.model_copy(update={"version": "4.1"}), HOSTS, files)
    assert seen.versions == ("4.0",)
    assert seen.problem is not None
    assert "4.0 and not 4.1" in seen.problem.what


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\xff\xff\xff\xff",
        b"\0\0\0\0" * 4,
        uint(0x80000004, 7),
        uint(0x80000018, 7, 1, 0, 0, 0, 0),
    ],
)
def test_bytes_that_are_no_answer_are_told_and_not_raised(ports: list[int], files: HomeFiles, answer: bytes) -> None:
    ends = [serve(port, lambda xid, call: answer) for port in (ports[0], ports[2])]
    seen = look_at_export(WANTED, HOSTS, files, timeout=2)
    for end, port in zip(ends, (ports[0], ports[2]), strict=True):
        end.set()
        socket.create_connection((ADDRESS, port)).close()
    assert not seen.answers
    assert seen.problem is not None


def test_another_protocol_is_called_by_its_name(ports: list[int], files: HomeFiles) -> None:
    end = serve(ports[2], lambda xid, call: b"HTTP/1.1 400 Bad Request\r\n\r\n")
    seen = look_at_export(WANTED, HOSTS, files, timeout=5)
    end.set()
    socket.create_connection((ADDRESS, ports[2])).close()
    assert seen.problem is not None
    assert "NFS: it does not speak RPC" in seen.problem.what


def test_an_answer_that_never_ends_meets_the_deadline(ports: list[int], files: HomeFiles) -> None:
    listener, enough = socket.create_server((ADDRESS, ports[2])), threading.Event()

    def trickle() -> None:
        with listener, listener.accept()[0] as connection, contextlib.suppress(OSError):
            connection.sendall(uint(0x80000000 | 1000))
            while not enough.wait(0.05):
                connection.sendall(b"x")

    threading.Thread(target=trickle, daemon=True).start()
    began = time.monotonic()
    seen = look_at_export(WANTED, HOSTS, files, timeout=0.3)
    enough.set()
    assert time.monotonic() - began < 5
    assert seen.problem is not None
    assert "NFS: no answer within 0.3 s" in seen.problem.what


def test_a_refusal_of_the_caller_says_nothing_about_the_hosts(ports: list[int], files: HomeFiles) -> None:
    """AUTH_TOOWEAK for MNT and EXPORT; all else is well."""

    def answer(xid: int, call: bytes) -> bytes:
        program, _, procedure = (int.from_bytes(call[at : at + 4], "big") for at in (16, 20, 24))
        if program == nfs.MOUNT and procedure:
            denied = uint(xid, 1, 1, 1, 5)
            return uint(0x80000000 | len(denied)) + denied
        wanted = int.from_bytes(call[-16:-12], "big")
        return accepted(xid, uint(ports[1] if wanted == nfs.MOUNT else ports[2]))

    ends = [serve(port, answer) for port in ports]
    seen = look_at_export(WANTED, HOSTS, files, timeout=5)
    for end, port in zip(ends, ports, strict=True):
        end.set()
        socket.create_connection((ADDRESS, port)).close()
    assert (seen.answers, seen.exported, seen.problem) == (True, None, None)
    assert seen.doubt is not None


# What answers mean

WELL = Answers(None, None, None, None, True, (Export(EXPORT, ("192.168.2.11", "192.168.2.12/32")),), 0)


def test_hosts_that_the_export_does_not_name_are_named() -> None:
    assert problem_of(WELL, EXPORT, "3", HOSTS) is None
    problem = problem_of(WELL, EXPORT, "3", [*HOSTS, IPv4Address("192.168.2.13")])
    assert problem is not None
    assert problem.what == (f"the export {EXPORT} does not name 192.168.2.13; it names 192.168.2.11, 192.168.2.12/32")
    assert problem_of(WELL, EXPORT, "4.1", [IPv4Address("192.168.2.13")]) is not None


@pytest.mark.parametrize(
    ("client", "answer"),
    [
        *(("*", True), ("192.168.2.11", True), ("192.168.2.0/24", True), ("192.168.2.0/255.255.255.0", True)),
        *(("192.168.2.*", True), ("192.168.3.*", False), ("192.168.3.0/24", False), ("192.168.2.1", False)),
        *(("brix1.lab", None), ("*.lab", None), ("@hosts", None), ("fe80::/10", None)),
        # As FreeBSD and TrueNAS CORE list a network.
        *(("192.168.2.0", None), ("192.168.0.0", None), ("10.0.0.0", None), ("192.168.2.10", False)),
    ],
)
def test_clients_in_every_form(client: str, answer: bool | None) -> None:
    assert is_named([client], HOSTS[0]) is answer
    assert is_named([], HOSTS[0])
    assert is_named([client, "192.168.2.0/28"], HOSTS[0])


def test_a_list_that_leaves_out_who_was_let_in_proves_nothing() -> None:
    absent = [*HOSTS, IPv4Address("192.168.2.13")]
    assert problem_of(replace(WELL, asker=IPv4Address("192.168.2.50")), EXPORT, "3", absent) is None
    assert problem_of(replace(WELL, asker=IPv4Address("192.168.2.11")), EXPORT, "3", absent) is not None
    assert problem_of(replace(WELL, asker=IPv4Address("192.168.2.50"), mount=13), EXPORT, "3", absent) is not None


def test_a_path_below_an_export_is_not_called_missing() -> None:
    below = replace(WELL, mount=13)
    assert problem_of(below, f"{EXPORT}/esxi", "3", HOSTS) is None
    assert doubt_of(below, f"{EXPORT}/esxi", "3") is not None
    assert problem_of(below, f"{EXPORT}2", "3", HOSTS) is not None


def test_an_empty_list_of_exports_says_nothing() -> None:
    """Ganesha leaves out what the asker may not mount, and the laptop may mount nothing."""
    hidden = replace(WELL, exports=(), mount=13)
    assert problem_of(hidden, EXPORT, "3", HOSTS) is None
    assert doubt_of(hidden, EXPORT, "3") is not None


def test_mountd_behind_a_firewall_and_version_3_for_4_1() -> None:
    shut = replace(WELL, mountd="registered for port 892: no answer within 5 s", exports=None, mount=None)
    problem = problem_of(shut, EXPORT, "3", HOSTS)
    assert problem is not None
    assert "port 892" in problem.what
    problem = problem_of(replace(WELL, nfs4="it does not serve this version of the program"), EXPORT, "4.1", HOSTS)
    assert problem is not None
    assert "offers NFS version 3 only" in problem.what
