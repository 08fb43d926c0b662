"""Logins at a host that are used again: by the calls that the host counts."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from homelab.errors import HostFault, Unreachable
from homelab.lab import EsxiHost
from homelab.ports.files.home import HomeFiles
from homelab.ports.vsphere import kept_sessions, look
from homelab.ports.vsphere.kept_sessions import KeptSessions
from tests.helpers.one_host import lab_of, standing


class Bench:
    """A host that stands, and the sessions of one run at it."""

    def __init__(self, served: Any, host: EsxiHost, folder: Path) -> None:
        self.served, self.host, self.folder = served, host, folder
        self.sessions = KeptSessions(HomeFiles(folder / "home"), lambda _: None, threading.Event())

    def calls(self, name: str) -> int:
        return int(self.served.api.calls[name])

    @property
    def live(self) -> int:
        return len(self.served.api.sessions.live())

    def forget_sessions(self) -> None:
        """As after a boot: the host knows none of them."""
        self.served.api.sessions.clear()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    lab = lab_of(api_timeout=1)
    with standing(lab, tmp_path) as served:
        yield Bench(served, lab.esxi[0], tmp_path)


def test_one_login_serves_a_run_and_nothing_of_it_stays(bench: Bench) -> None:
    with bench.sessions.held():
        with bench.sessions.held():
            for _ in range(3):
                assert bench.sessions.ask(bench.host, look).version
        with bench.sessions.use(bench.host) as session:
            look(session)
        assert (bench.calls("Login"), bench.live) == (1, 1)
    assert bench.live == 0


def test_two_at_once_have_a_session_each(bench: Bench) -> None:
    with bench.sessions.held(), bench.sessions.use(bench.host) as one, bench.sessions.use(bench.host) as other:
        assert one.cookie != other.cookie
    assert bench.live == 0


def test_outside_of_a_run_each_has_its_own_login(bench: Bench) -> None:
    for _ in range(2):
        bench.sessions.ask(bench.host, look)
        assert bench.live == 0
    assert bench.calls("Login") == 2


def test_what_only_reads_is_asked_again_where_the_host_knows_the_session_no_more(bench: Bench) -> None:
    with bench.sessions.held():
        bench.sessions.ask(bench.host, look)
        bench.forget_sessions()
        assert bench.sessions.ask(bench.host, look).version
    assert bench.calls("Login") == 2


def test_one_that_was_quiet_is_asked_whether_it_still_is_one_before_it_is_lent(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For who writes: a write is not tried twice."""
    monkeypatch.setattr(kept_sessions, "QUIET_SECONDS", 0.0)
    with bench.sessions.held():
        bench.sessions.ask(bench.host, look)
        bench.forget_sessions()
        with bench.sessions.use(bench.host) as session:
            assert look(session).version


@pytest.mark.parametrize(("name", "limit"), [("IDLE_SECONDS", 0.0), ("OLD_SECONDS", 0.0), ("CLOCK_SECONDS", 0.0)])
def test_one_that_is_too_old_or_knows_a_wrong_clock_is_not_used_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, name: str, limit: float
) -> None:
    """A look tells the host's clock by its session's login."""
    monkeypatch.setattr(kept_sessions, name, limit)
    with bench.sessions.held():
        for _ in range(2):
            bench.sessions.ask(bench.host, look)
    assert (bench.calls("Login"), bench.live) == (2, 0)


def test_one_in_which_something_went_wrong_is_not_lent_again(bench: Bench) -> None:
    with bench.sessions.held():
        with pytest.raises(HostFault), bench.sessions.use(bench.host):
            raise HostFault("no", where="here", advice="wait")
        assert bench.live == 0
        bench.sessions.ask(bench.host, look)
    assert bench.calls("Login") == 2


def test_a_host_that_says_nothing_is_not_waited_for_twice(bench: Bench) -> None:
    with bench.sessions.held():
        bench.sessions.ask(bench.host, look)
        bench.served.host.harm.api_mute = True
        with pytest.raises(Unreachable):
            bench.sessions.ask(bench.host, look)
        bench.served.host.harm.api_mute = False
    [record] = (bench.folder / "home").glob("logs/*/record.jsonl")
    assert record.read_text().count("RetrieveServiceContent") == 1


def test_a_host_that_fell_silent_is_not_asked_for_each_session_that_was_kept(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A host that goes down in the middle of a run costs each of these questions the API's whole deadline."""
    monkeypatch.setattr(kept_sessions, "QUIET_SECONDS", 0.0)
    with bench.sessions.held():
        with ExitStack() as at_once:
            for _ in range(3):
                at_once.enter_context(bench.sessions.use(bench.host))
        bench.served.host.harm.api_mute = True
        with pytest.raises(Unreachable):
            bench.sessions.ask(bench.host, look)
        bench.served.host.harm.api_mute = False
    [record] = (bench.folder / "home").glob("logs/*/record.jsonl")
    assert record.read_text().count('"Fetch"') == 1
