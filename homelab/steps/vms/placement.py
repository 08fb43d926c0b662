"""Which host a VM is made on. Pure."""

from collections import Counter
from collections.abc import Mapping

from homelab.lab import Lab


def placement(lab: Lab) -> Mapping[str, str]:
    """VM -> host: the inventory's choice, else spread so that peers do not share a host while there are enough."""
    hosts = [host.name for host in lab.esxi]
    placed: dict[str, str] = {vm.name: vm.host for vm in lab.vms if vm.host}
    for peers in (lab.control_plane, lab.load_balancers, lab.workers):
        for vm in peers:
            if vm.name in placed or not hosts:
                continue
            with_peers = Counter(placed[peer.name] for peer in peers if peer.name in placed)
            in_all = Counter(placed.values())
            placed[vm.name] = min(hosts, key=lambda h: (with_peers[h], in_all[h], hosts.index(h)))
    return placed
