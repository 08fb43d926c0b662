"""A balancer as the port sees it: a real HAProxy process, and the very script that runs on a guest."""

import json
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from homelab.errors import HostFault, Refused, Unreachable
from homelab.formats.balanced import ServerLook
from homelab.ports.guest import balancer
from homelab.ports.guest.balancer import BalancerLook
from homelab.ports.ssh import Login, Output

HAPROXY = shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin:/usr/local/bin:/usr/bin")
pytestmark = pytest.mark.skipif(HAPROXY is None, reason="HAProxy is not installed here")
CONFIGURATION = """\
global
    stats socket {folder}/admin.sock mode 660 level admin expose-fd listeners
    server-state-file {folder}/haproxy.state
defaults
    mode tcp
    load-server-state-from-file global
    timeout connect 2s
    timeout client 30s
    timeout server 30s
frontend api
    bind 127.0.0.1:{port}
    default_backend api-servers
backend api-servers
    option httpchk GET /readyz
    default-server check inter 200ms fall 2 rise 1
{servers}
"""


class Ready(BaseHTTPRequestHandler):
    """An API server that is ready."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


class Here:
    """A shell on this machine, with the guest's paths in a folder."""

    login = Login("lb1", "127.0.0.1", 22, "homelab", 5.0)

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def run(self, argv: list[str], *, stdin: str, seconds: float | None, writes: bool) -> Output:
        assert argv[:4] == ["sudo", "-n", "python3", "-"]
        script = stdin.replace("/run/haproxy/admin.sock", f"{self._folder}/admin.sock")
        script = script.replace("/var/lib/homelab/haproxy.state", f"{self._folder}/haproxy.state")
        assert script.count(str(self._folder)) == 2
        done = subprocess.run([sys.executable, *argv[3:]], input=script, capture_output=True, text=True, timeout=20)
        assert done.returncode == 0, done.stderr
        return Output(0, f"Welcome to lb1!\n{done.stdout}", "")


class Process:
    """HAProxy in front of servers of which `up` answer; reloaded and restarted as systemd does it."""

    def __init__(self, folder: Path, up: dict[str, bool]) -> None:
        self.folder = folder
        self._web = ThreadingHTTPServer(("127.0.0.1", 0), Ready)
        threading.Thread(target=self._web.serve_forever, daemon=True).start()
        with socket.create_server(("127.0.0.1", 0)) as free:
            closed = free.getsockname()[1]
        ports = {name: self._web.server_address[1] if is_up else closed for name, is_up in up.items()}
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        servers = "\n".join(f"    server {name} 127.0.0.1:{port}" for name, port in ports.items())
        text = CONFIGURATION.format(folder=folder, port=self.port, servers=servers)
        (folder / "haproxy.cfg").write_text(text, encoding="utf-8")
        (folder / "haproxy.state").write_text("1\n", encoding="utf-8")
        self.start()

    def start(self) -> None:
        command = [str(HAPROXY), "-W", "-db", "-f", str(self.folder / "haproxy.cfg")]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(20)

    def reload(self) -> None:
        """Returns when the new worker answers on the admin socket."""
        before = self.worker()
        self._process.send_signal(12)
        until(lambda: self.worker() not in (before, ""))

    def worker(self) -> str:
        with socket.socket(socket.AF_UNIX) as admin:
            try:
                admin.connect(str(self.folder / "admin.sock"))
                admin.sendall(b"show info\n")
                said = admin.makefile().read()
            except OSError:
                return ""
        return next((line for line in said.splitlines() if line.startswith("Pid: ")), "")

    def close(self) -> None:
        self.stop()
        self._web.shutdown()
        self._web.server_close()


def until(condition: Callable[[], object]) -> None:
    deadline, pause = time.monotonic() + 20, threading.Event()
    while not condition():
        assert time.monotonic() < deadline
        pause.wait(0.05)


Run = Callable[..., Process]


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    """Runs HAProxy; by its servers' names, whether each is up."""
    running: list[Process] = []

    def begun(**up: bool) -> Process:
        running.append(Process(tmp_path, up))
        until(lambda: {one.name: one.state == "up" for one in looked(tmp_path).servers} == up)
        return running[-1]

    yield begun
    for process in running:
        process.close()


def looked(folder: Path) -> BalancerLook:
    return balancer.look(Here(folder), "haproxy", "192.0.2.100")  # type: ignore[arg-type]


def server(folder: Path, name: str) -> ServerLook:
    return next(one for one in looked(folder).servers if one.name == name)


def put(folder: Path, state: str, name: str, *pools: str, last: bool = False) -> None:
    servers = dict.fromkeys(pools or ("api",), name)
    balancer.set_servers(Here(folder), "haproxy", state, servers, last=last)  # type: ignore[arg-type]


