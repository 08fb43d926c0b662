"""Further pools at layer 7 in nginx.conf: servers that read each request's path, and their pools."""

from collections.abc import Callable, Sequence
from string import Template

from .pools import Pool, front_ends

WEB = Template("""\
    keepalive_timeout 60s;
    # Long answers and silent streams live; what upgrades lives for longer.
    client_body_timeout 10m;
    send_timeout 10m;
    proxy_read_timeout 10m;
    proxy_send_timeout 10m;
    # An upgrade to HTTP/2 would be a way past the paths and headers below.
    map $$http_upgrade $$upgrade {
        default $$http_upgrade;
        ~*h2 "";
    }
    map $$upgrade $$hop {
        default upgrade;
        "" close;
    }
    proxy_set_header Upgrade $$upgrade;
    proxy_set_header Connection $$hop;
    # What a client says of where a request came from is dropped: nginx says what it sees itself.
$dropped
    proxy_set_header X-Forwarded-For $$remote_addr;
    proxy_set_header X-Forwarded-Proto $$scheme;
    # The back end gets a Host of its own; this is the one that the client asked for.
    proxy_set_header X-Forwarded-Host $$http_host;
    proxy_set_header Host $$pool_host;

    # A pool takes its path and what is below it: /finance and /finance/q3, not /financed.
    map $$server_port:$$uri $$pool {
$pools
        default "";
    }
    # A lone server's Host is its ADDRESS:PORT. nginx has one for all of a pool, so several are called as it is.
    map $$server_port:$$uri $$pool_host {
$hosts
        default "";
    }
$certificate
$parts""")
# nginx cannot drop headers by the beginning of their names. These are those that programs are known to believe.
DROPPED = (
    "Forwarded", "X-Real-IP", "X-Forwarded", "X-Forwarded-Access-Token", "X-Forwarded-By", "X-Forwarded-Client-Cert",
    "X-Forwarded-Email", "X-Forwarded-Groups", "X-Forwarded-Method", "X-Forwarded-Path", "X-Forwarded-Port",
    "X-Forwarded-Preferred-Username", "X-Forwarded-Prefix", "X-Forwarded-Protocol", "X-Forwarded-Scheme",
    "X-Forwarded-Server", "X-Forwarded-Ssl", "X-Forwarded-Tls-Client-Cert", "X-Forwarded-Tls-Client-Cert-Info",
    "X-Forwarded-Uri", "X-Forwarded-User",
)  # fmt: skip
SERVER = Template("""\
    server {
        listen $address:$port$ssl so_keepalive=on;
$certificate$nobody        error_page 418 = @upgrades;
        if ($$upgrade) {
            return 418;
        }
        location / {
            proxy_pass http://$$pool;
        }
        # An upgrade may run a command: it is never sent twice.
        location @upgrades {
            proxy_next_upstream off;
            proxy_read_timeout 4h;
            proxy_send_timeout 4h;
            proxy_pass http://$$pool;
        }
    }
""")
# By a variable nginx reads the file when a client comes: neither its test nor the checker's needs the key.
CERTIFICATE = """\
        ssl_certificate $certificate;
        ssl_certificate_key $certificate;
        ssl_protocols TLSv1.2 TLSv1.3;
"""
MAP = Template("""\
    map "" $$certificate {
        default $path;
    }
""")
NOBODY = """\
        # No pool takes the rest.
        if ($pool = "") {
            return 404 "No pool of this balancer takes this path.\\n";
        }
"""


def servers(pools: Sequence[Pool], upstreams: Sequence[str], certificate: str) -> str:
    """Their part of the block `http`; `certificate` is a path on the balancer, read by the user that nginx runs as."""
    ports = front_ends(pools).values()
    return WEB.substitute(
        dropped="\n".join(f'    proxy_set_header {name} "";' for name in DROPPED),
        certificate=MAP.substitute(path=certificate) if any(pool.tls for pool in pools) else "",
        pools=_table(pools, lambda pool: pool.name),
        hosts=_table(pools, _host),
        parts="\n".join([*upstreams, *(_server(sharing) for sharing in ports)]).rstrip("\n"),
    )


def _table(pools: Sequence[Pool], value: Callable[[Pool], str]) -> str:
    """Lines of a map; nginx takes the first that fits, so /finance/reports comes before /finance."""
    longest = sorted(pools, key=lambda pool: -len(pool.path))
    return "\n".join(f"        {_below(pool)} {value(pool)};" for pool in longest)


def _below(pool: Pool) -> str:
    path = pool.path.replace(".", "\\.")
    return f"~^{pool.port}:{path}(/|$)" if path else f"~^{pool.port}:"


def _host(pool: Pool) -> str:
    able = [server for server in pool.servers if pool.weight_of(server)]
    return f"{able[0].address}:{able[0].port}" if len(able) == 1 else pool.name


def _server(pools: Sequence[Pool]) -> str:
    """The server of the pools that share one port."""
    first = pools[0]
    return SERVER.substitute(
        address=first.address,
        port=first.port,
        ssl=" ssl" if first.tls else "",
        certificate=CERTIFICATE if first.tls else "",
        nobody="" if any(not pool.path for pool in pools) else NOBODY,
    )
