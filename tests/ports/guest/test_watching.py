"""Machines that are asked again and again: a silent one holds nobody up."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from homelab.errors import HomelabError, Unreachable
from homelab.ports.guest import watching
from homelab.ports.guest.watching import Watch

NAMES = ("lb1", "lb2")


class Bench:
    """lb1 answers a number that grows; lb2 answers nothing until it is let, and then it is away."""

    def __init__(self) -> None:
        self.let = threading.Event()
        self.connections: list[str] = []
        self.asked = 0

    @contextmanager
    def connect(self, name: str) -> Iterator[str]:
        self.connections.append(name)
        yield name

    def ask(self, shell: str, name: str) -> str:
        if name == "lb2":
            self.let.wait(20)
            raise Unreachable("no answer", where=name, advice="look")
        self.asked += 1
        return f"answer {self.asked}"

    def watch(self) -> Watch[str]:
        def away(name: str, error: HomelabError) -> str:
            return f"{name} is away: {error.what}"

        return Watch(self.connect, self.ask, away)  # type: ignore[arg-type]


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setattr(watching, "SECONDS", 0.02)
    bench = Bench()
    yield bench
    bench.let.set()


def test_a_silent_one_holds_nobody_up_and_one_connection_is_kept(bench: Bench) -> None:
    watch = bench.watch()
    watch.follow(NAMES)
    first = watch.latest(NAMES, 0.3)
    assert set(first) == {"lb1"}
    while bench.asked < 3:
        assert set(watch.latest(NAMES, 0.05)) == {"lb1"}
    assert bench.connections.count("lb1") == 1
    bench.let.set()
    assert watch.latest(NAMES, 20)["lb2"] == "lb2 is away: no answer"


def test_one_that_is_away_is_tried_again(bench: Bench) -> None:
    bench.let.set()
    watch = bench.watch()
    watch.follow(("lb2",))
    watch.latest(("lb2",), 20)
    while bench.connections.count("lb2") < 3:
        watch.latest(("lb1",), 0.05)
