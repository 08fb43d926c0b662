"""What goes into the role haproxy, and the text of haproxy.cfg."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network
from string import Template
from typing import ClassVar

from . import haproxy_api, haproxy_web
from .pools import CONNECT, PING, READYZ, Pool, Server, checked_address, checked_port, front_ends

FOLDER = "/etc/haproxy"
PATH = f"{FOLDER}/haproxy.cfg"
# In that folder: the CA of the API servers, what clients of layer 7 are shown, and what the check shows API servers.
CA, CERTIFICATE, CLIENT_CERTIFICATE = "cluster-ca.crt", "homelab-certificate.pem", "homelab-client-certificate.pem"
HOST_NAME = re.compile(r"[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})*")
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
# inter + fall x min(connect, inter) + (fall-1) x fastinter. A refused connection begins the fast checks: an API server
# that the kubelet starts again opens its port 0.3 to 1.3 s after its end, seconds before it answers, and whatever was
# sent there by then is lost. The checks alone mark a server down: what is still connecting to it at that moment, as
# the client would be whose connection did it (mark-down, sudden-death), is forgotten and waits for ever (HAProxy 3.0).
TIMES = """\
inter 1s fastinter 20ms downinter 1s fall 3 rise 2 \
observe layer4 error-limit 1 on-error fastinter on-marked-down shutdown-sessions tcp-ut 15s"""
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
$crt$times""")
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
    # On the machine that lays it down, PEM with chain and key; empty for none. Only the role reads what they hold.
    certificate_file: str = ""
    client_certificate_file: str = ""
    # At layer 7: what clients call the API, and the control plane that made the balancers' certificates.
    api_name: str = ""
    certificates_from: str = ""

    def __post_init__(self) -> None:
        if any(pool.check == PING for pool in self.pools):
            raise ValueError("a pool wants the check ping, which HAProxy does not have")
        if self.pools[0].layer == 7 and not (HOST_NAME.fullmatch(self.api_name) and self.certificates_from):
            raise ValueError("the API at layer 7 needs its name and a control plane that makes its certificate")
        if not self.certificate_file and any(pool.tls for pool in self.pools):
            raise ValueError("a pool wants TLS, and no certificate is named")
        checked_port(self.status_port)
        checked_address(self.status_address)
        IPv4Network(self.stats_network)


def haproxy_cfg(wanted: Haproxy, folder: str = FOLDER) -> str:
    """The whole haproxy.cfg; `folder` is where its certificates lie on the balancer."""
    return TEXT.substitute(
        pools="\n".join(_front_end(wanted, pools, folder) for pools in front_ends(wanted.pools).values()),
        status=_status(wanted),
    )


def _front_end(wanted: Haproxy, pools: Sequence[Pool], folder: str) -> str:
    """One port: its front end, and the back ends of its pools."""
    first = pools[0]
    if first.layer == 7 and first.check == READYZ:
        servers = [_server(first, server) for server in first.servers]
        return haproxy_api.text(first, wanted.api_name, folder, CA, TIMES, servers)
    if first.layer == 7:
        front, back = haproxy_web.front_end(pools, f"{folder}/{CERTIFICATE}"), haproxy_web.BACKEND
    else:
        front, back = FRONTEND.substitute(name=first.name, address=first.address, port=first.port), BACKEND
    return "\n".join([front, *(_back_end(wanted, pool, back, folder) for pool in pools)])


def _back_end(wanted: Haproxy, pool: Pool, text: Template, folder: str) -> str:
    return text.substitute(
        name=pool.name,
        balance="roundrobin" if pool.algorithm == "weighted" else pool.algorithm,
        check=_check(wanted, pool, folder),
        servers="\n".join(_server(pool, server) for server in pool.servers),
    )


def _check(wanted: Haproxy, pool: Pool, folder: str) -> str:
    if pool.check == READYZ:
        crt = f"crt {folder}/{CLIENT_CERTIFICATE} " if wanted.client_certificate_file else ""
        return CHECK_READYZ.substitute(ca_file=f"{folder}/{CA}", crt=crt, times=TIMES)
    if pool.check == CONNECT:
        return CHECK_CONNECT.substitute(times=TIMES)
    return CHECK_PATH.substitute(path=pool.check, times=TIMES)


def server_name(pool: Pool, server: Server) -> str:
    """What a server is called in haproxy.cfg, and so in its statistics."""
    # At layer 7 its name becomes the Host of requests; the API servers have a Host of their own.
    return f"{server.address}:{server.port}" if pool.layer == 7 and pool.check != READYZ else server.name


def _server(pool: Pool, server: Server) -> str:
    weight = f" weight {server.weight}" if pool.algorithm == "weighted" else ""
    return f"    server {server_name(pool, server)} {server.address}:{server.port}{weight}"


def _status(wanted: Haproxy) -> str:
    """Where the status port is open: on loopback, and beyond it to one network."""
    lines = [f"    bind 127.0.0.1:{wanted.status_port}"]
    if not wanted.stats_network.startswith("127."):
        lines += [
            f"    bind {wanted.status_address}:{wanted.status_port}",
            f"    http-request deny unless {{ src 127.0.0.0/8 {wanted.stats_network} }}",
        ]
    return "\n".join(lines)
