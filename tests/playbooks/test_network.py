"""The test `in_network`."""

import pytest

from .conftest import PLAYBOOKS, load


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
    assert load(PLAYBOOKS / "test_plugins" / "network.py").in_network(address, network) is inside
