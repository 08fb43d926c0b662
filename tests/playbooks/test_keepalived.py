"""The role keepalived: its configuration, read by keepalived itself, and the check that it runs."""

import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from homelab.formats.balancer.keepalived import Keepalived, keepalived_conf

from .conftest import PLAYBOOKS

KEEPALIVED = shutil.which("keepalived", path="/usr/sbin:/usr/local/sbin:/usr/local/bin:/usr/bin")
BASH = shutil.which("bash")

Rendered = Callable[..., str]


def in_namespace(command: str) -> subprocess.CompletedProcess[str]:
    """Runs a shell command in a network namespace of its own."""
    words = ["unshare", "--map-root-user", "--net", "sh", "-c", command]
    return subprocess.run(words, capture_output=True, text=True, timeout=20)


def has_namespaces() -> bool:
    """Whether this machine lets us make a network namespace with a bridge in it."""
    tools = shutil.which("unshare") and shutil.which("ip")
    return bool(tools) and in_namespace("ip link add lan0 type bridge").returncode == 0


IN_NAMESPACE = has_namespaces()


@pytest.fixture
def configuration() -> Rendered:
    def rendered(peers: Sequence[str] = ("192.168.2.32",), check: str = "/etc/keepalived/haproxy-ready") -> str:
        wanted = Keepalived(
            name="lb1",
            virtual_address="192.168.2.100",
            prefix_length=24,
            address="192.168.2.31",
            peers=peers,
            interface="lan0",
            router_id=100,
            priority=150,
            status_port=8404,
        )
        return keepalived_conf(wanted, check)

    return rendered


@pytest.mark.skipif(
    KEEPALIVED is None or not IN_NAMESPACE, reason="needs keepalived and a network namespace of its own"
)
@pytest.mark.parametrize("peers", [["192.168.2.32"], ["192.168.2.32", "192.168.2.33"], []])
def test_keepalived_takes_it(configuration: Rendered, tmp_path: Path, peers: list[str]) -> None:
    file = tmp_path / "keepalived.conf"
    # keepalived refuses a script in a folder that others may write to, such as a test's; this one is everywhere.
    file.write_text(configuration(peers=peers, check="/bin/true"), encoding="utf-8")
    interface = "ip link add lan0 type bridge && ip address add 192.168.2.31/24 dev lan0 && ip link set lan0 up"
    answer = in_namespace(f"{interface} && exec {KEEPALIVED} -t -f {file}")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "WARNING" not in answer.stdout + answer.stderr


def test_all_start_as_backups_and_a_move_is_never_made_twice(configuration: Rendered) -> None:
    words = configuration().split()
    assert "MASTER" not in words
    assert "nopreempt" in words


def test_peers_are_told_one_by_one_and_left_out_when_there_are_none(configuration: Rendered) -> None:
    assert "unicast_peer {\n        192.168.2.32\n    }" in configuration()
    assert "unicast_peer" not in configuration(peers=[])


def test_nobody_but_a_peer_is_listened_to(configuration: Rendered) -> None:
    """Another lab of the same network may have the same number, which is the last octet of its own address."""
    assert "vrrp_check_unicast_src" in configuration().split()
    assert "vrrp_check_unicast_src" not in configuration(peers=[]).split()
    assert "skip_check_adv_addr" not in configuration(peers=[])


# Three machines on one bridge: ours is lan1, lan2 has the address 192.0.2.100 besides its own 192.0.2.2.
HOLDERS = """
ip link set lo up; ip link add lan0 type bridge; ip link set lan0 up
ip link add lan1 type veth peer name plug1; ip link set plug1 master lan0 up; ip link set lan1 up
ip address add 192.0.2.1/24 dev lan1
unshare --net sh -c 'ip link set lo up; sleep 20' & other=$!
ip link add lan2 type veth peer name plug2; ip link set plug2 master lan0 up
until [ "$(readlink /proc/$other/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.05; done
ip link set lan2 netns $other
nsenter -t $other -n ip link set lan2 up
nsenter -t $other -n ip address add 192.0.2.2/24 dev lan2
nsenter -t $other -n ip address add 192.0.2.100/32 dev lan2
exec python3 -c '
import importlib.util
spec = importlib.util.spec_from_file_location("address_holder", "{module}")
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
tell = lambda *asked: "stranger" if module.stranger(*asked, 1.5) else "nobody"
print(tell("192.0.2.100", []), tell("192.0.2.100", ["192.0.2.2"]), tell("192.0.2.101", []), tell("192.0.2.1", []))
'
"""


@pytest.mark.skipif(not IN_NAMESPACE, reason="needs a network namespace of its own")
def test_an_address_that_a_stranger_has_is_told_and_one_of_a_peer_is_not() -> None:
    script = HOLDERS.replace("{module}", str(PLAYBOOKS / "library" / "address_holder.py"))
    script = script.replace("python3", sys.executable)
    words = [
        "unshare",
        "--map-root-user",
        "--net",
        "--pid",
        "--fork",
        "--kill-child",
        "--mount-proc",
        "sh",
        "-c",
        script,
    ]
    done = subprocess.run(words, capture_output=True, text=True, timeout=30)
    assert done.stdout.split() == ["stranger", "nobody", "nobody", "nobody"], done.stderr


@contextmanager
def answering(*answers: bytes | None) -> Iterator[int]:
    """A server on loopback that gives each caller the next answer, and, told None, stays mute; yields its port."""
    done = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            for answer in answers:
                caller, _ = server.accept()
                with caller:
                    caller.recv(4096)
                    if answer is None:
                        done.wait(10)
                    else:
                        caller.sendall(answer)

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        done.set()


def check(render: Rendered, folder: Path, port: int) -> int:
    """The exit code of the check, run against a port."""
    script = folder / "haproxy-ready"
    script.write_text(render("keepalived", "haproxy-ready.j2", keepalived_status_port=port), encoding="utf-8")
    assert BASH is not None
    return subprocess.run([BASH, str(script)], capture_output=True, timeout=10).returncode


needs_bash = pytest.mark.skipif(BASH is None, reason="bash is not installed here")
READY = b"HTTP/1.0 200 OK\r\n\r\n"
UNREADY = b"HTTP/1.0 503 Service Unavailable\r\n\r\n"


@needs_bash
@pytest.mark.parametrize("answers", [[READY], [UNREADY, READY], [b"", READY]])
def test_the_check_is_content_with_200_in_one_of_two_answers(
    render: Rendered, tmp_path: Path, answers: list[bytes]
) -> None:
    with answering(*answers) as port:
        assert check(render, tmp_path, port) == 0


@needs_bash
@pytest.mark.parametrize("answers", [[UNREADY, UNREADY], [b"", b""], [None]])
def test_the_check_is_content_with_nothing_else(render: Rendered, tmp_path: Path, answers: list[bytes | None]) -> None:
    with answering(*answers) as port:
        assert check(render, tmp_path, port) != 0


@needs_bash
def test_the_check_fails_when_nobody_listens(render: Rendered, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert check(render, tmp_path, port) != 0
