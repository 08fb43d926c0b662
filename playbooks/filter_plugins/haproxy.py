"""What goes into the role haproxy, and the text of haproxy.cfg. Pure, and free of all but Python.

Ansible finds the filter `haproxy_cfg` here, homelab imports the same file as homelab.formats.balancer.haproxy.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from string import Template
from typing import Any, ClassVar

PATH = "/etc/haproxy/haproxy.cfg"
CA_FILE = "/etc/haproxy/cluster-ca.crt"
TEXT = Template("""\
# Managed by homelab. HAProxy 2.6 and later take it.
global
    log /dev/log local0
    user haproxy
    group haproxy
    chroot /var/lib/haproxy
    maxconn 8192
    stats socket /run/haproxy/admin.sock mode 660 level admin expose-fd listeners
    stats timeout 30s
    hard-stop-after 60s
    spread-checks 2

defaults
    log global
    mode tcp
    option dontlognull
    option log-health-checks
    option clitcpka
    option srvtcpka
    # A server that refuses is asked no second time: the next one is, so a crash loses no request.
    option redispatch 1
    retries 3
    timeout connect 2s
    timeout check 2s
    timeout queue 5s
    timeout client 30s
    timeout server 30s
    # Logs, exec and watches are silent for long.
    timeout tunnel 4h
    timeout client-fin 10s
    timeout server-fin 10s

frontend kubernetes-api
    bind $bind
    option tcplog
    default_backend api-servers

backend api-servers
    balance $balance
    option httpchk
    http-check send meth GET uri /readyz ver HTTP/1.1 hdr Host kubernetes.default.svc
    # A server that shuts down gets no new connections and keeps those it has; they end by themselves.
    http-check expect error-status L7OKC ! string "[-]shutdown failed"
    http-check expect status 200
    # Every serving certificate that kubeadm makes carries the name kubernetes.default.svc.
    # The sessions of a dead server are closed, or its watches would hang for 45 s.
    default-server check check-ssl verify required ca-file $ca_file \
check-sni kubernetes.default.svc \
inter 1s fastinter 500ms downinter 1s fall 3 rise 2 \
on-marked-down shutdown-sessions tcp-ut 15s
$servers

frontend status
    mode http
    # keepalived asks every second.
    no log
    timeout http-request 5s
$status
    # keepalived asks this one: whether HAProxy itself is well, whatever the API servers do.
    monitor-uri /haproxy_ready
    http-request return status 200 content-type text/plain string "ready\\n" if { path /api_ready } \
{ nbsrv(api-servers) gt 0 }
    http-request return status 503 content-type text/plain string "no API server is up\\n" if { path /api_ready }
    http-request use-service prometheus-exporter if { path /metrics }
    stats enable
    stats uri /stats
    stats refresh 5s
""")


@dataclass(frozen=True)
class Haproxy:
    """What goes into the role: each field is the role's variable haproxy_FIELD."""

    role: ClassVar[str] = "haproxy"
    address: str
    port: int
    servers: Mapping[str, str]
    server_port: int
    algorithm: str
    weights: Mapping[str, int]
    ca: str
    status_port: int
    status_address: str
    stats_network: str


def haproxy_cfg(wanted: Haproxy, ca_file: str = CA_FILE) -> str:
    """The whole haproxy.cfg; `ca_file` is where the servers' CA lies on the balancer."""
    return TEXT.substitute(
        bind=f"{wanted.address}:{wanted.port}",
        balance="roundrobin" if wanted.algorithm == "weighted" else wanted.algorithm,
        ca_file=ca_file,
        servers="\n".join(_server(wanted, name, address) for name, address in wanted.servers.items()),
        status=_status(wanted),
    )


def _server(wanted: Haproxy, name: str, address: str) -> str:
    weight = f" weight {wanted.weights.get(name, 1)}" if wanted.algorithm == "weighted" else ""
    return f"    server {name} {address}:{wanted.server_port}{weight}"


def _status(wanted: Haproxy) -> str:
    """Where the status port is open: on loopback, and beyond it to one network."""
    lines = [f"    bind 127.0.0.1:{wanted.status_port}"]
    if not wanted.stats_network.startswith("127."):
        lines += [
            f"    bind {wanted.status_address}:{wanted.status_port}",
            f"    http-request deny unless {{ src 127.0.0.0/8 {wanted.stats_network} }}",
        ]
    return "\n".join(lines)


class FilterModule:
    """What Ansible asks for: the filters by name."""

    def filters(self) -> dict[str, Callable[..., str]]:
        """The filters by name."""
        return {"haproxy_cfg": _filter}


def _filter(fields: Mapping[str, Any], ca_file: str) -> str:
    return haproxy_cfg(Haproxy(**fields), ca_file)
