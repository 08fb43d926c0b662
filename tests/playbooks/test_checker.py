"""The checker of nginx and nftables balancers: what it makes of answers, how it asks, and how it finds sessions."""

import ast
import asyncio
import json
import os
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from homelab.rehearsal.soap.certificate import self_signed, server_context
from tests.helpers.checker_program import FILES, RENDERERS, checker_module, lay_down
from tests.helpers.tls_server import http, says

from .conftest import PLAYBOOKS

judge, asking, sessions = (checker_module(name) for name in ("judge", "asking", "sessions"))
balancing, service = (checker_module(name) for name in ("balancing", "service"))
types, pools = (checker_module(f"balancer.{name}") for name in ("checker", "pools"))
TIMES = types.Times()
UP, DRAIN, DOWN = judge.UP, judge.DRAIN, judge.DOWN


# -- what is made of answers


def after(*answers: str, state: str = UP, asked: int = 9) -> list[str]:
    """The states of a server after each answer."""
    health, states = judge.Health(state=state, asked=asked), []
    for number, shows in enumerate(answers):
        health = judge.judged(health, judge.Answer(shows, shows), TIMES, 100.0 + number)
        states.append(health.state)
    return states


@pytest.mark.parametrize(
    ("answers", "states"),
    [
        # One question may go wrong, as in a stall of 1.2 s.
        ((DOWN, UP, DOWN, UP), [UP] * 4),
        ((DOWN, DOWN), [UP, DOWN]),
        # A server's own word that it shuts down counts at once, and so does its end.
        ((DRAIN, DRAIN, DOWN, DOWN), [DRAIN, DRAIN, DRAIN, DOWN]),
        ((DRAIN, UP), [DRAIN, UP]),
    ],
)
def test_two_answers_in_a_row_count(answers: tuple[str, ...], states: list[str]) -> None:
    assert after(*answers) == states


def test_a_dead_server_comes_back_by_two_answers() -> None:
    assert after(UP, DOWN, UP, UP, state=DOWN) == [DOWN, DOWN, DOWN, UP]
    assert after(UP, DRAIN, state=DOWN) == [DOWN, DRAIN]


def test_the_first_answer_decides() -> None:
    assert after(DOWN, asked=0) == [DOWN]
    assert after(UP, asked=0) == [UP]


def test_since_is_when_the_state_began() -> None:
    health = judge.Health(since=7.0, asked=1)
    for now, shows in ((8.0, UP), (9.0, DOWN), (10.0, DOWN), (11.0, DOWN)):
        health = judge.judged(health, judge.Answer(shows, shows), TIMES, now)
    assert (health.state, health.since, health.asked, health.failed) == (DOWN, 10.0, 5, 3)


def test_a_question_that_a_stall_spoils_is_followed_by_one_that_outlives_it() -> None:
    assert TIMES.timeout * TIMES.fall >= 2 * 1.2
    # A server that hangs is seen within four seconds.
    assert TIMES.interval + TIMES.timeout * TIMES.fall < 4


def pool(*weights: int, layer: int = 4, name: str = "api", check: str = pools.READYZ) -> Any:
    servers = tuple(pools.Server(f"s{n}", f"192.0.2.{n}", 6443, weight) for n, weight in enumerate(weights, 1))
    return pools.Pool(name, "192.0.2.100", 6443, servers, layer, "weighted", check=check)


@pytest.mark.parametrize(
    ("states", "names"),
    [
        ((UP, DRAIN, DOWN), ["s1"]),
        # Better one that goes than none.
        ((DOWN, DRAIN, DOWN), ["s2"]),
        # A check that is wrong about all of them must not shut the API down.
        ((DOWN, DOWN, DOWN), ["s1", "s2", "s3"]),
    ],
)
def test_who_takes_connections(states: tuple[str, ...], names: list[str]) -> None:
    assert judge.members(pool(1, 1, 1), dict(zip(("s1", "s2", "s3"), states, strict=True))) == names


def test_a_server_without_weight_never_takes_any() -> None:
    assert judge.members(pool(0, 1), {"s1": UP, "s2": DOWN}) == ["s2"]


def test_a_person_drains_what_is_up_and_a_dead_server_stays_dead() -> None:
    assert judge.state_of(judge.Health(state=UP), "s1", ["s1"]) == DRAIN
    assert judge.state_of(judge.Health(state=DOWN), "s1", ["s1"]) == DOWN
    assert judge.state_of(judge.Health(state=UP), "s1", ["s2"]) == UP


