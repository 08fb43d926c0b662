"""What goes into the role nginx, and the text of its nginx.conf: an nginx of our own, beside the machine's."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from re import search, sub
from string import Template
from typing import ClassVar

from . import nginx_api, nginx_http, nginx_web
from .pools import READYZ, Pool, Server, checked_port

PATH = "/etc/homelab-nginx/nginx.conf"
CA_FILE = "/etc/homelab-nginx/cluster-ca.crt"
USER = "www-data"
# What clients of further pools are shown.
CERTIFICATE = "certificate.pem"
READY = "ready"
TEXT = Template("""\
# Managed by homelab. nginx 1.22 and later take it. The checker marks servers that take no connections as `down` in a
# copy of this file, which nginx runs on.
load_module $modules/ngx_stream_module.so;
error_log stderr notice;
worker_processes auto;
# After a reload the old processes keep their sessions for so long at most.
worker_shutdown_timeout 4h;

events {
    worker_connections 8192;
}

stream {
    log_format homelab '$$remote_addr:$$remote_port -> $$upstream_addr $$status $$session_time s '
                       'in $$bytes_received out $$bytes_sent';
    access_log syslog:server=unix:/dev/log,nohostname,tag=homelab_nginx homelab;

    # A server that refuses is asked no second time: the next one is, so a crash loses no request.
    proxy_connect_timeout 1s;
    proxy_next_upstream on;
    proxy_next_upstream_tries 3;
    # Logs, exec and watches are silent for long.
    proxy_timeout 4h;
    proxy_socket_keepalive on;

$pools
    # The checker asks here whether nginx itself is well.
    server {
        listen 127.0.0.1:$ready_port;
        access_log off;
        return "ready\\n";
    }
}
$http""")
UPSTREAM = Template("""\
    upstream $name {
        zone $name 64k;
$balance$servers
$more    }
""")
# The API's connections are used again, so that not every request costs a handshake.
KEPT = "        keepalive 64;\n"
SERVER = Template("""\
    server {
        listen $address:$port so_keepalive=on;
        proxy_pass $name;
    }
""")


@dataclass(frozen=True)
class Places:
    """Where things are on the balancer.

    `certificates` is a folder with copies of certificates and keys for nginx to read, `temporary` belongs to its user.
    """

    modules: str = "/usr/lib/nginx/modules"
    certificates: str = "/run/homelab-nginx"
    ca_file: str = CA_FILE
    temporary: str = "/var/lib/homelab-nginx"


@dataclass(frozen=True)
class Nginx:
    """What goes into the role: each field is the role's variable nginx_FIELD. Raises ValueError.

    `ready_port` is the port of loopback on which nginx itself answers that it is well. `certificate_file` is on the
    machine that lays it down, PEM with chain and key, or empty; only the role reads what it holds. For the API at layer
    7: `ca` in PEM form, and the control plane that made the balancers' certificates; else both are empty.
    """

    role: ClassVar[str] = "nginx"
    pools: tuple[Pool, ...]
    ready_port: int
    certificate_file: str = ""
    ca: str = ""
    certificates_from: str = ""

    def __post_init__(self) -> None:
        checked_port(self.ready_port)
        if any(_is_api(pool) for pool in self.pools) and not self.certificates_from:
            raise ValueError("the API at layer 7 needs the control plane that made the balancers' certificates")
        if not self.certificate_file and any(pool.tls for pool in self.pools):
            raise ValueError("a pool wants TLS, and no certificate is named")


def nginx_conf(wanted: Nginx, places: Places = Places()) -> str:
    """The whole nginx.conf; all servers take connections until the checker knows better."""
    return TEXT.substitute(
        pools="\n".join(_upstream(pool) + _listener(pool) for pool in wanted.pools if pool.layer != 7),
        ready_port=wanted.ready_port,
        modules=places.modules,
        http=_http([pool for pool in wanted.pools if pool.layer == 7], places),
    )


def _http(pools: Sequence[Pool], places: Places) -> str:
    """What is balanced at layer 7; empty when nothing is."""
    web = [pool for pool in pools if not _is_api(pool)]
    parts = [
        nginx_api.server(pool, partial(_upstream, pool, more=KEPT), places.certificates, places.ca_file)
        for pool in pools
        if _is_api(pool)
    ]
    if web:
        certificate = f"{places.certificates}/{CERTIFICATE}"
        parts.append(nginx_web.servers(web, [_upstream(pool) for pool in web], certificate))
    what = "each request goes to the pool of its path" if web else "each request is one of its own"
    return nginx_http.http(what, parts, places.temporary) if parts else ""


def _is_api(pool: Pool) -> bool:
    return pool.layer == 7 and pool.check == READYZ


def changed_conf(text: str, away: Mapping[str, Collection[tuple[str, int]]]) -> str:
    """The nginx.conf with those servers marked as `down` that take no connections: pool -> (address, port).

    By what nginx answers on its own port it is told from every other: ready_line is that answer.
    """
    lines, upstream = [], ""
    for line in text.splitlines(keepends=True):
        words = line.split()
        if words[:1] == ["upstream"]:
            upstream = words[1].partition("_")[0]
        elif words[:1] == ["server"] and words[1] in {f"{host}:{port}" for host, port in away.get(upstream, ())}:
            line = sub(";", " down;", line, count=1)
        elif words == ["}"]:
            upstream = ""
        lines.append(line)
    changed = "".join(lines)
    return changed.replace(f'"{READY}\\n"', f'"{READY} {_digest(changed)}\\n"')


def ready_line(text: str) -> str:
    """What an nginx answers that runs on this nginx.conf."""
    found = search(f'return "({READY}.*)\\\\n"', text)
    return found[1] if found else READY


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:16]


def _listener(pool: Pool) -> str:
    return SERVER.substitute(name=pool.name, address=pool.address, port=pool.port)


def _upstream(pool: Pool, name: str = "", more: str = "") -> str:
    return UPSTREAM.substitute(
        name=name or pool.name,
        balance="        least_conn;\n" if pool.algorithm == "leastconn" else "",
        servers="\n".join(_server(pool, server) for server in pool.servers if pool.weight_of(server)),
        more=more,
    )


def _server(pool: Pool, server: Server) -> str:
    """One that refuses is left out for a second; the checker says by then whether it is to be left out for longer."""
    weight = f" weight={server.weight}" if pool.algorithm == "weighted" else ""
    return f"        server {server.address}:{server.port}{weight} max_fails=1 fail_timeout=1s; # {server.name}"
