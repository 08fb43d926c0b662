"""Policies of switches and port groups: what is set, and what is in force (govmomi's capture, simulator/esx/)."""

from typing import Any

from pyVmomi import vim

from homelab.rehearsal.host.host import Host

DEFAULT_SECURITY = {"allowPromiscuous": False, "macChanges": True, "forgedTransmits": True}
KIND = vim.host.NetworkPolicy


def of_switch(nics: list[str]) -> Any:
    """The policy of a switch: nobody can set one, so it is the default."""
    return _whole(DEFAULT_SECURITY, nics)


def of_group(host: Host, name: str) -> Any:
    """What a port group says otherwise than its switch."""
    return KIND(
        security=KIND.SecurityPolicy(**host.settings.group_security.get(name, {})),
        nicTeaming=KIND.NicTeamingPolicy(failureCriteria=KIND.NicFailureCriteria()),
        offloadPolicy=vim.host.NetOffloadCapabilities(),
        shapingPolicy=KIND.TrafficShapingPolicy(),
    )


def in_force(host: Host, name: str) -> Any:
    """A port group's policy over that of its switch."""
    nics = host.settings.switches.get(host.settings.switch_of(name), [])
    return _whole(DEFAULT_SECURITY | host.settings.group_security.get(name, {}), nics)


def _whole(security: dict[str, bool], nics: list[str]) -> Any:
    criteria = KIND.NicFailureCriteria(
        checkSpeed="minimum",
        speed=10,
        checkDuplex=False,
        fullDuplex=False,
        checkErrorPercent=False,
        percentage=0,
        checkBeacon=False,
    )
    teaming = KIND.NicTeamingPolicy(
        policy="loadbalance_srcid",
        reversePolicy=True,
        notifySwitches=True,
        rollingOrder=False,
        failureCriteria=criteria,
        nicOrder=KIND.NicOrderPolicy(activeNic=list(nics)),
    )
    return KIND(
        security=KIND.SecurityPolicy(**security),
        nicTeaming=teaming,
        offloadPolicy=vim.host.NetOffloadCapabilities(csumOffload=True, tcpSegmentation=True, zeroCopyXmit=True),
        shapingPolicy=KIND.TrafficShapingPolicy(enabled=False),
    )
