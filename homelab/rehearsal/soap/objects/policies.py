"""Policies of switches and port groups: what is set, and what is in force (govmomi's capture, simulator/esx/)."""

from typing import Any

from pyVmomi import vim

from homelab.rehearsal.host.host import Host
from homelab.rehearsal.soap.taken import built
from homelab.rehearsal.state.switches import Policy, Switch, merged

# A real host names the parts of a port group's policy also where nothing of them is set.
PARTS: Policy = {"security": {}, "nicTeaming": {"failureCriteria": {}}, "offloadPolicy": {}, "shapingPolicy": {}}


def of_switch(switch: Switch) -> Any:
    """The policy of a switch: the default where nobody set one."""
    return built(vim.host.NetworkPolicy, switch.in_force)


def of_group(host: Host, name: str) -> Any:
    """What a port group says otherwise than its switch."""
    return built(vim.host.NetworkPolicy, merged(PARTS, host.settings.group_policies.get(name, {})))


def in_force(host: Host, name: str) -> Any:
    """A port group's policy over that of its switch."""
    return built(vim.host.NetworkPolicy, host.settings.policy_in_force(name))