def test_a_look_tells_the_program_and_every_server(run: Run, tmp_path: Path) -> None:
    run(cp1=True, cp2=False)
    look = looked(tmp_path)
    assert look.version
    assert look.uptime_seconds is not None
    assert (look.problem, look.holds_vip) == ("", False)
    assert [(one.pool, one.name, one.takes) for one in look.servers] == [("api", "cp1", True), ("api", "cp2", False)]


def test_a_drained_server_gets_no_new_connection_until_it_is_ready(run: Run, tmp_path: Path) -> None:
    process = run(cp1=True, cp2=True)
    put(tmp_path, "drain", "cp1")
    assert (server(tmp_path, "cp1").state, server(tmp_path, "cp1").drained) == ("drain", True)
    for _ in range(6):
        socket.create_connection(("127.0.0.1", process.port), 2).close()
    until(lambda: server(tmp_path, "cp2").connections == 6)
    assert server(tmp_path, "cp1").connections == 0
    put(tmp_path, "ready", "cp1")
    assert server(tmp_path, "cp1").takes


def test_a_drain_outlives_a_reload_and_a_restart_and_its_end_does_too(run: Run, tmp_path: Path) -> None:
    process = run(cp1=True, cp2=True, cp3=False)
    put(tmp_path, "drain", "cp1")
    put(tmp_path, "drain", "cp3")
    for again in (process.reload, process.stop):
        again()
        if again == process.stop:
            process.start()
            until(process.worker)
        assert [one.drained for one in looked(tmp_path).servers] == [True, False, True]
    # What else HAProxy knew is not kept: a server that was down is asked anew.
    assert "cp2" not in (tmp_path / "haproxy.state").read_text()
    put(tmp_path, "ready", "cp1")
    put(tmp_path, "ready", "cp3")
    process.reload()
    assert not any(one.drained for one in looked(tmp_path).servers)


def test_the_last_one_is_refused_at_the_act_itself(run: Run, tmp_path: Path) -> None:
    run(cp1=True, cp2=False)
    with pytest.raises(Refused, match="no other server of the pool api takes connections"):
        put(tmp_path, "drain", "cp1")
    assert server(tmp_path, "cp1").takes
    put(tmp_path, "drain", "cp1", last=True)
    assert server(tmp_path, "cp1").drained


def test_what_haproxy_does_not_do_is_told(run: Run, tmp_path: Path) -> None:
    run(cp1=True, cp2=True)
    with pytest.raises(HostFault, match="No such server"):
        put(tmp_path, "ready", "cp9")


def test_a_program_that_does_not_answer_is_a_problem_and_no_error(tmp_path: Path) -> None:
    look = looked(tmp_path)
    assert look.problem.startswith("haproxy does not answer: No such file or directory (haproxy.service is")
    assert look.servers == ()


CHECKED = (Path(__file__).parents[2] / "formats" / "recorded" / "checker" / "status").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("kind", "said", "version"),
    [("nginx", "nginx version: nginx/1.22.1", "1.22.1"), ("nftables", "nftables v1.0.6 (Lester Gooch #5)", "1.0.6")],
)
def test_nginx_and_nftables_are_read_by_their_checker(
    kind: str, said: str, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    problem = CHECKED.replace('"problem": ""', '"problem": "nft does not take the rules"')
    for status, told in ((CHECKED, ""), (problem, "nft does not take the rules")):
        units = {"keepalived.service": "active", "homelab-checker.service": "active"}
        answer = {"status": status, "version": said, "uptime": "42"}
        whole = json.dumps({"units": units, "holds": True, "told": answer, "problem": ""})
        monkeypatch.setattr(Here, "run", lambda *_, whole=whole, **__: Output(0, whole, ""))
        look = balancer.look(Here(Path("/nowhere")), kind, "192.0.2.100")  # type: ignore[arg-type]
        assert (look.kind, look.version, look.uptime_seconds, look.problem) == (kind, version, 42, told)
        assert len(look.servers) == 6


@pytest.mark.parametrize("said", ["", "Welcome!\n", "[]\n", "{}\n", '{"units": {}, "holds": 1, "told": {}}\n'])
def test_an_answer_that_is_none_is_told_in_words(said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Here, "run", lambda *_, **__: Output(0, said, ""))
    with pytest.raises(HostFault, match="said something else"):
        looked(Path("/nowhere"))


def test_a_machine_that_goes_away_while_it_is_asked_is_away_and_no_riddle(monkeypatch: pytest.MonkeyPatch) -> None:
    half = Output(-1, '{"units": {"keepalived.service": "act', "")
    monkeypatch.setattr(Here, "run", lambda *_, **__: half)
    with pytest.raises(Unreachable, match="the connection broke"):
        looked(Path("/nowhere"))


def test_a_guest_without_python_or_sudo_says_so_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Here, "run", lambda *_, **__: Output(1, "", "sudo: a password is required\n"))
    with pytest.raises(HostFault, match="sudo: a password is required"):
        looked(Path("/nowhere"))
