"""What the checker's tests do on the LAN: `python -m tests.helpers.checker_stories STORY KIND WORK`.

The caller has made the namespaces.
"""

import contextlib
import json
import signal
import sys
import time
from functools import partial
from pathlib import Path

from tests.helpers.checker_lan import SERVERS, Lan, call, ended_after, lives, until


def dead(lan: Lan) -> None:
    """A server that is killed, one that hangs, one that stalls; idle watches end with their server alone."""
    with contextlib.ExitStack() as stack:
        watches = lan.watches(stack)
        lan.signal("s1", signal.SIGSTOP)
        took = ended_after(watches["s1"], 5)
        print(f"hang: an idle watch ended after {took:.2f} s")
        assert lan.states() == ["down", "up", "up"], lan.state()
        assert lan.servers()["s1"]["last_answer"] == "no answer in 1.2 s"
        assert {lan.answers() for _ in range(6)} == {"s2", "s3"}
        lan.signal("s1", signal.SIGCONT)
        until("s1 is up again", lambda: lan.states() == ["up"] * 3, 3)
        # Off: nobody says anything any more.
        call("ip", "link", "set", "s2", "down")
        print(f"off: an idle watch ended after {ended_after(watches['s2'], 5):.2f} s")
        assert lives(watches["s3"])
        call("ip", "link", "set", "s2", "up")
        until("s2 is up again", lambda: lan.states() == ["up"] * 3, 5)
        lan.signal("s2", signal.SIGKILL)
        print(f"kill: down after {until('s2 is down', lambda: lan.states()[1] == 'down', 2):.2f} s")
        assert {lan.answers() for _ in range(6)} == {"s1", "s3"}
        assert lives(watches["s3"])
        lan.start_server("s2")
        until("s2 is up again", lambda: lan.states() == ["up"] * 3, 3)
        seen = set()
        for pause in (1.2, 1.5):
            lan.signal("s3", signal.SIGSTOP if pause == 1.2 else signal.SIGCONT)
            ends = time.monotonic() + pause
            while time.monotonic() < ends:
                seen.add(lan.states()[2])
                time.sleep(0.05)
        assert seen == {"up"}
        assert lives(watches["s3"])


def drained(lan: Lan) -> None:
    """By its own word, by a person's: no new connections, and the old ones live. Unready: they do not."""
    with contextlib.ExitStack() as stack:
        watches = lan.watches(stack)
        lan.signal("s1", signal.SIGUSR1)
        until("s1 drains", lambda: lan.states() == ["drain", "up", "up"], 2)
        until("s1 takes none", lambda: "s1" not in {lan.answers() for _ in range(6)}, 2)
        lan.on("lb", *lan.checker("drain", "s2"))
        assert lan.states() == ["drain", "drain", "up"]
        until("s3 takes all", lambda: {lan.answers() for _ in range(6)} == {"s3"}, 2)
        told = json.loads(lan.on("lb", *lan.checker("status")))["pools"]["api"]["servers"]
        assert [told[name]["sessions"] for name in SERVERS] >= [1, 1, 1]
        assert all(map(lives, watches.values()))
        # Whoever drains is better than nobody.
        lan.signal("s3", signal.SIGUSR2)
        print(f"unready: an idle watch ended after {ended_after(watches['s3'], 2):.2f} s")
        assert lan.servers()["s3"]["last_answer"] == "/readyz answers 500: etcd failed"
        until("who drains takes connections", lambda: {lan.answers() for _ in range(6)} == {"s1", "s2"}, 2)
        assert lan.status("/api_ready") == (200, "ready\n")
        lan.signal("s1", signal.SIGUSR1)
        lan.signal("s3", signal.SIGUSR2)
        lan.on("lb", *lan.checker("ready", "s2"))
        until("all are up", lambda: lan.states() == ["up"] * 3, 2)
        assert lives(watches["s1"])
        assert lives(watches["s2"])


def all_down(lan: Lan) -> None:
    """All servers are dead; one comes back."""
    for name in SERVERS:
        lan.signal(name, signal.SIGKILL)
    until("all are down", lambda: lan.states() == ["down"] * 3, 3)
    assert lan.status("/ready") == (200, "ready\n")
    assert lan.status("/api_ready")[0] == 503
    assert 'homelab_server_state{pool="api",server="s1",state="down"} 1' in lan.status("/metrics")[1]
    lan.start_server("s2")
    # The server itself needs a while to start.
    print(f"all down: served after {until('an answer', lambda: lan.answers() == 's2', 5):.2f} s")
    until("s2 takes all", lambda: lan.servers()["s2"]["state"] == "up", 3)
    until("s2 takes all", lambda: {lan.answers() for _ in range(6)} == {"s2"}, 3)


def tells_after(lan: Lan, at: float) -> bool:
    return float(lan.state()["at"]) > at


def hands(lan: Lan) -> None:
    """Others' rules stay, ours come back; a new start loses no connection and forgets nothing."""
    lan.on("lb", "nft", "add table ip owner { chain own { type filter hook input priority 5; } ; }")
    own = lan.on("lb", "nft", "list", "table", "ip", "owner")
    since = lan.servers()["s1"]["since"]
    lan.signal("s3", signal.SIGKILL)
    until("s3 is down", lambda: lan.states()[2] == "down", 2)
    with contextlib.ExitStack() as stack:
        watch = stack.enter_context(lan.asked("/watch"))[1]
        for _ in range(2):
            lan.signal("checker", signal.SIGHUP)
            at = lan.state()["at"]
            lost = [1 for _ in range(20) if lan.answers() not in ("s1", "s2")]
            assert not lost, f"{len(lost)} lost"
            # keepalived asks just then.
            assert lan.status("/ready") == (200, "ready\n")
            until("it tells again", partial(tells_after, lan, at), 3)
        assert lives(watch)
        assert lan.servers()["s1"]["since"] == since
        assert lan.states() == ["up", "up", "down"]
        assert lan.on("lb", "nft", "list", "table", "ip", "owner") == own
        rules = lan.on("lb", "nft", "--stateless", "list", "table", "ip", "homelab_balancer")
        lan.on("lb", "nft", "flush", "ruleset")
        # As `systemctl restart nftables` does it.
        until(
            "the rules are back",
            lambda: rules == lan.on("lb", "sh", "-c", "nft --stateless list table ip homelab_balancer || true"),
            4,
        )
        assert lives(watch)


