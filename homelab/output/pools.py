"""The pools of the balancers as a picture, as plain tables, and what changed between two looks. Pure.

A line of a picture is a sequence of (text, style); a style is one of rich's, or empty.
"""

from collections.abc import Iterator, Sequence

from homelab.formats.balancer.pools import Pool
from homelab.output.signs import Line, Signs, cut, wrapped
from homelab.output.table import age, table
from homelab.steps.guests.balancers import Balance, BalancerRow, ServerRow

STYLES = {"up": "green", "down": "red", "drain": "yellow", "maint": "yellow", "away": "red"}
BALANCERS = ("BALANCER", "VIP", "KIND", "VERSION", "UP FOR", "KEEPALIVED", "PROBLEM")
SERVERS = ("POOL", "SERVER", "BALANCER", "STATE", "FOR", "SESSIONS", "ERRORS", "CHECK", "ANSWER")
LEAST_BAR, LONGEST_BAR = 8, 40


def picture(balance: Balance, width: int, signs: Signs, earlier: Balance | None = None) -> list[Line]:
    """The balancers, and each pool with its servers' share of the load; no line is longer than `width`.

    The load are the sessions of now. Where there are none: the connections since an `earlier` look, else all so far.
    """
    lines = [line for row in balance.balancers for line in _balancer(row, balance, width)]
    for pool in balance.pools:
        lines += [(), *_pool(balance, pool, width, signs, earlier)]
    lines += [((line, "yellow"),) for remark in remarks(balance) for line in wrapped("! ", "  ", remark, width)]
    return [cut(line, width, signs) for line in lines]


def plain(balance: Balance) -> list[str]:
    """The same as two tables, for what is no terminal."""
    lines = table(BALANCERS, [_balancer_cells(row) for row in balance.balancers])
    if balance.servers:
        lines += ["", *table(SERVERS, [_server_cells(row) for row in balance.servers])]
    return lines + [f"! {remark}" for remark in remarks(balance)]


def remarks(balance: Balance) -> list[str]:
    """What a person should know beside the states."""
    said = [_drained(balance, name) for name in dict.fromkeys(row.name for row in balance.servers if row.drained)]
    known = [row for row in balance.balancers if row.holds_vip is not None]
    holders = [row.name for row in known if row.holds_vip]
    if known and len(holders) != 1:
        silent = len(known) < len(balance.balancers)
        who = " and ".join(holders) or ("no balancer that answers" if silent else "no balancer")
        said.append(f"{who} {'hold' if len(holders) > 1 else 'holds'} {balance.vip}")
    return said


def _drained(balance: Balance, name: str) -> str:
    """That a server is drained, and where, unless that is everywhere."""
    mine = [row for row in balance.servers if row.name == name]
    on = (
        ""
        if all(row.drained for row in mine)
        else " on " + " and ".join(dict.fromkeys(row.balancer for row in mine if row.drained))
    )
    return f"{name} is drained{on}; `homelab lb ready {name}` ends that"


def changes(before: Balance, after: Balance) -> list[str]:
    """What differs between two looks, as sentences: balancers that go and come, the VIP, servers' states."""
    said: list[str] = []
    old_balancers = {row.name: row for row in before.balancers}
    for row in after.balancers:
        said += _balancer_changes(old_balancers.get(row.name, row), row, after.vip)
    old_servers = {_key(row): row for row in before.servers}
    for server in after.servers:
        old = old_servers.get(_key(server), server)
        if state_of(old) != state_of(server):
            where = f"{server.pool}/{server.name} as {server.balancer} sees it"
            said.append(f"{where}: {state_of(old)} -> {state_of(server)} ({server.answer})")
    return said


def _balancer_changes(old: BalancerRow, row: BalancerRow, vip: str) -> Iterator[str]:
    if old.answers != row.answers:
        yield f"{row.name} answers again" if row.answers else f"{row.name}: {row.problem}"
    if row.holds_vip and not old.holds_vip:
        yield f"{row.name} holds {vip} now"
    elif old.holds_vip and row.holds_vip is False:
        yield f"{row.name} gave {vip} up"


def state_of(row: ServerRow) -> str:
    """A server's state in words: a drained one that is down, too, says both."""
    return f"{row.state}, drained" if row.drained and row.state != "drain" else row.state


def below(sentences: Sequence[str], width: int) -> list[Line]:
    """Sentences below a picture, in full."""
    return [((line, "dim"),) for sentence in sentences for line in wrapped("", " " * 10, sentence, width)]


def _balancer(row: BalancerRow, balance: Balance, width: int) -> list[Line]:
    longest = max(len(one.name) for one in balance.balancers)
    role = "away" if row.holds_vip is None else f"holds {balance.vip}" if row.holds_vip else "stands by"
    style = "red" if not row.answers else "green" if row.holds_vip else ""
    padded = role.ljust(len(f"holds {balance.vip}"))
    if not row.answers:
        indent = " " * (longest + 2)
        why = wrapped(indent, indent, row.problem, width)
        return [((f"{row.name.ljust(longest)}  ", "bold"), (role, style)), *(((line, "red"),) for line in why)]
    ill = f", keepalived is {row.keepalived}" if row.keepalived != "active" else ""
    told = f"{row.kind} {short(row.version)}, up {age(row.uptime_seconds)}"
    return [((f"{row.name.ljust(longest)}  ", "bold"), (f"{padded}  ", style), (told, ""), (ill, "red"))]


