"""The pools as a picture, as tables, and what changed between two looks."""

import io
from typing import Any

import pytest
from rich.console import Console

from homelab.formats.balanced import ServerLook
from homelab.output.pools import changes, picture, plain, remarks
from homelab.output.screen import Screen
from homelab.output.signs import ASCII, UNICODE, Signs
from homelab.ports.guest.balancer import BalancerLook
from homelab.ports.guest.look import GuestAway
from homelab.steps.guests.balancers import Balance, Seen, balance_of
from tests.helpers.sample import sample_lab

LAB = sample_lab()
GONE = GuestAway("lb1 answers on SSH (no SSH connection: [Errno 113] No route to host)")


def server(name: str, sessions: int = 0, state: str = "up", **more: Any) -> ServerLook:
    usual = {"drained": False, "answer": "200 in 3 ms", "connections": 9, "errors": 0, "since_seconds": 720}
    return ServerLook("api", name, "192.168.2.21:6443", state, sessions=sessions, **{**usual, **more})


def seen(*servers: ServerLook, holds: bool = False, **more: Any) -> BalancerLook:
    return BalancerLook("haproxy", holds, "active", "2.6.12-1+deb12u4", 11520, servers, **more)


def balance(lb1: Seen, lb2: Seen) -> Balance:
    return balance_of(LAB, {"lb1": lb1, "lb2": lb2})


WELL = (server("cp1"), server("cp2"), server("cp3"))
BUSY = balance(
    seen(
        server("cp1", 8),
        server("cp2", 4, "drain", drained=True),
        server("cp3", 0, "down", answer="Connection refused", since_seconds=3, errors=2),
        holds=True,
    ),
    seen(server("cp1"), server("cp2", 0, "drain", drained=True), server("cp3")),
)


def drawn(found: Balance, width: int = 60, signs: Signs = UNICODE) -> str:
    return "\n".join("".join(text for text, _ in line) for line in picture(found, width, signs))


def test_a_picture_of_60_columns() -> None:
    assert (
        drawn(BUSY)
        == """\
lb1  holds 192.168.2.100  haproxy 2.6.12, up 3 h 12 min
lb2  stands by            haproxy 2.6.12, up 3 h 12 min

192.168.2.100:6443  api, layer 4, leastconn, 12 sessions
 ├─ cp1  up    ██████████████████████░░░░░░░░░░░  67%      8
 │    /readyz: 200 in 3 ms; for 12 min
 ├─ cp2  drain ███████████░░░░░░░░░░░░░░░░░░░░░░  33%      4
 │    drained; /readyz: 200 in 3 ms; for 12 min
 └─ cp3  down  ░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░   0%      0
      lb1: down; /readyz: Connection refused; for 3 s, 2
      errors
      lb2: up; /readyz: 200 in 3 ms; for 12 min
! cp2 is drained; `homelab lb ready cp2` ends that"""
    )


def test_without_sessions_the_shares_are_those_of_all_connections_so_far() -> None:
    servers = (server("cp1", connections=30), server("cp2", connections=10), server("cp3", connections=0))
    text = drawn(balance(seen(*servers, holds=True), GONE), signs=ASCII)
    assert "192.168.2.100:6443  api, layer 4, leastconn, 40 so far" in text
    assert [line.split("%")[0].split()[-1] for line in text.splitlines() if "%" in line] == ["75", "25", "0"]


def test_a_live_picture_shows_the_shares_of_the_latest_connections() -> None:
    before = balance(seen(server("cp1", connections=30), server("cp2", connections=40), holds=True), GONE)
    after = balance(seen(server("cp1", connections=33), server("cp2", connections=1), holds=True), GONE)
    text = "\n".join("".join(text for text, _ in line) for line in picture(after, 60, ASCII, before))
    assert "leastconn, 4 new" in text
    assert [line.split("%")[0].split()[-1] for line in text.splitlines() if "%" in line] == ["75", "25"]


@pytest.mark.parametrize("width", [40, 60, 79, 200])
@pytest.mark.parametrize("signs", [UNICODE, ASCII], ids=["unicode", "ascii"])
def test_no_line_is_longer_than_the_terminal_is_wide(width: int, signs: Signs) -> None:
    for found in (BUSY, balance(GONE, GONE), balance(seen(*WELL, problem=""), GONE)):
        text = drawn(found, width, signs)
        assert max(map(len, text.splitlines())) <= width
        assert signs is UNICODE or text.isascii()


def test_a_balancer_that_is_away_is_told_with_the_reason_in_full() -> None:
    text = drawn(balance(GONE, seen(*WELL, holds=True)))
    told = " ".join(text.split())
    assert "lb1 away cannot be asked until lb1 answers on SSH (no SSH connection: [Errno 113] No route to host)" in told
    assert "lb2  holds 192.168.2.100" in text