def refused(lan: Lan) -> None:
    """A configuration that nginx refuses does not go live, and what is live goes on."""
    live = lan.work / "run/nginx.conf"
    before = live.read_text()
    good = (lan.work / "nginx.conf").read_text()
    (lan.work / "nginx.conf").write_text(good + "nonsense;\n")
    lan.signal("s1", signal.SIGKILL)
    until("the problem is told", lambda: "nonsense" in lan.state()["problem"], 4)
    assert live.read_text() == before
    assert lan.status("/ready") == (200, "ready\n")
    assert {lan.answers() for _ in range(6)} == {"s2", "s3"}
    (lan.work / "nginx.conf").write_text(good)
    until("the problem is over", lambda: lan.state()["problem"] == "", 4)
    assert "192.0.2.1:6443 max_fails=1 fail_timeout=1s down;" in live.read_text()
    # A file that nginx cannot read.
    (lan.work / "run").chmod(0o700)
    lan.start_server("s1")
    until("nginx has not taken it over", lambda: "did not take" in lan.state()["problem"], 5)
    (lan.work / "run").chmod(0o755)
    until("it has by now", lambda: lan.state()["problem"] == "" and "s1" in {lan.answers() for _ in range(6)}, 5)
    lan.signal("nginx", signal.SIGTERM)
    until("nginx is missed", lambda: lan.status("/ready")[0] == 503, 2)


def weights(lan: Lan) -> None:
    """10 % of the connections for one, 90 % for another, none for the third."""
    lan.weigh({"s1": 10, "s2": 90, "s3": 0})
    lan.signal("checker", signal.SIGHUP)
    until("the weights are live", lambda: lan.state()["pools"]["api"]["algorithm"] == "weighted", 4)
    until("s3 takes none", lambda: "s3" not in {lan.answers() for _ in range(6)}, 3)
    names = [lan.answers() for _ in range(200)]
    assert 16 <= names.count("s1") <= 24, names.count("s1")
    assert names.count("s2") == 200 - names.count("s1")


def whole(lan: Lan) -> None:
    """A pool of whole addresses: every port, asked by a ping; sessions of whatever port end with their server."""
    lan.weigh({}, layer=3)
    lan.signal("checker", signal.SIGHUP)
    until("layer 3 is live", lambda: lan.state()["pools"]["api"]["layer"] == 3, 4)
    until("all answer", lambda: {s["last_answer"] for s in lan.servers().values()} == {"answers a ping"}, 4)
    assert {lan.answers() for _ in range(6)} == set(SERVERS)
    with contextlib.ExitStack() as stack:
        watches = lan.watches(stack)
        # A program that hangs is nothing to a ping.
        lan.signal("s1", signal.SIGSTOP)
        call("ip", "link", "set", "s2", "down")
        print(f"off: an idle watch ended after {ended_after(watches['s2'], 5):.2f} s")
        assert lan.states() == ["up", "down", "up"]
        assert lives(watches["s1"])
        assert lives(watches["s3"])
        lan.signal("s1", signal.SIGCONT)
        assert {lan.answers() for _ in range(6)} == {"s1", "s3"}


def web(lan: Lan) -> None:
    """A pool at layer 7 beside the API: a member that dies is marked, and the API's sessions live."""
    with contextlib.ExitStack() as stack:
        watch = stack.enter_context(lan.asked("/watch"))[1]
        lan.balance_web("s1", "s2")
        lan.signal("checker", signal.SIGHUP)
        until("both members are up", lambda: site(lan) == ["up", "up"], 5)
        until("both answer", lambda: {lan.answers("/site/", 8443) for _ in range(6)} == {"s1", "s2"}, 3)
        assert lan.answers("/elsewhere", 8443) == "No"
        lan.signal("web-s1", signal.SIGKILL)
        until("s1 is down", lambda: site(lan) == ["down", "up"], 3)
        live = lan.work / "run/nginx.conf"
        until("s1 is marked", lambda: "192.0.2.1:8000 max_fails=1 fail_timeout=1s down;" in live.read_text(), 2)
        assert {lan.answers("/site/", 8443) for _ in range(6)} == {"s2"}
        lan.start_web("s1")
        until("both answer again", lambda: {lan.answers("/site/", 8443) for _ in range(6)} == {"s1", "s2"}, 5)
        assert lan.state()["problem"] == ""
        assert lan.states() == ["up"] * 3
        assert lives(watch)


def site(lan: Lan) -> list[str]:
    return [one["state"] for one in lan.state()["pools"].get("site", {}).get("servers", {}).values()]


STORIES = {story.__name__: story for story in (dead, drained, all_down, hands, refused, weights, whole, web)}


def main() -> None:
    lan = Lan(sys.argv[2], Path(sys.argv[3]))
    try:
        lan.begin()
        STORIES[sys.argv[1]](lan)
    except BaseException:
        print(lan.told())
        raise


if __name__ == "__main__":
    main()