def short(version: str | None) -> str:
    """A version without what Debian adds."""
    return (version or "-").partition("-")[0]


def _pool(balance: Balance, pool: Pool, width: int, signs: Signs, earlier: Balance | None) -> list[Line]:
    rows = [row for row in balance.servers if row.pool == pool.name]
    names = list(dict.fromkeys(row.name for row in rows))
    shown, unit = _loads(rows, earlier)
    in_all = sum(shown.values())
    path = f" {pool.path}" if pool.path else ""
    head = (
        (f"{pool.address}:{pool.port}{path}", "bold"),
        (f"  {pool.name}, layer {pool.layer}, {pool.algorithm}", ""),
        (f", {in_all} {unit}" if rows else ", unknown", ""),
    )
    longest = max((len(name) for name in names), default=0)
    lines: list[Line] = [head]
    for name in names:
        is_last = name == names[-1]
        mine = [row for row in rows if row.name == name]
        share = shown[name] / in_all if in_all else 0.0
        lines.append(_server(balance, mine, name.ljust(longest), share, shown[name], width, signs, is_last=is_last))
        stem = f" {'   ' if is_last else signs.stem}  "
        lines += [((line, "dim"),) for said in _details(balance, mine) for line in wrapped(stem, stem, said, width)]
    return lines


def _loads(rows: Sequence[ServerRow], earlier: Balance | None) -> tuple[dict[str, int], str]:
    """Each server's load, at all balancers together, and what it counts."""
    before = {_key(row): row.connections or 0 for row in earlier.servers} if earlier else {}
    now, new = dict.fromkeys((row.name for row in rows), 0), dict.fromkeys((row.name for row in rows), 0)
    for row in rows:
        now[row.name] += row.sessions
        # A program that began anew counts from zero.
        count, old = row.connections or 0, before.get(_key(row), 0)
        new[row.name] += count - old if count >= old else count
    if sum(now.values()):
        return now, "session" if sum(now.values()) == 1 else "sessions"
    return new, "new" if earlier else "so far"


def _key(row: ServerRow) -> tuple[str, str, str]:
    return row.balancer, row.pool, row.name


def _first(balance: Balance, rows: Sequence[ServerRow]) -> ServerRow:
    """What the VIP's holder sees; without one, the first balancer that answers."""
    holders = {row.name for row in balance.balancers if row.holds_vip}
    return next((row for row in rows if row.balancer in holders), rows[0])


def _server(
    balance: Balance,
    rows: Sequence[ServerRow],
    name: str,
    share: float,
    number: int,
    width: int,
    signs: Signs,
    *,
    is_last: bool,
) -> Line:
    row = _first(balance, rows)
    head, tail = f" {signs.last if is_last else signs.fork}{name}  ", f" {share:4.0%} {number:>6}"
    state = f"{row.state:<6}"
    bar = max(LEAST_BAR, min(LONGEST_BAR, width - len(head) - len(state) - len(tail)))
    full = round(share * bar)
    return (
        (head, ""),
        (state, STYLES[row.state]),
        (signs.full * full, STYLES[row.state]),
        (signs.empty * (bar - full), "dim"),
        (tail, ""),
    )


def _details(balance: Balance, rows: Sequence[ServerRow]) -> list[str]:
    """The check, its last answer, and for how long; of each balancer where they do not agree."""
    if len({state_of(row) for row in rows}) == 1:
        return [_detail(_first(balance, rows))]
    return [f"{row.balancer}: {row.state}; {_detail(row)}" for row in rows]


def _detail(row: ServerRow) -> str:
    errors = f", {row.errors} errors" if row.errors else ""
    drained = "drained; " if row.drained else ""
    return f"{drained}{_check(row)}: {row.answer}; for {age(row.since_seconds)}{errors}"


def _check(row: ServerRow) -> str:
    return {"readyz": "/readyz", "": "check"}.get(row.check, row.check)


def _balancer_cells(row: BalancerRow) -> tuple[str, ...]:
    vip = {True: "holds", False: "stands by", None: "-"}[row.holds_vip]
    version, up = row.version or "-", age(row.uptime_seconds)
    return (row.name, vip, row.kind, version, up, row.keepalived or "-", row.problem or "-")


def _server_cells(row: ServerRow) -> tuple[str, ...]:
    errors = "-" if row.errors is None else str(row.errors)
    since, sessions = age(row.since_seconds), str(row.sessions)
    return (row.pool, row.name, row.balancer, state_of(row), since, sessions, errors, _check(row), row.answer)
