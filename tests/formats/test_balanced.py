"""What HAProxy says of its servers, read: recorded from a real one, with every state that it tells."""

from pathlib import Path

import pytest

from homelab.formats.balanced import (
    ServerLook,
    admin_states,
    checker_problem,
    checker_servers,
    haproxy_info,
    haproxy_servers,
)

# HAProxy 2.6.12 of Debian 12 and 3.0.11 of Debian 13, recorded over their admin sockets; docs/reference/fixtures.md.
RECORDED = Path(__file__).parent / "recorded"
OLD = RECORDED / "haproxy-2.6"


def text(folder: Path, name: str) -> str:
    return (folder / name).read_text(encoding="utf-8")


@pytest.fixture
def servers() -> dict[tuple[str, str], ServerLook]:
    found = haproxy_servers(text(OLD, "stat"), text(OLD, "state"))
    return {(server.pool, server.name): server for server in found}


def test_every_server_of_every_pool_is_read_and_nothing_else(servers: dict[tuple[str, str], ServerLook]) -> None:
    api = [("api", f"cp{number}") for number in range(1, 9)]
    assert list(servers) == [*api, ("canary", "w1"), ("canary", "w2")]


@pytest.mark.parametrize(
    ("name", "state", "drained", "answer"),
    [
        ("cp1", "up", False, "200 in 0 ms"),
        ("cp2", "down", False, "500 Internal Server Error"),
        ("cp3", "down", False, "Connection refused"),
        ("cp4", "drain", False, "500, it says that it shuts down"),
        ("cp5", "drain", True, "200 in 0 ms"),
        ("cp6", "down", True, "Connection refused"),
        ("cp7", "maint", False, "in maintenance, so it is not asked"),
        ("cp8", "down", False, "Layer4 timeout"),
    ],
)
def test_states_and_last_answers(
    servers: dict[tuple[str, str], ServerLook], name: str, state: str, drained: bool, answer: str
) -> None:
    server = servers["api", name]
    assert (server.state, server.drained, server.answer) == (state, drained, answer)
    assert server.takes == (name == "cp1")


def test_sessions_addresses_and_weights(servers: dict[tuple[str, str], ServerLook]) -> None:
    first, canary = servers["api", "cp1"], servers["canary", "w1"]
    assert (first.address, first.sessions, first.connections, first.errors) == ("127.0.0.1:18001", 5, 5, 0)
    assert (first.since_seconds, first.weight) == (9, 1)
    assert (canary.sessions, canary.connections, canary.weight, canary.answer) == (0, 3, 10, "connected in 0 ms")


def test_an_answer_while_the_next_question_is_under_way_has_no_number() -> None:
    """Seen on HAProxy 3.0.11: L7OK with the number 0."""
    asking = text(OLD, "stat").replace(",L7OK,200,", ",L7OK,0,")
    assert haproxy_servers(asking, text(OLD, "state"))[0].answer == "well in 0 ms"


def test_a_weight_of_zero_takes_no_connections(servers: dict[tuple[str, str], ServerLook]) -> None:
    assert servers["canary", "w2"].state == "up"
    assert not servers["canary", "w2"].takes


def test_the_program_itself() -> None:
    info = haproxy_info(text(OLD, "info"))
    assert info.version == "2.6.12-1+deb12u4"
    assert 0 < info.uptime_seconds < 60


def test_a_newer_haproxy_is_read_too() -> None:
    new = RECORDED / "haproxy-3.0"
    found = haproxy_servers(text(new, "stat"), text(new, "state"))
    assert [(server.pool, server.name) for server in found] == [("api", f"cp{number}") for number in (1, 2, 3)]
    assert all(server.takes for server in found)
    assert haproxy_info(text(new, "info")).version == "3.0.11-1+deb13u5"


def test_what_the_checker_tells_is_read_the_same() -> None:
    status = text(RECORDED / "checker", "status")
    found = {(server.pool, server.name): server for server in checker_servers(status)}
    told = {name: (one.state, one.drained, one.takes) for (pool, name), one in found.items() if pool == "api"}
    assert told == {
        "cp1": ("up", False, True),
        "cp2": ("drain", True, False),
        "cp3": ("down", False, False),
        "cp4": ("drain", False, False),
    }
    third = found["api", "cp3"]
    assert (third.answer, third.since_seconds, third.address) == ("Connection refused", 3, "192.168.2.23:6443")
    assert (third.sessions, third.connections, third.errors) == (0, None, None)
    assert not found["canary", "w2"].takes
    assert checker_problem(status) == ""


def test_admin_states_are_told_of_servers_that_are_down_too() -> None:
    found = dict(admin_states(text(OLD, "state")))
    assert {name: bits for (_, name), bits in found.items() if bits} == {"cp5": 8, "cp6": 8, "cp7": 1}


@pytest.mark.parametrize("words", ["", "Unknown command.\n", "# pxname,svname\napi-servers,cp1\n"])
def test_what_is_no_answer_is_an_error_and_never_a_server(words: str) -> None:
    with pytest.raises((ValueError, LookupError)):
        assert haproxy_servers(words, words) == "never"
    with pytest.raises((ValueError, LookupError)):
        haproxy_info(words)