def test_a_program_that_does_not_answer_and_a_keepalived_that_is_not_active() -> None:
    broken = BalancerLook("haproxy", False, "failed", problem="haproxy does not answer: Connection refused")
    ill = BalancerLook("haproxy", True, "failed", "2.6.12", 60, WELL)
    text = drawn(balance(broken, ill), 80)
    assert "haproxy does not answer: Connection refused" in text
    assert "lb2  holds 192.168.2.100  haproxy 2.6.12, up 1 min, keepalived is failed" in text


def test_plain_tables_name_every_server_of_every_balancer() -> None:
    lines = plain(BUSY)
    assert lines[0].split() == ["BALANCER", "VIP", "KIND", "VERSION", "UP", "FOR", "KEEPALIVED", "PROBLEM"]
    assert "api   cp3     lb1       down   3 s     0         2       /readyz  Connection refused" in lines
    assert len([line for line in lines if line.startswith("api ")]) == 6
    assert lines[-1] == "! cp2 is drained; `homelab lb ready cp2` ends that"


def test_nobody_and_two_with_the_address_are_told_and_a_drain_on_one_balancer_only() -> None:
    assert remarks(balance(seen(*WELL), seen(*WELL))) == ["no balancer holds 192.168.2.100"]
    assert remarks(balance(seen(*WELL), GONE)) == ["no balancer that answers holds 192.168.2.100"]
    assert remarks(balance(seen(*WELL, holds=True), seen(*WELL, holds=True))) == ["lb1 and lb2 hold 192.168.2.100"]
    assert remarks(balance(GONE, GONE)) == []
    half = balance(seen(server("cp1", drained=True), holds=True), seen(server("cp1")))
    assert remarks(half) == ["cp1 is drained on lb1; `homelab lb ready cp1` ends that"]


def test_what_changes_is_told_once() -> None:
    before = balance(seen(*WELL, holds=True), seen(*WELL))
    assert changes(before, before) == []
    down = server("cp2", 0, "down", answer="Layer4 timeout")
    assert changes(before, balance(seen(*WELL, holds=True), seen(WELL[0], down, WELL[2]))) == [
        "api/cp2 as lb2 sees it: up -> down (Layer4 timeout)"
    ]
    assert changes(before, balance(GONE, seen(*WELL, holds=True))) == [
        "lb1: cannot be asked until lb1 answers on SSH (no SSH connection: [Errno 113] No route to host)",
        "lb2 holds 192.168.2.100 now",
    ]
    assert changes(balance(GONE, seen(*WELL, holds=True)), before) == [
        "lb1 answers again",
        "lb1 holds 192.168.2.100 now",
        "lb2 gave 192.168.2.100 up",
    ]


def test_json_has_the_inventory_s_names() -> None:
    lab = sample_lab(control_plane=[{"name": "CP1.lab.home.arpa", "address": "192.168.2.21"}])
    found = balance_of(lab, {"lb1": seen(server("cp1"), server("192-168-2-77"))})
    assert [row.name for row in found.servers] == ["CP1.lab.home.arpa", "192-168-2-77"]
    assert found.servers[0].fields() == {
        "name": "CP1.lab.home.arpa",
        "pool": "api",
        "balancer": "lb1",
        "address": "192.168.2.21:6443",
        "state": "up",
        "drained": False,
        "check": "readyz",
        "answer": "200 in 3 ms",
        "sessions": 0,
        "connections": 9,
        "errors": 0,
        "since_seconds": 720,
        "weight": 1,
    }
    assert found.balancers[0].fields() == {
        "name": "lb1",
        "kind": "haproxy",
        "answers": True,
        "holds_vip": False,
        "version": "2.6.12-1+deb12u4",
        "uptime_seconds": 11520,
        "keepalived": "active",
        "problem": "",
    }


def screen(encoding: str = "utf-8", **more: Any) -> tuple[Screen, io.TextIOWrapper]:
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="backslashreplace")
    return Screen(Console(file=stream, width=60, **more), lambda text: text.replace("\x1b", "ESC")), stream


def test_unicode_is_drawn_where_the_terminal_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LC_ALL", raising=False)
    assert screen()[0].unicode
    assert not screen("iso-8859-1")[0].unicode
    monkeypatch.setenv("LC_ALL", "C")
    assert not screen()[0].unicode


def test_what_a_server_says_acts_on_no_terminal_and_is_no_markup() -> None:
    place, stream = screen()
    place.draw([(("[red]a\x1b[31m", "red"),), (), (("b", ""),)])
    stream.flush()
    assert stream.buffer.getvalue().decode() == "[red]aESC[31m\n\nb\n"  # type: ignore[attr-defined]


def test_a_live_picture_is_drawn_in_one_place() -> None:
    place, stream = screen(force_terminal=True, color_system=None)
    with place.live() as draw:
        draw([(("one", ""),), (("two", ""),)])
        draw([(("three", ""),)])
    stream.flush()
    said = stream.buffer.getvalue().decode()  # type: ignore[attr-defined]
    # One line up over what was drawn, and the last picture stays.
    assert "\x1b[1A" in said
    assert said.count("one") == 1
    assert said.splitlines()[-2].endswith("three")