def test_sessions_are_ended_of_the_dead_alone() -> None:
    one = judge.picture([pool(1, 1)], {"api": {"s1": DRAIN, "s2": DOWN}})
    assert one.dead == {("192.0.2.2", 6443)}
    assert one.away() == {"api": {("192.0.2.2", 6443)}}
    # All are tried then, and so nobody's sessions are ended.
    assert judge.picture([pool(1, 1)], {"api": {"s1": DOWN, "s2": DOWN}}).dead == set()
    # A server that serves in another pool lives.
    both = judge.picture(
        [pool(1, 1), pool(1, 1, name="twin")], {"api": {"s1": UP, "s2": DOWN}, "twin": {"s1": DOWN, "s2": UP}}
    )
    assert both.dead == set()


def test_of_a_pool_of_whole_addresses_the_whole_server_is_dead() -> None:
    one = judge.picture([pool(1, 1, layer=3, check=pools.PING)], {"api": {"s1": UP, "s2": DOWN}})
    assert (one.dead, one.dead_hosts) == (set(), {"192.0.2.2"})


# -- how it asks


@pytest.fixture(scope="module")
def pair() -> tuple[bytes, bytes]:
    return self_signed("kubernetes.default.svc", "127.0.0.1")


Serve = Callable[[socket.socket], None]


