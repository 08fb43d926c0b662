"""Plans of `lb drain` and `lb ready`: what is set, what is left alone, and what is refused."""

from dataclasses import replace

import pytest

from homelab.engine.step import Blocked
from homelab.errors import Refused
from homelab.formats.balanced import ServerLook
from homelab.ports.guest.balancer import BalancerLook
from homelab.ports.guest.look import GuestAway
from homelab.steps.guests.balancers import drained_names
from homelab.steps.guests.draining import Drain, DrainLast, DrainState, SetServer, Wanted
from tests.helpers.sample import sample_lab

CANARY = {"name": "canary", "port": 8080, "members": ["cp1", "cp2"], "weights": [10, 90]}
BALANCERS = [
    {"name": "lb1", "address": "192.168.2.31", "pools": [CANARY]},
    {"name": "lb2", "address": "192.168.2.32"},
]
LAB = sample_lab(load_balancers=BALANCERS)


def server(name: str, pool: str = "api", state: str = "up", *, drained: bool = False) -> ServerLook:
    return ServerLook(pool, name, "192.168.2.21:6443", state, drained, "200 in 3 ms", 4, 9, 0, 60)


def look(*servers: ServerLook) -> BalancerLook:
    return BalancerLook("haproxy", True, "active", "2.6.12", 3600, servers)


WELL = look(*(server(f"cp{number}") for number in range(1, 4)))


def plan(
    observed: BalancerLook | GuestAway, wanted: Wanted = "drain", target: str = "lb2", *, force: bool = False
) -> list[object]:
    return list(Drain("cp1", "cp1", wanted, force=force).plan(LAB, target, DrainState(observed)))


def test_a_server_that_serves_is_drained_and_nothing_is_disrupted() -> None:
    [change] = plan(WELL)
    assert change == SetServer("lb2", "cp1", "cp1", "haproxy", ("api",), "drain", "up")
    assert isinstance(change, SetServer)
    assert not change.disruptive
    assert change.words.undo == "homelab lb ready cp1"


def test_every_pool_that_has_it_is_meant() -> None:
    seen = look(*WELL.servers, server("cp1", "canary"), server("cp2", "canary"))
    [change] = plan(seen, target="lb1")
    assert isinstance(change, SetServer)
    assert change.pools == ("api", "canary")
    half = look(server("cp1", drained=True, state="drain"), *WELL.servers[1:], *seen.servers[3:])
    [change] = plan(half, target="lb1")
    assert isinstance(change, SetServer)
    assert change.pools == ("canary",)


def test_at_layer_7_haproxy_has_names_of_its_own_which_the_change_carries() -> None:
    web = {"name": "web", "port": 80, "layer": 7, "members": ["cp1", "cp2"], "server_port": 30080}
    for kind, called in (("haproxy", (("web", "192.168.2.21:30080"),)), ("nginx", ())):
        lab = sample_lab(load_balancers=[{**BALANCERS[0], "kind": kind, "pools": [web]}, BALANCERS[1]])
        seen = look(*WELL.servers, server("cp1", "web"), server("cp2", "web"))
        [change] = Drain("cp1", "cp1", "drain").plan(lab, "lb1", DrainState(seen))
        assert isinstance(change, SetServer)
        assert (change.label, change.pools, change.called) == ("cp1", ("api", "web"), called)
        told = ["192.168.2.21:30080", "cp1", "cp3"] if called else ["cp1", "cp3"]
        assert drained_names(lab, "lb1", told) == ["cp1", "cp3"]


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        (server("cp1", state="drain", drained=True), "drain"),
        (server("cp1", state="down", drained=True), "drain"),
        (server("cp1", state="maint"), "drain"),
        (server("cp1"), "ready"),
        (server("cp1", state="down"), "ready"),
    ],
    ids=["drained", "drained and down", "in maintenance", "up", "down by itself"],
)
def test_the_second_time_nothing_is_planned_and_the_state_is_told(found: ServerLook, wanted: Wanted) -> None:
    seen = look(found, *WELL.servers[1:])
    assert plan(seen, wanted) == []
    [remark] = Drain("cp1", "cp1", wanted).remarks(LAB, "lb2", DrainState(seen))
    assert ("drained" if found.drained else found.state) in remark


@pytest.mark.parametrize(
    "found",
    [
        server("cp1", state="drain", drained=True),
        server("cp1", state="down", drained=True),
        server("cp1", state="maint"),
    ],
)
def test_what_a_person_took_out_is_made_ready(found: ServerLook) -> None:
    [change] = plan(look(found), "ready")
    assert isinstance(change, SetServer)
    assert (change.wanted, change.words.undo) == ("ready", "homelab lb drain cp1")


@pytest.mark.parametrize(
    "other",
    [
        server("cp2", state="down"),
        server("cp2", state="drain"),
        server("cp2", state="drain", drained=True),
        server("cp2", state="maint"),
        replace(server("cp2"), weight=0),
        server("cp2", "canary"),
    ],
    ids=["down", "shuts down", "drained", "in maintenance", "weight 0", "of another pool"],
)
def test_the_last_one_that_takes_connections_is_drained_by_force_and_consent_only(other: ServerLook) -> None:
    seen = look(server("cp1"), other)
    with pytest.raises(Refused, match="no other server of api takes connections") as refusal:
        plan(seen)
    assert "--force" in refusal.value.advice
    [change] = plan(seen, force=True)
    assert isinstance(change, DrainLast)
    assert change.disruptive
    assert "every new connection is turned away" in change.words.sentence


def test_force_makes_nothing_disruptive_that_is_not() -> None:
    assert plan(WELL, force=True) == plan(WELL)


@pytest.mark.parametrize(
    ("seen", "until"),
    [
        (GuestAway("VM lb2 is switched on"), "VM lb2 is switched on"),
        (BalancerLook("haproxy", False, "active", problem="haproxy does not answer"), "the balancer answers"),
        (look(server("cp2"), server("cp3")), "lb2 has cp1 in api (homelab bootstrap)"),
    ],
    ids=["away", "no answer", "not laid down yet"],
)
def test_a_balancer_that_cannot_be_told_is_work_left_undone(seen: BalancerLook | GuestAway, until: str) -> None:
    [item] = plan(seen)
    assert isinstance(item, Blocked)
    assert until in item.until


def test_only_balancers_that_have_it_are_asked() -> None:
    workers = [{"name": "w1", "address": "192.168.2.41"}]
    pool = {"name": "ingress", "port": 80, "members": ["w1"]}
    lab = sample_lab(workers=workers, load_balancers=[{**BALANCERS[0], "pools": [pool]}, BALANCERS[1]])
    assert list(Drain("w1", "w1", "drain").targets(lab)) == ["lb1"]
    assert list(Drain("cp1", "cp1", "drain").targets(lab)) == ["lb1", "lb2"]
