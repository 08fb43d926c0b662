"""One lab whose balancers change their kind: each serves, and nothing of the other is left."""

import subprocess
from typing import Any

import pytest
import yaml

from tests.helpers.served import Lab, failures, summary, until

pytestmark = [pytest.mark.e2e, pytest.mark.thorough, pytest.mark.timeout(600)]

VIP = "192.168.2.100"
UNITS = {"haproxy": "haproxy.service", "nginx": "homelab-nginx.service", "nftables": "homelab-checker.service"}
POOL = {"name": "nodes", "port": 10250, "members": ["cp1", "cp2"], "server_port": 6443}


def of_kind(lab: Lab, kind: str, layer: int = 4, pools: tuple[dict[str, Any], ...] = ()) -> None:
    file = lab.folder / "inventory" / "group_vars" / "load_balancers.yml"
    wanted = {
        "load_balancer_kind": kind,
        "load_balancer_layer": layer,
        "load_balancer_algorithm": "roundrobin",
        "load_balancer_pools": list(pools),
    }
    file.write_text(yaml.safe_dump(yaml.safe_load(file.read_text()) | wanted))


def answers(lab: Lab, port: int = 6443) -> bool:
    done = lab.enter("curl", "-s", "-m", "2", "-k", f"https://{VIP}:{port}/version")
    return "gitVersion" in done.stdout


def active(lab: Lab, balancer: str) -> set[str]:
    """The units of balancers that run."""
    units = sorted(set(UNITS.values()))
    said = lab.ssh(balancer, "systemctl", "is-active", *units).stdout
    states = [line for line in said.splitlines() if line in ("active", "inactive", "failed", "activating")]
    return {unit for unit, state in zip(units, states, strict=True) if state == "active"}


def holder(lab: Lab) -> str | None:
    found = [vm for vm in ("lb1", "lb2") if f"inet {VIP}/" in lab.ssh(vm, "ip", "-4", "address").stdout]
    return found[0] if len(found) == 1 else None


def bootstrap(lab: Lab) -> dict[str, Any]:
    done = lab.homelab("--yes", "-o", "json", "bootstrap", timeout=500)
    assert done.returncode == 0, failures(done.stdout) or done.stderr
    return summary(done.stdout)


@pytest.mark.parametrize(
    ("kind", "units"),
    [
        ("haproxy", {"haproxy.service"}),
        ("nginx", {"homelab-nginx.service", "homelab-checker.service"}),
        ("nftables", {"homelab-checker.service"}),
        ("haproxy", {"haproxy.service"}),
    ],
    ids=["haproxy at first", "nginx", "nftables", "haproxy again"],
)
def test_a_kind_takes_the_place_of_another(guest_lab: Lab, kind: str, units: set[str]) -> None:
    of_kind(guest_lab, kind, pools=(POOL,))
    assert bootstrap(guest_lab)["changed"] > 0
    assert bootstrap(guest_lab)["changed"] == 0
    assert {vm: active(guest_lab, vm) for vm in ("lb1", "lb2")} == {"lb1": units, "lb2": units}
    until(lambda: answers(guest_lab), 10, "the API answers on the VIP")
    until(lambda: answers(guest_lab, 10250), 10, "the further pool answers on the VIP")
    # What answers is this kind, on the balancer that has the address.
    first = holder(guest_lab)
    assert first is not None
    assert guest_lab.ssh(first, "systemctl", "stop", UNITS[kind]).returncode == 0
    until(lambda: holder(guest_lab) not in (None, first), 15, f"the VIP leaves {first}")
    until(lambda: answers(guest_lab), 10, "the API answers from the other balancer")
    assert bootstrap(guest_lab)["changed"] > 0
    assert guest_lab.homelab("plan").returncode == 0


def test_a_configuration_that_serves_nobody_gives_way_to_the_earlier_one(guest_lab: Lab) -> None:
    """HAProxy takes another cluster's CA without a word; by it no API server is well."""
    file = guest_lab.folder / "inventory" / "group_vars" / "load_balancers.yml"
    right, shown = file.read_text(), ("sha256sum", "/etc/haproxy/cluster-ca.crt")
    before = guest_lab.ssh("lb1", *shown).stdout
    words = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=kubernetes")
    target = ("-keyout", "/dev/null", "-out", str(guest_lab.folder / "foreign.crt"))
    subprocess.run([*words, *target], check=True, capture_output=True)
    file.write_text(yaml.safe_dump(yaml.safe_load(right) | {"load_balancer_ca_file": "../foreign.crt"}))
    done = guest_lab.homelab("--yes", "-o", "json", "bootstrap", "--only", "load-balancer")
    file.write_text(right)
    assert done.returncode == 1
    said = failures(done.stdout)["load-balancer", "lb1"]["what"]
    assert "No API server is up" in said
    assert "are back in their place: /etc/haproxy/cluster-ca.crt" in said
    # The other balancer was left as it was; this one serves again.
    assert ("load-balancer", "lb2") not in failures(done.stdout)
    assert guest_lab.ssh("lb1", *shown).stdout == before
    assert active(guest_lab, "lb1") == active(guest_lab, "lb2") == {"haproxy.service"}
    up = ("curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "http://127.0.0.1:8404/api_ready")
    until(lambda: "200" in guest_lab.ssh("lb1", *up).stdout, 15, "the API is up for lb1 again")
    assert bootstrap(guest_lab)["changed"] == 0


def test_a_port_that_somebody_else_holds_is_named(guest_lab: Lab) -> None:
    of_kind(guest_lab, "haproxy", pools=(POOL, {**POOL, "name": "taken", "port": 22}))
    done = guest_lab.homelab("--yes", "-o", "json", "bootstrap", "--only", "load-balancer")
    assert done.returncode == 1
    said = failures(done.stdout)["load-balancer", "lb1"]["what"]
    assert "sshd" in said
    assert ":22" in said
    assert answers(guest_lab)


def test_at_layer_three_the_whole_address_is_balanced(guest_lab: Lab) -> None:
    of_kind(guest_lab, "nftables", layer=3)
    bootstrap(guest_lab)
    assert bootstrap(guest_lab)["changed"] == 0
    until(lambda: answers(guest_lab), 10, "the API answers on the VIP")
