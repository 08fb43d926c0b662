"""The module port_holders: real sockets of this machine."""

import os
import socket
from collections.abc import Iterator
from types import ModuleType

import pytest

from .conftest import library


@pytest.fixture
def port_holders() -> ModuleType:
    return library("port_holders")


@pytest.fixture(params=[("127.0.0.1", socket.AF_INET), ("0.0.0.0", socket.AF_INET), ("::", socket.AF_INET6)])
def held(request: pytest.FixtureRequest) -> Iterator[tuple[str, int]]:
    address, family = request.param
    with socket.create_server((address, 0), family=family) as server:
        yield address, server.getsockname()[1]


def test_who_listens_there_or_everywhere_is_named(port_holders: ModuleType, held: tuple[str, int]) -> None:
    address, port = held
    [said] = port_holders.holders("127.0.0.1", [port, 1], [])
    assert f"(process {os.getpid()}" in said
    assert said.endswith(f"listens on {address}:{port}")


def test_who_listens_on_another_address_or_is_no_listener_does_not_count(port_holders: ModuleType) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            assert port_holders.holders("127.0.0.2", [port], []) == []


def test_the_unit_that_may_have_it_does_not_count(
    port_holders: ModuleType, monkeypatch: pytest.MonkeyPatch, held: tuple[str, int]
) -> None:
    monkeypatch.setattr(port_holders, "unit_of", lambda process: "haproxy.service")
    assert port_holders.holders("127.0.0.1", [held[1]], ["haproxy.service"]) == []
    [said] = port_holders.holders("127.0.0.1", [held[1]], ["nginx.service"])
    assert "haproxy.service" in said
