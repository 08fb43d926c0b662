"""The rules of the kernel: balancing at layers 3 and 4, and the end of the sessions that a dead server leaves behind.

The table is ours alone. What changes while it runs (who takes connections, who is dead) are the chains pool_NAME and
two sets; the checker replaces them in one transaction.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import gcd
from string import Template
from typing import ClassVar

from .pools import Pool, Server

PATH = "/etc/homelab-nftables/rules.nft"
NGINX_RULES = "/etc/homelab-nginx/rules.nft"
TABLE = "ip homelab_balancer"
# On packets of the checker's own, which the kernel is not to count as connections.
MARK = 0x686C6162
FRAME = Template("""\
# Managed by homelab. The checker loads it, and replaces what is in the chains pool_NAME and in the sets.
# The first two lines make it replace the table as a whole: nothing else of this machine is touched.
table $table
delete table $table
table $table {
    # Servers that are dead: the sessions that they left are answered in their place, or watches would hang for 45 s.
    set dead {
        type ipv4_addr . inet_service
    }
    set dead_hosts {
        type ipv4_addr
    }
$chains
    # What the checker asks a client in a server's name is no connection; the client's answer meets the chain `dead`.
    chain questions {
        type filter hook output priority raw
        meta mark $mark notrack
    }
}
""")
BALANCE = Template("""\
$pools
    chain balance {
$jumps
    }
    chain from_outside {
        type nat hook prerouting priority dstnat
        jump balance
    }
    chain from_here {
        type nat hook output priority -100
        jump balance
    }
    # Answers come back this way: the servers see the balancer's address.
    chain answers {
        type nat hook postrouting priority srcnat
        ct status dnat ct original ip daddr { $addresses } masquerade
    }
    chain dead {
        type filter hook forward priority filter
        ct direction original ct original ip daddr { $addresses } jump dead_servers
    }
    chain dead_from_here {
        type filter hook output priority filter
        ct direction original ct original ip daddr { $addresses } jump dead_servers
    }
    chain dead_servers {
        ip daddr . tcp dport @dead reject with tcp reset
        ip daddr @dead_hosts meta l4proto tcp reject with tcp reset
        ip daddr @dead_hosts reject
    }""")
PROXY = Template("""\
    # Of nginx alone: whoever else asks the server from here hears from the server itself.
    chain dead {
        type filter hook output priority filter
        meta skuid "$user" ip daddr . tcp dport @dead reject with tcp reset
    }""")


@dataclass(frozen=True)
class Nftables:
    """What goes into the role: each field is the role's variable nftables_FIELD."""

    role: ClassVar[str] = "nftables"
    pools: tuple[Pool, ...]


def nftables_rules(wanted: Nftables) -> str:
    """The whole file of a balancer in the kernel; all servers take connections until the checker knows better."""
    # Who wants one port comes before who wants them all.
    pools = sorted(wanted.pools, key=lambda pool: -pool.layer)
    chains = BALANCE.substitute(
        pools="\n".join(_chain(pool) for pool in pools),
        jumps="\n".join(f"        jump pool_{pool.name}" for pool in pools),
        addresses=", ".join(sorted({pool.address for pool in pools})),
    )
    return FRAME.substitute(table=TABLE, mark=hex(MARK), chains=chains)


def proxy_rules(user: str = "www-data") -> str:
    """The whole file beside a proxy, whose processes run as `user`: it only ends dead servers' sessions."""
    return FRAME.substitute(table=TABLE, mark=hex(MARK), chains=PROXY.substitute(user=user))


def changed_rules(
    chosen: Sequence[tuple[Pool, Collection[str]]], dead: Collection[tuple[str, int]], dead_hosts: Collection[str]
) -> str:
    """One transaction: for each pool the names of those that take connections, and who is dead."""
    lines = []
    for pool, names in chosen:
        lines += [f"flush chain {TABLE} pool_{pool.name}", f"add rule {TABLE} pool_{pool.name} {_rule(pool, names)}"]
    lines += [f"flush set {TABLE} dead", f"flush set {TABLE} dead_hosts"]
    if dead:
        elements = ", ".join(f"{address} . {port}" for address, port in sorted(dead))
        lines.append(f"add element {TABLE} dead {{ {elements} }}")
    if dead_hosts:
        lines.append(f"add element {TABLE} dead_hosts {{ {', '.join(sorted(dead_hosts))} }}")
    return "\n".join(lines) + "\n"


def _chain(pool: Pool) -> str:
    every = [server.name for server in pool.servers]
    return f"    chain pool_{pool.name} {{\n        {_rule(pool, every)}\n    }}"


def _rule(pool: Pool, names: Collection[str]) -> str:
    """Each connection goes to the next of the slots, of which a server has as many as it has weight."""
    weights = {server: pool.weight_of(server) for server in pool.servers if server.name in names}
    divisor = gcd(*weights.values()) or 1
    slots = ", ".join(_slots(pool, {server: weight // divisor for server, weight in weights.items()}))
    count = sum(weights.values()) // divisor
    port = f" tcp dport {pool.port}" if pool.layer == 4 else ""
    return f"ip daddr {pool.address}{port} dnat to numgen inc mod {count} map {{ {slots} }}"


def _slots(pool: Pool, weights: Mapping[Server, int]) -> Iterator[str]:
    first = 0
    for server, weight in weights.items():
        if weight:
            numbers = str(first) if weight == 1 else f"{first}-{first + weight - 1}"
            yield f"{numbers} : {server.address}" + (f" . {server.port}" if pool.layer == 4 else "")
            first += weight
