"""An SSH server that is none, a command that never ends, and files of ours that cannot be read: each in words."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import paramiko
import pytest

from homelab.errors import HomelabError, HostFault, Unreachable
from homelab.ports import ssh
from homelab.ports.files.home import HomeFiles
from homelab.ports.guest import look as guest
from homelab.rehearsal.shell.server import new_host_key
from tests.helpers.tls_server import greets, serving
from tests.ports.test_ssh_old_hosts import kexinit

KEY = new_host_key()


def login(port: int, timeout: float = 2, **more: object) -> ssh.Login:
    options: dict[str, object] = {"password": "right"} | more
    return ssh.Login("cp1", "127.0.0.1", port, "root", timeout, **options)  # type: ignore[arg-type]


class Server(paramiko.ServerInterface):
    """Takes every password and every command; what a command does is `act`."""

    def check_auth_password(self, username: str, password: str) -> int:
        return paramiko.common.AUTH_SUCCESSFUL

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return paramiko.common.OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        threading.Thread(target=self.act, args=(channel, command), daemon=True).start()
        return True

    def act(self, channel: paramiko.Channel, command: bytes) -> None:
        threading.Event().wait(0.05)
        with socket_errors():
            if command.startswith(b"flood"):
                while True:
                    channel.sendall(b"x" * 32768)
            if command.startswith(b"trickle"):
                while not channel.closed:
                    channel.sendall(b".")
                    threading.Event().wait(0.05)
            if command.startswith(b"mute"):
                return
            if command.startswith(b"drop"):
                channel.get_transport().close()
                return
            channel.sendall(b"hello \xff")
            channel.sendall_stderr(b"oops \xfe")
            if not command.startswith(b"nostatus"):
                channel.send_exit_status(3)
            channel.close()


@contextmanager
def socket_errors() -> Iterator[None]:
    try:
        yield
    except (OSError, EOFError, paramiko.SSHException):
        return


@pytest.fixture
def port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with socket_errors():
                while True:
                    connection, _ = listener.accept()
                    transport = paramiko.Transport(connection)
                    transport.add_server_key(KEY)
                    transport.start_server(server=Server())

        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]


@pytest.mark.parametrize(
    "greeting",
    [
        b"",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"SSH-2.0-Open",
        b"SSH-1.5-old\r\n",
        b"SSH-2.0-x\r\n" + b"\xff" * 4096,
        b"SSH-2.0-x\r\n" + kexinit()[:100] + b"\0" * 200,
        b"\xff\xfe\xfd\r\n" * 200,
    ],
    ids=["mute", "http", "banner cut", "version 1", "garbage", "kex cut", "bytes"],
)
def test_what_is_no_ssh_server_is_told_within_the_deadline(greeting: bytes, tmp_path: Path) -> None:
    began = time.monotonic()
    with serving(greets(greeting), tls=False) as port, pytest.raises(HomelabError) as caught:  # noqa: SIM117
        with ssh.connect(login(port, 1), HomeFiles(tmp_path), print):
            pass
    assert isinstance(caught.value, Unreachable | HostFault)
    assert caught.value.where == f"cp1 (127.0.0.1:{port}, SSH)"
    assert time.monotonic() - began < 10


def test_output_and_status_of_a_command(port: int, tmp_path: Path) -> None:
    with ssh.connect(login(port), HomeFiles(tmp_path), print) as shell:
        assert shell.run(["say"]) == ssh.Output(3, "hello \ufffd", "oops \ufffd")
        assert shell.run(["nostatus"]).status == -1
        with pytest.raises(HostFault, match="ended with status 3 and said: oops"):
            shell.must(["say"])


@pytest.mark.parametrize("command", ["trickle", "mute"])
def test_a_command_that_never_ends_is_left_at_the_deadline(command: str, port: int, tmp_path: Path) -> None:
    began = time.monotonic()
    with ssh.connect(login(port), HomeFiles(tmp_path), print) as shell:
        with pytest.raises(Unreachable, match=f"`{command}` did not end within 1 s"):
            shell.run([command], seconds=1)
        assert time.monotonic() - began < 10
        assert shell.run(["say"]).status == 3


def test_a_command_that_prints_without_end_is_left(port: int, tmp_path: Path) -> None:
    too_much = pytest.raises(HostFault, match="`flood` printed more than 4 MiB")
    with ssh.connect(login(port, 30), HomeFiles(tmp_path), print) as shell, too_much:
        shell.run(["flood"])


def test_a_line_that_drops_is_told(port: int, tmp_path: Path) -> None:
    with ssh.connect(login(port), HomeFiles(tmp_path), print) as shell:
        assert shell.run(["drop"]).status == -1
        with pytest.raises(Unreachable, match="the connection broke while running `say`"):
            shell.run(["say"])


def test_a_guest_that_answers_something_else_is_told(
    port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ssh.connect(login(port), HomeFiles(tmp_path), print) as shell:
        for said in ("", "hello", "[]", '{"receipts": 3}', "null", "Welcome\n{}"):
            monkeypatch.setattr(shell, "must", lambda *_, said=said, **__: said)
            with pytest.raises(HostFault, match="was asked how it stands and said something else"):
                guest.look(shell)
        whole = (
            '{"cloud_init": "done", "receipts": {}, "cluster_ca": null, "traces": [], "drained": [], '
            '"certificates": {}, "kubernetes_version": "", "upgrading": false}'
        )
        monkeypatch.setattr(shell, "must", lambda *_, **__: f"Welcome to cp1\n{whole}\n")
        assert guest.look(shell).cloud_init == "done"


def test_a_key_that_is_gone_is_no_fault_of_the_guest_s(port: int, tmp_path: Path) -> None:
    wanted = login(port, password=None, key=tmp_path / "id_ed25519")
    with pytest.raises(HomelabError, match="the private key cannot be read") as caught:  # noqa: SIM117
        with ssh.connect(wanted, HomeFiles(tmp_path), print):
            pass
    assert not isinstance(caught.value, Unreachable)
