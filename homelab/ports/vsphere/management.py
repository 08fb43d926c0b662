"""The management network of a host: its address."""

from contextlib import suppress

from pyVmomi import vim

from homelab.errors import Unreachable
from homelab.ports.vsphere.session import Session, translated

VMK = "vmk0"


def move_to(session: Session, address: str, netmask: str, gateway: str) -> None:
    """Give the first vmkernel NIC a static address, the way out first. The session's connection dies with the old one.

    `gateway` is empty when the host's own is to stay.
    """
    system = session.managers.networkSystem
    if gateway:
        # What else is configured there, as a way out for IPv6, stays.
        routes = system.ipRouteConfig or vim.host.IpRouteConfig()
        routes.defaultGateway = gateway
        system.UpdateIpRouteConfig(routes)
    spec = vim.host.VirtualNic.Specification(ip=vim.host.IpConfig(dhcp=False, ipAddress=address, subnetMask=netmask))
    # Whether the answer still comes is a matter of luck; whether the host has moved is asked at its new address.
    with suppress(Unreachable), translated(session.where):
        system.UpdateVirtualNic(VMK, spec)
