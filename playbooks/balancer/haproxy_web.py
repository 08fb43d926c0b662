"""Layer 7 of haproxy.cfg: a front end that reads each request's path, and its pools."""

from collections.abc import Sequence
from string import Template

from .pools import Pool

FRONTEND = Template("""\
# Layer 7: each request goes to the pool of its path.
frontend $name
    bind $address:$port$tls
    mode http
    option httplog
    # A client that sends its request drop by drop holds nothing up.
    timeout http-request 10s
    timeout http-keep-alive 60s
    timeout client 10m
    # What a client says of where a request came from is dropped: HAProxy says what it sees itself.
    http-request del-header X-Forwarded- -m beg
    http-request del-header X-Real-IP
    http-request del-header Forwarded
    http-request set-header X-Forwarded-For %[src]
    http-request set-header X-Forwarded-Proto $scheme
    # The back end gets a Host of its own; this is the one that the client asked for.
    http-request set-header X-Forwarded-Host %[req.hdr(Host)] if { req.hdr(Host) -m found }
$routes
""")
ACL = Template("""\
    acl below_$name path $path
    acl below_$name path_beg $path/
""")
PATHS = "    # A pool takes its path and what is below it: /finance and /finance/q3, not /financed.\n"
NOBODY = Template("""\
    # No pool takes the rest.
    http-request return status 404 content-type text/plain string "No pool of this balancer takes this path.\\n" \
unless $names
""")
BACKEND = Template("""\
backend $name-servers
    mode http
    balance $balance
    # Long answers and silent streams live; WebSockets have `timeout tunnel`.
    timeout server 10m
    # The server's name becomes the Host: so it is called ADDRESS:PORT.
    http-send-name-header Host
$check
$servers
""")


def name_of(port: int) -> str:
    """What the front end of a port is called; no pool can be called so."""
    return f"web_{port}"


def front_end(pools: Sequence[Pool], certificate: str) -> str:
    """The front end of the pools that share one port; `certificate` is a path on the balancer."""
    first = pools[0]
    return FRONTEND.substitute(
        name=name_of(first.port),
        address=first.address,
        port=first.port,
        tls=f" ssl crt {certificate} alpn h2,http/1.1" if first.tls else "",
        scheme="https" if first.tls else "http",
        routes=_routes(pools).rstrip("\n"),
    )


def _routes(pools: Sequence[Pool]) -> str:
    # The longest path first: /finance/reports has a pool of its own beside that of /finance.
    below = sorted((pool for pool in pools if pool.path), key=lambda pool: -len(pool.path))
    rest = [pool for pool in pools if not pool.path]
    text = "".join([PATHS, *(ACL.substitute(name=pool.name, path=pool.path) for pool in below)]) if below else ""
    if not rest:
        text += NOBODY.substitute(names=" or ".join(f"below_{pool.name}" for pool in below))
    text += "".join(f"    use_backend {pool.name}-servers if below_{pool.name}\n" for pool in below)
    return text + "".join(f"    default_backend {pool.name}-servers\n" for pool in rest)
