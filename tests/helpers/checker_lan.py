"""A LAN for the checker, in namespaces that the caller has made: three API servers, a balancer, a client."""

import contextlib
import ctypes
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from homelab.formats.balancer import nginx
from homelab.formats.balancer.checker import Checker, Places, checker_json
from homelab.formats.balancer.nftables import Nftables, nftables_rules, proxy_rules
from homelab.formats.balancer.pools import PING, READYZ, Pool, Server
from homelab.rehearsal.soap.certificate import self_signed
from tests.helpers import checker_server
from tests.helpers.checker_program import lay_down
from tests.helpers.checkout import ROOT

VIP, PORT, STATUS, WEB = "192.0.2.100", 6443, 8404, 8000
SERVERS = {f"s{number}": f"192.0.2.{number}" for number in (1, 2, 3)}
BALANCER, CLIENT = "192.0.2.11", "192.0.2.50"
NAME = "kubernetes.default.svc"
PROXY_USER = "www-data"


def until(sentence: str, condition: Callable[[], Any], seconds: float) -> float:
    """Poll until it holds; gives the seconds that it took."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() < began + seconds, f"{sentence}: not within {seconds} s"
        time.sleep(0.02)
    return time.monotonic() - began


def call(*words: str, text: str = "") -> str:
    done = subprocess.run(words, input=text, capture_output=True, text=True, timeout=20)
    assert done.returncode == 0, (words, done.stdout, done.stderr)
    return done.stdout


class Lan:
    """The machines, and what runs on them."""

    def __init__(self, kind: str, work: Path) -> None:
        self.kind, self.work = kind, work
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self.further: tuple[Pool, ...] = ()
        certificate, key = self_signed(NAME, VIP)
        (work / "ca.crt").write_bytes(certificate)
        (work / "pair.pem").write_bytes(certificate + key)
        Path("/run/netns").mkdir(exist_ok=True)
        call("mount", "-t", "tmpfs", "tmpfs", "/run/netns")
        call("ip", "link", "add", "br0", "type", "bridge")
        call("ip", "link", "set", "br0", "up")
        for name, address in {**SERVERS, "lb": BALANCER, "client": CLIENT}.items():
            call("ip", "netns", "add", name)
            call("ip", "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", name)
            call("ip", "link", "set", name, "master", "br0", "up")
            lines = f"link set lo up\naddress add {address}/24 dev eth0\nlink set eth0 up\n"
            call("ip", "-n", name, "-batch", "-", text=lines)
        call("ip", "-n", "lb", "address", "add", f"{VIP}/24", "dev", "eth0")
        self.on("lb", "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")

    def begin(self) -> None:
        """Everything runs, and is well."""
        for name in SERVERS:
            self.start_server(name)
        self.lay_down()

    def on(self, machine: str, *words: str, text: str = "") -> str:
        return call("ip", "netns", "exec", machine, *words, text=text)

    def start(self, name: str, machine: str, *words: str) -> None:
        """A process, whose words go to a file in WORK."""
        with (self.work / f"{name}.log").open("ab") as log:
            command = ["nsenter", f"--net=/run/netns/{machine}", *words]
            self.running[name] = subprocess.Popen(command, stdout=log, stderr=log, cwd=ROOT)

    def signal(self, name: str, number: signal.Signals) -> None:
        self.running[name].send_signal(number)

    def start_server(self, name: str) -> None:
        words = [checker_server.__name__, name, SERVERS[name], str(PORT), str(self.work / "pair.pem")]
        self.start(name, name, sys.executable, "-m", *words)

    def lay_down(self) -> None:
        """What the roles lay down, and the services that they start."""
        self.weigh({})
        self.start("checker", "lb", *self.checker("serve"))
        until("a state", self.servers, 15)
        if self.kind == "nginx":
            self.work.chmod(0o755)
            (self.work / "nginx").mkdir()
            os.chown(self.work / "nginx", 33, 33)
            user = ["setpriv", f"--reuid={PROXY_USER}", f"--regid={PROXY_USER}", "--clear-groups"]
            options = ["-g", f"daemon off; pid {self.work}/nginx/pid;"]
            self.start("nginx", "lb", *user, "nginx", "-e", "stderr", "-c", f"{self.work}/run/nginx.conf", *options)
        until("all servers were asked", lambda: all(server["asked"] for server in self.servers().values()), 15)
        until("all are well", lambda: self.states() == ["up"] * 3 and self.status("/ready")[0] == 200, 15)

    def weigh(self, weights: dict[str, int], layer: int = 4) -> None:
        """The files, with the API servers' weights; at layer 3 they are asked by a ping."""
        algorithm = "weighted" if weights else "roundrobin"
        servers = tuple(Server(name, address, PORT, weights.get(name, 1)) for name, address in SERVERS.items())
        pools = (Pool("api", VIP, PORT, servers, layer, algorithm, check=READYZ if layer == 4 else PING), *self.further)
        places = Places(
            folder=str(self.work / "run"),
            ca_file=str(self.work / "ca.crt"),
            rules=str(self.work / "rules.nft"),
            nginx_conf=str(self.work / "nginx.conf"),
            nginx_pid=str(self.work / "nginx/pid"),
        )
        rules = proxy_rules(PROXY_USER) if self.kind == "nginx" else nftables_rules(Nftables(pools))
        (self.work / "rules.nft").write_text(rules)
        wanted_nginx = nginx.Nginx(pools, STATUS + 1, "certificate.pem")
        on_nginx = nginx.Places(certificates=str(self.work / "nginx"), temporary=str(self.work / "temporary"))
        text = nginx.nginx_conf(wanted_nginx, on_nginx)
        (self.work / "nginx.conf").write_text(text)
        wanted = Checker(self.kind, pools, "", STATUS, BALANCER, "192.0.2.0/24")
        (self.work / "checker.json").write_text(checker_json(wanted, places))
        if not (self.work / "lib").exists():
            lay_down(self.work / "lib")

    def start_web(self, name: str) -> None:
        """A member of a pool at layer 7, which answers its name."""
        folder = self.work / f"web-{name}"
        (folder / "site").mkdir(parents=True, exist_ok=True)
        (folder / "site/index.html").write_text(f"{name}\n")
        words = ["-m", "http.server", "--bind", SERVERS[name], "--directory", str(folder), str(WEB)]
        self.start(f"web-{name}", name, sys.executable, *words)

    def balance_web(self, *names: str) -> None:
        """A pool at layer 7 beside the API: TLS ends at the balancer, with a key that nobody but nginx reads."""
        (self.work / "temporary").mkdir()
        shown = self.work / "nginx/certificate.pem"
        shown.write_bytes((self.work / "pair.pem").read_bytes())
        shown.chmod(0o400)
        shutil.chown(shown, PROXY_USER, PROXY_USER)
        for name in names:
            self.start_web(name)
        members = tuple(Server(name, SERVERS[name], WEB) for name in names)
        self.further = (Pool("site", VIP, 8443, members, 7, "roundrobin", path="/site", check="/", tls=True),)
        self.weigh({})

    def checker(self, *words: str) -> list[str]:
        program = [sys.executable, "-B", str(self.work / "lib/checker.py")]
        return [*program, "--configuration", str(self.work / "checker.json"), *words]

    def state(self) -> dict[str, Any]:
        try:
            read = json.loads((self.work / "run/state.json").read_text())
        except FileNotFoundError:
            return {}
        assert isinstance(read, dict)
        return read

    def servers(self) -> dict[str, Any]:
        return dict(self.state().get("pools", {}).get("api", {}).get("servers", {}))

    def states(self) -> list[str]:
        return [server["state"] for server in self.servers().values()]

    def told(self) -> str:
        """The last words of everything that runs."""
        return f"{self.state()}\n" + "\n".join(
            f"{log.name}: {log.read_text()[-1500:]}" for log in self.work.glob("*.log")
        )

    def status(self, path: str) -> tuple[int, str]:
        """What the checker's own port answers to a machine of the network."""
        with self.called(BALANCER, STATUS) as caller:
            caller.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
            head, _, body = b"".join(iter(lambda: caller.recv(65536), b"")).partition(b"\r\n\r\n")
        return int(head.split()[1]), body.decode()

    @contextmanager
    def called(self, address: str, port: int) -> Iterator[socket.socket]:
        """A connection from the client."""
        before = os.open("/proc/self/ns/net", os.O_RDONLY)
        client = os.open("/run/netns/client", os.O_RDONLY)
        try:
            enter(client)
            made = socket.socket()
        finally:
            enter(before)
            os.close(before)
            os.close(client)
        with made:
            made.settimeout(5)
            made.connect((address, port))
            yield made

    @contextmanager
    def asked(self, path: str, port: int = PORT) -> Iterator[tuple[str, ssl.SSLSocket]]:
        """A request through the balancer: the name of who answered, and the connection."""
        trust = ssl.create_default_context(cafile=str(self.work / "ca.crt"))
        with self.called(VIP, port) as plain, trust.wrap_socket(plain, server_hostname=NAME) as caller:
            caller.sendall(f"GET {path} HTTP/1.1\r\nHost: {NAME}\r\n\r\n".encode())
            data = b""
            while b"\n" not in data.partition(b"\r\n\r\n")[2]:
                piece = caller.recv(65536)
                if not piece:
                    raise ConnectionError("closed without an answer")
                data += piece
            yield data.partition(b"\r\n\r\n")[2].split()[0].decode(), caller

    def answers(self, path: str = "/version", port: int = PORT) -> str:
        """Who answers one request, empty when nobody does."""
        with contextlib.suppress(OSError), self.asked(path, port) as (name, _):
            return name
        return ""

    def watches(self, stack: contextlib.ExitStack) -> dict[str, ssl.SSLSocket]:
        """A watch on each server, on which nothing ever happens."""
        found: dict[str, ssl.SSLSocket] = {}
        while len(found) < len(SERVERS):
            name, caller = stack.enter_context(self.asked("/watch"))
            found.setdefault(name, caller)
        return found


def enter(space: int) -> None:
    """setns(2); in Python since 3.12."""
    assert ctypes.CDLL(None, use_errno=True).setns(space, 0) == 0


def ended_after(caller: ssl.SSLSocket, seconds: float) -> float:
    """How long a connection lives; AssertionError when it outlives the time."""
    began = time.monotonic()
    caller.settimeout(seconds)
    try:
        assert caller.recv(1) == b""
    except TimeoutError:
        raise AssertionError(f"it lives after {seconds} s") from None
    except OSError:
        pass
    return time.monotonic() - began


def lives(caller: ssl.SSLSocket) -> bool:
    caller.settimeout(0.05)
    try:
        return bool(caller.recv(1))
    except TimeoutError:
        return True
    except OSError:
        return False
