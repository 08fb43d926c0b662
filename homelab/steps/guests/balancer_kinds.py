"""The table of kinds: which roles lay a balancer down, and which files they make. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from homelab.formats.balancer import checker as checker_format
from homelab.formats.balancer import haproxy as haproxy_format
from homelab.formats.balancer import keepalived as keepalived_format
from homelab.formats.balancer import nftables as nftables_format
from homelab.formats.balancer import nginx as nginx_format
from homelab.lab import Lab, LoadBalancer
from homelab.steps.guests.role_values import RoleValues, checker, haproxy, keepalived, nftables, nginx


@dataclass(frozen=True)
class Kind:
    """A kind of balancer: what people call it, and what goes into its roles; the CA is in PEM form."""

    called: str
    roles: tuple[str, ...]
    values: Callable[[Lab, LoadBalancer, str], Sequence[RoleValues]]


KINDS: Mapping[str, Kind] = {
    "haproxy": Kind("HAProxy", ("haproxy",), lambda lab, vm, ca: [haproxy(lab, vm, ca)]),
    "nginx": Kind("nginx", ("nginx", "checker"), lambda lab, vm, ca: [nginx(lab, vm, ca), checker(lab, vm, ca)]),
    "nftables": Kind(
        "nftables", ("nftables", "checker"), lambda lab, vm, ca: [nftables(lab, vm), checker(lab, vm, ca)]
    ),
}


def roles_of(balancer: LoadBalancer) -> tuple[str, ...]:
    """The roles of a balancer, in their order."""
    return (*KINDS[balancer.kind].roles, "keepalived")


def values_of(lab: Lab, balancer: LoadBalancer, ca: str) -> tuple[RoleValues, ...]:
    """What goes into each of them."""
    return (*KINDS[balancer.kind].values(lab, balancer, ca), keepalived(lab, balancer))


def texts_of(lab: Lab, balancer: LoadBalancer) -> dict[str, str]:
    """The paths of a balancer's configuration files to their texts; the CA is a file of its own."""
    found: dict[str, str] = {}
    for values in values_of(lab, balancer, ca=""):
        match values:
            case haproxy_format.Haproxy():
                found[haproxy_format.PATH] = haproxy_format.haproxy_cfg(values)
            case nginx_format.Nginx():
                found[nginx_format.PATH] = nginx_format.nginx_conf(values)
                found[nftables_format.NGINX_RULES] = nftables_format.proxy_rules(nginx_format.USER)
            case nftables_format.Nftables():
                found[nftables_format.PATH] = nftables_format.nftables_rules(values)
            case checker_format.Checker():
                found[checker_format.PATH] = checker_format.checker_json(values)
            case keepalived_format.Keepalived():
                found[keepalived_format.PATH] = keepalived_format.keepalived_conf(values)
    return found
