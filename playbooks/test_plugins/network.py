"""The test `in_network`: ansible-core alone cannot tell whether an address lies in a network."""

from collections.abc import Callable
from ipaddress import ip_interface, ip_network


def in_network(address: str, network: str) -> bool:
    """Whether an address, or a whole network, lies in a network; `network` is in CIDR form."""
    inner, outer = ip_interface(address).network, ip_network(network)
    return inner.version == outer.version and inner.subnet_of(outer)  # type: ignore[arg-type]


class TestModule:
    """What Ansible asks for: the tests by name."""

    def tests(self) -> dict[str, Callable[[str, str], bool]]:
        """The tests by name."""
        return {"in_network": in_network}
