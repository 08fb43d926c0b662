"""The role balancer_kind: what gives way to another kind, and who else may listen where the balancer is to listen."""

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.helpers.one_role import CAN_RUN, OneRole

pytestmark = [
    pytest.mark.skipif(not CAN_RUN, reason="needs root and a mount namespace of its own"),
    pytest.mark.timeout(120),
]
NGINX, NFTABLES, HAPROXY = ["nginx", "checker"], ["nftables", "checker"], ["haproxy"]


def as_kind(machine: OneRole, roles: list[str], port: int = 1, before: str = "") -> str:
    """Runs the role; what the play said, in one line."""
    wanted = {"roles": roles, "address": "127.0.0.1", "ports": [port]}
    done = machine.run(before, **{f"balancer_kind_{name}": value for name, value in wanted.items()})
    assert "Traceback" not in done.stdout + done.stderr
    return " ".join((done.stdout + done.stderr).split())


def receipts(machine: OneRole, *roles: str) -> None:
    (machine.lib / "homelab").mkdir()
    for role in roles:
        (machine.lib / "homelab" / f"{role}.json").write_text("{}")


@pytest.fixture
def held(tmp_path: Path) -> Iterator[tuple[int, Callable[[str], str]]]:
    """A port of loopback, and the command by which this very process, which holds it, is a unit's."""

    def is_of(unit: str) -> str:
        file = tmp_path / "cgroup"
        file.write_text(f"0::/system.slice/{unit}\n")
        return f"mount --bind {file} /proc/{os.getpid()}/cgroup"

    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1], is_of


@pytest.mark.thorough
def test_the_owner_s_own_balancer_holds_a_port_as_anybody_does(
    tmp_path: Path, held: tuple[int, Callable[[str], str]]
) -> None:
    """A unit that a kind has, on a machine where that kind was never laid down, and which is not wanted."""
    port, is_of = held
    machine = OneRole(tmp_path / "machine", "balancer_kind", "main.yml")
    machine.namespaces = ("--mount",)
    said = as_kind(machine, NGINX, port, is_of("haproxy.service"))
    assert f"haproxy.service) listens on 127.0.0.1:{port}, where the balancer is to listen" in said
    assert machine.told == []
    assert "failed=0" in as_kind(machine, HAPROXY, port, is_of("haproxy.service"))


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("before", "wanted", "told"),
    [
        (("haproxy",), NGINX, ["disable haproxy.service", "stop haproxy.service"]),
        # The checker goes, too, also where it left no receipt: it would lay the rules down again.
        (
            ("nginx",),
            HAPROXY,
            [f"{word} {unit}.service" for unit in ("homelab-nginx", "homelab-checker") for word in ("disable", "stop")],
        ),
        (NFTABLES, NFTABLES, []),
    ],
    ids=["HAProxy", "nginx", "the same"],
)
def test_what_another_kind_has_is_stopped(
    tmp_path: Path, before: tuple[str, ...], wanted: list[str], told: list[str]
) -> None:
    machine = OneRole(tmp_path / "machine", "balancer_kind", "main.yml")
    receipts(machine, *before)
    assert "failed=0" in as_kind(machine, wanted)
    assert machine.told == told
    left = sorted(path.stem for path in (machine.lib / "homelab").glob("*.json"))
    assert left == sorted(set(before) & set(wanted))


@pytest.mark.thorough
def test_a_unit_that_never_came_to_be_holds_nothing_up(tmp_path: Path) -> None:
    """The rules were laid down, and the run was cut off before the checker was."""
    machine = OneRole(tmp_path / "machine", "balancer_kind", "main.yml", unknown="homelab-checker")
    receipts(machine, "nftables")
    assert "failed=0" in as_kind(machine, HAPROXY)
    assert not (machine.lib / "homelab" / "nftables.json").exists()
