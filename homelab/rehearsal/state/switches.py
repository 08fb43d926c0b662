"""Standard switches of a simulated host, and the policies of switches and port groups. Plain state.

A policy is a mapping that nests as the API's HostNetworkPolicy does, and has only what somebody set; a port group's
lies over its switch's, and that over the default.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Policy = Mapping[str, Any]
# What a new switch says (govmomi's capture of a real host, simulator/esx/host_config_info.go).
DEFAULT_POLICY: Policy = {
    "security": {"allowPromiscuous": False, "macChanges": True, "forgedTransmits": True},
    "nicTeaming": {
        "policy": "loadbalance_srcid",
        "reversePolicy": True,
        "notifySwitches": True,
        "rollingOrder": False,
        "failureCriteria": {
            "checkSpeed": "minimum",
            "speed": 10,
            "checkDuplex": False,
            "fullDuplex": False,
            "checkErrorPercent": False,
            "percentage": 0,
            "checkBeacon": False,
        },
    },
    "offloadPolicy": {"csumOffload": True, "tcpSegmentation": True, "zeroCopyXmit": True},
    "shapingPolicy": {"enabled": False},
}
DEFAULT_BRIDGE: Policy = {
    "beacon": {"interval": 1},
    "linkDiscoveryProtocolConfig": {"protocol": "cdp", "operation": "listen"},
}


@dataclass
class Switch:
    """A standard switch: its uplinks, and what is set of it; `bridge` is what its uplinks do beside carrying."""

    uplinks: list[str] = field(default_factory=list)
    ports: int = 128
    mtu: int = 1500
    policy: Policy = field(default_factory=dict)
    bridge: Policy = field(default_factory=lambda: DEFAULT_BRIDGE)

    @property
    def in_force(self) -> dict[str, Any]:
        """The policy with everything that nobody set; all uplinks are active unless an order says otherwise."""
        order = {"nicTeaming": {"nicOrder": {"activeNic": self.uplinks}}} if self.uplinks else {}
        return merged(merged(DEFAULT_POLICY, order), self.policy)


def merged(below: Policy, above: Policy) -> dict[str, Any]:
    """A policy over another; an order of NICs is one thing, and replaces the other's."""
    found = dict(below)
    for name, value in above.items():
        under = found.get(name)
        if isinstance(under, Mapping) and isinstance(value, Mapping) and name != "nicOrder":
            value = merged(under, value)
        found[name] = value
    return found


def carriers(policy: Policy, uplinks: list[str]) -> list[str]:
    """The uplinks that carry frames under a policy in force: those that its order names."""
    order = policy.get("nicTeaming", {}).get("nicOrder", {})
    named = [*order.get("activeNic", ()), *order.get("standbyNic", ())]
    return [nic for nic in uplinks if nic in named]
