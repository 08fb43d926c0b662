"""What goes into the role keepalived, and the text of keepalived.conf."""

from collections.abc import Sequence
from dataclasses import dataclass
from string import Template
from typing import ClassVar

PATH = "/etc/keepalived/keepalived.conf"
CHECK = "/etc/keepalived/haproxy-ready"
TEXT = Template("""\
# Managed by homelab.
global_defs {
    router_id $name
    vrrp_version 3
$check_source    enable_script_security
    # Not nobody: keepalived 2.2 kills itself when it tests a configuration whose script runs as somebody else.
    script_user root
}

vrrp_script haproxy_ready {
    script "$check"
    interval 1
    timeout 3
    fall 1
    rise 1
    init_fail
}

vrrp_instance api {
    # Nobody takes the address from a peer that is well: every move cuts all connections.
    state BACKUP
    nopreempt
    interface $interface
    virtual_router_id $router_id
    priority $priority
    advert_int 0.2
$peers    virtual_ipaddress {
        $virtual
    }
    track_script {
        haproxy_ready
    }
}
""")
CHECK_SOURCE = """\
    # Who is no peer is not listened to, whatever number its group has: version 3 knows no passwords (RFC 5798, 9), and
    # version 2 sent them in the clear. Without peers, what names other addresses than ours is dropped.
    vrrp_check_unicast_src
"""


@dataclass(frozen=True)
class Keepalived:
    """What goes into the role: each field is the role's variable keepalived_FIELD.

    `interface` is None until it is found on the balancer: the one that has `address`.
    """

    role: ClassVar[str] = "keepalived"
    name: str
    virtual_address: str
    prefix_length: int
    address: str
    peers: Sequence[str]
    interface: str | None
    router_id: int
    priority: int
    status_port: int


def keepalived_conf(wanted: Keepalived, check: str = CHECK) -> str:
    """The whole keepalived.conf; `check` is the path of the program that asks HAProxy."""
    return TEXT.substitute(
        name=wanted.name,
        check_source=CHECK_SOURCE if wanted.peers else "",
        check=check,
        interface=wanted.interface or f"(the one that has {wanted.address})",
        router_id=wanted.router_id,
        priority=wanted.priority,
        peers=_peers(wanted) if wanted.peers else "",
        virtual=f"{wanted.virtual_address}/{wanted.prefix_length}",
    )


def _peers(wanted: Keepalived) -> str:
    peers = "".join(f"        {address}\n" for address in wanted.peers)
    return f"    unicast_src_ip {wanted.address}\n    unicast_peer {{\n{peers}    }}\n"