@contextmanager
def server(serve: Serve, pair: tuple[bytes, bytes] | None = None) -> Iterator[Any]:
    """A server on loopback, over TLS with a pair, as the checker knows it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def run() -> None:
            while True:
                try:
                    caller, _ = listener.accept()
                    with server_context(*pair).wrap_socket(caller, server_side=True) if pair else caller as connection:
                        serve(connection)
                except OSError:
                    if over.is_set():
                        return

        over, thread = threading.Event(), threading.Thread(target=run, daemon=True)
        thread.start()
        yield pools.Server("s1", "127.0.0.1", listener.getsockname()[1])
        over.set()
        listener.shutdown(socket.SHUT_RDWR)
        # Before its number goes to the next one, which it would answer for.
        thread.join(10)


def asked(target: Any, check: str, ca_file: Path | None = None) -> tuple[str, str]:
    wanted = pools.Pool("api", "127.0.0.1", 6443, (target,), check=check)
    places = types.Places(ca_file=str(ca_file))
    configuration = types.Configuration("nginx", (wanted,), (), "127.0.0.0/8", 8404, 8405, TIMES, places)
    answer = asyncio.run(asking.ask(configuration, wanted, target))
    return answer.shows, answer.words


SHUTS_DOWN = b"[+]ping ok\n[+]etcd ok\n[-]shutdown failed: reason withheld\nreadyz check failed\n"
NO_ETCD = b"[+]ping ok\n[-]etcd failed: reason withheld\n[+]log ok\nreadyz check failed\n"


# As kube-apiserver words it: `kubectl get --raw /readyz` of one that shuts down, and of one without etcd.
@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (http(b"ok"), (UP, "/readyz answers 200")),
        (http(SHUTS_DOWN, "500 Internal Server Error"), (DRAIN, "/readyz answers 500: it shuts down")),
        (http(NO_ETCD, "500 Internal Server Error"), (DOWN, "/readyz answers 500: etcd failed")),
        (http(b"{}", "401 Unauthorized"), (DOWN, "/readyz answers 401")),
        (b"", (DOWN, "it does not speak HTTP")),
        (b"SSH-2.0-OpenSSH_9.2\r\n", (DOWN, "it does not speak HTTP")),
    ],
)
def test_readyz(pair: tuple[bytes, bytes], tmp_path: Path, answer: bytes, found: tuple[str, str]) -> None:
    ca_file = tmp_path / "ca.crt"
    ca_file.write_bytes(pair[0])
    with server(says(answer), pair) as target:
        assert asked(target, pools.READYZ, ca_file) == found


@pytest.mark.parametrize(
    ("name", "trusted", "words"),
    [
        ("kubernetes.default.svc", False, "its certificate does not hold: self"),
        ("kubernetes.test", True, "its certificate does not hold: Hostname mismatch"),
    ],
)
def test_who_shows_another_certificate_is_not_well(tmp_path: Path, name: str, trusted: bool, words: str) -> None:
    shown, other = self_signed(name, "127.0.0.1"), self_signed(name, "127.0.0.1")
    ca_file = tmp_path / "ca.crt"
    ca_file.write_bytes((shown if trusted else other)[0])
    with server(says(http(b"ok")), shown) as target:
        shows, said = asked(target, pools.READYZ, ca_file)
    assert shows == DOWN
    assert said.startswith(words)


def test_the_deadline_holds_for_who_takes_a_connection_and_says_nothing() -> None:
    released = threading.Event()

    def mute(_: socket.socket) -> None:
        released.wait(10)

    with server(mute) as target:
        assert asked(target, "/healthz") == (DOWN, "no answer in 1.2 s")
        released.set()


def test_nobody_refuses() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        target = pools.Server("s1", "127.0.0.1", listener.getsockname()[1])
    assert asked(target, pools.CONNECT) == (DOWN, "refuses connections")
    assert asked(target, "/healthz") == (DOWN, "refuses connections")


@pytest.mark.parametrize(("status", "shows"), [("204 No Content", UP), ("302 Found", UP), ("404 Not Found", DOWN)])
def test_a_path_of_http(status: str, shows: str) -> None:
    with server(says(http(b"", status))) as target:
        assert asked(target, "/healthz") == (shows, f"/healthz answers {status[:3]}")


def test_a_connection() -> None:
    with server(lambda _: None) as target:
        assert asked(target, pools.CONNECT) == (UP, "takes connections")


# -- sessions


# RFC 1071, 3: the sum of these bytes is ddf2.
def test_the_checksum_of_the_internet() -> None:
    assert asking.internet_checksum(bytes.fromhex("0001f203f4f5f6f7")) == 0xFFFF - 0xDDF2
    # The carry of a carry.
    assert asking.internet_checksum(bytes.fromhex("ffffffff0001")) == 0xFFFE


def test_a_ping_bears_a_right_checksum() -> None:
    assert asking.internet_checksum(asking.echo_request(0x1234, 7)) == 0


def test_a_question_to_a_client_bears_a_right_checksum() -> None:
    packet = sessions.question(("192.0.2.100", 6443), ("192.0.2.50", 40000), 0xFFFFFFFF)
    segment = packet[20:]
    whole = packet[12:20] + struct.pack("!HH", 6, len(segment)) + segment
    assert asking.internet_checksum(whole) == 0
    assert struct.unpack("!HHI", segment[:8]) == (6443, 40000, 0xFFFFFFFF)
    assert segment[13] == 0x10


def test_the_sessions_of_this_machine(tmp_path: Path) -> None:
    """As Linux shows them: address and port in hexadecimal; 01 is established, 0A listens."""
    table = tmp_path / "tcp"
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_connection(listener.getsockname()) as client,
    ):
        table.write_bytes(Path("/proc/net/tcp").read_bytes())
        here, there = client.getsockname(), client.getpeername()
    found = list(sessions.of_this_machine(table))
    assert sessions.Session(here, there, there) in found
    assert [one for one in sessions.left_by(iter(found), {there}, set()) if one.client == here]
    assert not [one for one in sessions.left_by(iter(found), {("192.0.2.9", 1)}, set()) if one.client == here]


# -- the service


def restarted(folder: Path, wanted: Any, told: dict[str, Any]) -> dict[str, Any]:
    """What a service says that finds a state.json where it begins."""
    (folder / "state.json").write_text(json.dumps(told), encoding="utf-8")
    configuration = types.Configuration(
        "nftables", (wanted,), (), "127.0.0.0/8", 8404, 8405, TIMES, types.Places(folder=str(folder))
    )
    state = service.Service(configuration).state()
    assert isinstance(state, dict)
    return state


def test_what_was_known_outlives_a_restart(tmp_path: Path) -> None:
    told = restarted(tmp_path, pool(1, 1), {})
    told["pools"]["api"]["servers"]["s2"] |= {"checked": DOWN, "asked": 7}
    again = restarted(tmp_path, pool(1, 1), told)["pools"]["api"]["servers"]
    assert [(one["state"], one["asked"]) for one in again.values()] == [(UP, 0), (DOWN, 7)]


def test_what_another_version_told_of_a_server_counts_for_nothing(tmp_path: Path) -> None:
    """Or the service would end each time that it begins: the file outlives it."""
    told = restarted(tmp_path, pool(1, 1), {})
    del told["pools"]["api"]["servers"]["s2"]["checked"]
    again = restarted(tmp_path, pool(1, 1), told)["pools"]["api"]["servers"]
    assert again["s2"]["state"] == UP


def test_a_weight_is_told_where_it_counts(tmp_path: Path) -> None:
    by_weight = pool(0, 1)
    for wanted, weights in ((by_weight, [0, 1]), (replace(by_weight, algorithm="roundrobin"), [1, 1])):
        servers = restarted(tmp_path, wanted, {})["pools"]["api"]["servers"].values()
        assert [one["weight"] for one in servers] == weights


def test_who_owns_the_folder_cannot_have_root_write_elsewhere(tmp_path: Path) -> None:
    """`drain` runs as root, and the folder belongs to the service's user."""
    victim = tmp_path / "victim"
    victim.write_text("as it was")
    (tmp_path / f".wanted.json.{os.getpid()}").symlink_to(victim)
    balancing.put(tmp_path / "wanted.json", "{}")
    assert victim.read_text() == "as it was"
    assert ((tmp_path / "wanted.json").read_text(), (tmp_path / "wanted.json").stat().st_mode & 0o777) == ("{}", 0o644)


