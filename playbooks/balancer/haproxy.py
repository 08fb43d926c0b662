"""What goes into the role haproxy, and the text of haproxy.cfg."""

from dataclasses import dataclass
from ipaddress import IPv4Network
from string import Template
from typing import ClassVar

from .pools import CONNECT, READYZ, Pool, Server, checked_address, checked_port

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
    # What `homelab lb drain` noted: a drained server stays drained over reloads and restarts.
    server-state-file /var/lib/homelab/haproxy.state

defaults
    log global
    mode tcp
    load-server-state-from-file global
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

$pools
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
FRONTEND = Template("""\
frontend $name
    bind $address:$port
    option tcplog
    default_backend $name-servers
""")
BACKEND = Template("""\
backend $name-servers
    balance $balance
$check
$servers
""")
# How a server shows that it is well. Refused or 500: seen after inter + (fall-1) x fastinter; silent: after
# inter + fall x min(connect, inter) + (fall-1) x fastinter.
TIMES = """\
inter 1s fastinter 500ms downinter 1s fall 3 rise 2 \
on-marked-down shutdown-sessions tcp-ut 15s"""
CHECK_READYZ = Template("""\
    option httpchk
    http-check send meth GET uri /readyz ver HTTP/1.1 hdr Host kubernetes.default.svc
    # A server that shuts down gets no new connections and keeps those it has; they end by themselves.
    http-check expect error-status L7OKC ! string "[-]shutdown failed"
    http-check expect status 200
    # Every serving certificate that kubeadm makes carries the name kubernetes.default.svc.
    # The sessions of a dead server are closed, or its watches would hang for 45 s.
    default-server check check-ssl verify required ca-file $ca_file \
check-sni kubernetes.default.svc \
$times""")
CHECK_PATH = Template("""\
    option httpchk GET $path
    http-check expect rstatus [23][0-9][0-9]
    default-server check $times""")
CHECK_CONNECT = Template("""\
    default-server check $times""")


@dataclass(frozen=True)
class Haproxy:
    """What goes into the role: each field is the role's variable haproxy_FIELD. Raises ValueError.

    The first pool is that of the API servers.
    """

    role: ClassVar[str] = "haproxy"
    pools: tuple[Pool, ...]
    ca: str
    status_port: int
    status_address: str
    stats_network: str

    def __post_init__(self) -> None:
        checked_port(self.status_port)
        checked_address(self.status_address)
        IPv4Network(self.stats_network)


def haproxy_cfg(wanted: Haproxy, ca_file: str = CA_FILE) -> str:
    """The whole haproxy.cfg; `ca_file` is where the servers' CA lies on the balancer."""
    return TEXT.substitute(
        pools="\n".join(_pool(pool, ca_file) for pool in wanted.pools),
        status=_status(wanted),
    )


def _pool(pool: Pool, ca_file: str) -> str:
    front = FRONTEND.substitute(name=pool.name, address=pool.address, port=pool.port)
    back = BACKEND.substitute(
        name=pool.name,
        balance="roundrobin" if pool.algorithm == "weighted" else pool.algorithm,
        check=_check(pool, ca_file),
        servers="\n".join(_server(pool, server) for server in pool.servers),
    )
    return f"{front}\n{back}"


def _check(pool: Pool, ca_file: str) -> str:
    if pool.check == READYZ:
        return CHECK_READYZ.substitute(ca_file=ca_file, times=TIMES)
    if pool.check == CONNECT:
        return CHECK_CONNECT.substitute(times=TIMES)
    return CHECK_PATH.substitute(path=pool.check, times=TIMES)


def _server(pool: Pool, server: Server) -> str:
    weight = f" weight {server.weight}" if pool.algorithm == "weighted" else ""
    return f"    server {server.name} {server.address}:{server.port}{weight}"


def _status(wanted: Haproxy) -> str:
    """Where the status port is open: on loopback, and beyond it to one network."""
    lines = [f"    bind 127.0.0.1:{wanted.status_port}"]
    if not wanted.stats_network.startswith("127."):
        lines += [
            f"    bind {wanted.status_address}:{wanted.status_port}",
            f"    http-request deny unless {{ src 127.0.0.0/8 {wanted.stats_network} }}",
        ]
    return "\n".join(lines)
