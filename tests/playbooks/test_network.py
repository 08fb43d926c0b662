"""The test `in_network`."""

import importlib.util

import pytest

from .conftest import PLAYBOOKS

SPEC = importlib.util.spec_from_file_location("network_test", PLAYBOOKS / "test_plugins" / "network.py")
assert SPEC is not None
assert SPEC.loader is not None
NETWORK = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(NETWORK)


@pytest.mark.parametrize(
    ("address", "network", "inside"),
    [
        ("192.168.2.100", "192.168.2.0/24", True),
        ("192.168.3.1", "192.168.2.0/24", False),
        ("127.0.0.0/8", "127.0.0.0/8", True),
        ("192.168.0.0/16", "192.168.2.0/24", False),
        ("fd00::1", "192.168.2.0/24", False),
    ],
)
def test_in_network(address: str, network: str, inside: bool) -> None:
    assert NETWORK.in_network(address, network) is inside