# -- the program


def test_it_runs_with_what_the_role_lays_down_and_nothing_else(tmp_path: Path) -> None:
    program = lay_down(tmp_path / "lib")
    listed = yaml.safe_load((PLAYBOOKS / "roles/checker/vars/main.yml").read_text(encoding="utf-8"))["checker_files"]
    folder = "{{ checker_folder }}/"
    laid = {file["path"].removeprefix(folder) for file in listed if file["path"].startswith(folder)}
    for path in sorted(program.parent.rglob("*.py")):
        if path.relative_to(program.parent).as_posix() not in laid:
            path.unlink()
    assert {path.relative_to(program.parent).as_posix() for path in program.parent.rglob("*.py")} == laid
    wanted = types.Checker("nginx", (pool(1, 1),), "", 8404, "192.0.2.31", "127.0.0.0/8")
    file = tmp_path / "checker.json"
    file.write_text(types.checker_json(wanted), encoding="utf-8")
    assert run(program, file, "test").returncode == 0
    file.write_text("{}", encoding="utf-8")
    refused = run(program, file, "test")
    assert refused.returncode == 1
    assert f"{file} is no configuration of the checker" in refused.stderr
    assert "Traceback" not in refused.stderr


def run(program: Path, file: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    command = [
        sys.executable,
        "-I",
        "-c",
        f"import sys; sys.path[0:0] = [{str(program.parent)!r}]; import checker; sys.exit(checker.main())",
    ]
    return subprocess.run([*command, "--configuration", str(file), *words], capture_output=True, text=True, timeout=20)


def test_a_wish_names_a_server_that_there_is(tmp_path: Path) -> None:
    program = lay_down(tmp_path / "lib")
    places = types.Places(folder=str(tmp_path / "run"))
    (tmp_path / "run").mkdir()
    file = tmp_path / "checker.json"
    wanted = types.Checker("nginx", (pool(1, 1),), "", 8404, "192.0.2.31", "127.0.0.0/8")
    file.write_text(types.checker_json(wanted, places), encoding="utf-8")
    done = run(program, file, "drain", "s9")
    assert (done.returncode, done.stderr) == (1, "No pool has a server s9; there are s1, s2.\n")
    done = run(program, file, "status")
    assert done.returncode == 1
    assert "told no state yet" in done.stderr


@pytest.mark.parametrize("path", sorted([*FILES.glob("*.py"), *RENDERERS.glob("*.py")]), ids=lambda path: path.name)
def test_the_program_needs_nothing_but_python(path: Path) -> None:
    own = {file.stem for file in FILES.glob("*.py")} | {"balancer", "__future__"}
    tree = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 9))))
    imported = {alias.name for node in tree if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module or "" for node in tree if isinstance(node, ast.ImportFrom) and not node.level}
    assert {name.partition(".")[0] for name in imported} <= sys.stdlib_module_names | own
    assert len(path.read_text(encoding="utf-8").splitlines()) < 300
