"""The main job on the sample lab with real guests. One lab, one story: the tests run in the order they stand in."""

import base64
import json
import time
from typing import Any

import pytest
import yaml

from homelab.steps.product import STEP_NAMES
from tests.helpers.checkout import HELPERS, ROOT
from tests.helpers.served import Lab, events, failures, summary, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]
PLAYBOOKS = ROOT / "playbooks"
VIP = "192.168.2.100"


def hosts(lab: Lab) -> dict[str, Any]:
    done = lab.enter("python", HELPERS / "look_at_hosts.py", json.dumps(lab.ready["hosts"]))
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def vip_answers(lab: Lab) -> bool:
    """Whether the VIP answers 200, asked by curl with the cluster's own CA."""
    done = lab.enter("curl", "-sf", "-m", "2", "-k", f"https://{VIP}:6443/readyz")
    return done.returncode == 0 and "ok" in done.stdout


def holder(lab: Lab) -> str | None:
    for name in ("lb1", "lb2"):
        if f"inet {VIP}/" in lab.ssh(name, "ip", "-4", "address").stdout:
            return name
    return None


def test_a_plan_of_the_bare_lab_names_every_step(guest_lab: Lab) -> None:
    done = guest_lab.homelab("-o", "json", "plan")
    assert done.returncode == 3, done.stderr
    plan = json.loads(done.stdout)
    named = {item["step"] for rows in plan.values() for item in rows}
    # The sample's hosts run already, and have no datastore of their own; it names no manifests.
    assert named == set(STEP_NAMES) - {"boot-media", "local-datastore", "manifests"}
    assert {c["target"] for c in plan["changes"] if c["step"] == "driver-fix"} == {"brix3", "brix4"}
    assert all(change["sentence"] and change["reason"] and change["undo"] for change in plan["changes"])


def test_without_a_terminal_and_consent_nothing_is_touched(guest_lab: Lab) -> None:
    done = guest_lab.homelab("bootstrap")
    assert done.returncode == 2
    assert "--yes" in done.stderr
    assert all(not state["mounts"] for state in hosts(guest_lab).values())


def test_bootstrap_brings_the_lab_up(guest_lab: Lab) -> None:
    before = hosts(guest_lab)
    done = guest_lab.homelab("--yes", "-o", "json", "bootstrap", timeout=390)
    assert done.returncode == 0, failures(done.stdout)
    end = summary(done.stdout)
    assert (end["failed"], end["blocked"], end["left_out"]) == (0, 0, [])
    after = hosts(guest_lab)
    rebooted = [e["target"] for e in events(done.stdout) if e["event"] == "changed" and e["step"] == "reboot"]
    assert sorted(rebooted) == ["brix1", "brix2", "brix3", "brix4"]
    for name in ("brix3", "brix4"):
        assert after[name]["modules"]["ne1000"] == [False, False]
        assert after[name]["driver"] == "e1000e"
        assert after[name]["booted"] > before[name]["booted"]
    for name in ("brix1", "brix2"):
        assert after[name]["booted"] > before[name]["booted"]
        assert after[name]["modules"] == before[name]["modules"]
    assert not any(state["maintenance"] for state in after.values())
    assert len({state["scratch"] for state in after.values()}) == 4
    assert all(state["scratch"].startswith("/vmfs/volumes/") for state in after.values())
    assert len({tuple(map(tuple, state["mounts"])) for state in after.values()}) == 1
    assert not any(state["ssh"] for state in after.values())
    assert not any(state["seeds"] for state in after.values())
    places = {vm: host for host, state in after.items() for vm in state["vms"]}
    assert len({places[vm] for vm in ("cp1", "cp2", "cp3")}) == 3
    assert places["lb1"] != places["lb2"]


def test_status_tells_the_whole_lab_as_it_stands(guest_lab: Lab) -> None:
    told: dict[str, Any] = {}

    def all_answer() -> bool:
        done = guest_lab.homelab("-o", "json", "status")
        assert done.returncode == 0, done.stderr
        told.update(json.loads(done.stdout))
        return all(row["ready"] for row in (*told["api_servers"], told["vip"]))

    until(all_answer, 90, "every API server is told to be ready")
    assert [row["balancers"] for row in told["api_servers"]] == [{"lb1": "up", "lb2": "up"}] * 3
    assert told["vip"]["holders"] == [holder(guest_lab)]
    assert all(row["answers"] and row["keepalived"] == "active" for row in told["balancers"])
    assert {row["power"] for row in told["vms"]} == {"on"}
    assert [row["problem"] for row in told["datastores"]] == [""]


def test_a_second_bootstrap_changes_nothing_and_the_plan_is_empty(guest_lab: Lab) -> None:
    began = time.monotonic()
    done = guest_lab.homelab("-o", "json", "bootstrap")
    assert done.returncode == 0, done.stdout + done.stderr
    assert summary(done.stdout)["changed"] == 0
    assert time.monotonic() - began < 20
    planned = guest_lab.homelab("-o", "json", "plan")
    assert planned.returncode == 0
    assert json.loads(planned.stdout) == {"changes": [], "blocked": [], "hand_overs": []}
    verified = guest_lab.homelab("-o", "json", "verify")
    assert verified.returncode == 0, verified.stdout
    told = json.loads(verified.stdout)
    assert told["ok"] is True
    # The stand-in has nodes, and neither etcd nor pods behind them.
    assert {check["target"] for check in told["checks"] if "the node" in check["sentence"]} == {"cp1", "cp2", "cp3"}
    assert not any("etcd" in check["sentence"] for check in told["checks"])
    assert "not checked, for the stand-in Kubernetes has nothing behind it: etcd" in verified.stderr


def test_the_cluster_goes_into_a_kubeconfig_of_the_rehearsals_own(guest_lab: Lab) -> None:
    done = guest_lab.homelab("-o", "json", "kubernetes", "kubeconfig")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    file = guest_lab.overlay.parent / "kubeconfig"
    assert (told["file"], told["changed"], told["current_context"]) == (str(file), True, "homelab")
    assert oct(file.stat().st_mode & 0o777) == "0o600"
    assert json.loads(guest_lab.homelab("-o", "json", "kubernetes", "kubeconfig").stdout)["changed"] is False
    printed = guest_lab.homelab("kubernetes", "kubeconfig", "-O", "-")
    assert printed.stdout == file.read_text()
    user = yaml.safe_load(printed.stdout)["users"][0]["user"]
    pair = guest_lab.folder / "admin.pem"
    pair.touch(mode=0o600)
    pair.write_bytes(b"".join(base64.b64decode(user[f"client-{kind}-data"]) for kind in ("certificate", "key")))
    asked = guest_lab.enter("curl", "-sfk", "--cert", pair, f"https://{VIP}:6443/api/v1/nodes")
    assert {node["metadata"]["name"] for node in json.loads(asked.stdout)["items"]} == {"cp1", "cp2", "cp3"}


def servers_of(lab: Lab) -> dict[tuple[str, str], dict[str, Any]]:
    """What `lb status` says of each server, by (balancer, server)."""
    done = lab.homelab("-o", "json", "lb", "status")
    assert done.returncode == 0, done.stderr
    return {(row["balancer"], row["name"]): row for row in json.loads(done.stdout)["servers"]}


def test_the_balancers_tell_how_they_stand_by_one_connection_each(guest_lab: Lab) -> None:
    done = guest_lab.homelab("-o", "json", "lb", "status")
    told = json.loads(done.stdout)
    assert [row["name"] for row in told["balancers"] if row["holds_vip"]] == [holder(guest_lab)]
    assert all(row["answers"] and row["version"] and row["keepalived"] == "active" for row in told["balancers"])
    rows = {(row["balancer"], row["pool"], row["name"]): row["state"] for row in told["servers"]}
    assert rows == {(lb, "api", cp): "up" for lb in ("lb1", "lb2") for cp in ("cp1", "cp2", "cp3")}
    last = sorted((guest_lab.overlay.parent / "logs").iterdir())[-1]
    record = [json.loads(line) for line in (last / "record.jsonl").read_text().splitlines()]
    assert sorted(line["target"] for line in record if line.get("kind") == "ssh") == ["lb1", "lb2"]


@pytest.mark.thorough
def test_what_is_drained_stays_so_over_a_reload_and_the_next_bootstrap(guest_lab: Lab) -> None:
    drain = guest_lab.homelab("-o", "json", "lb", "drain", "CP3")
    assert drain.returncode == 0, drain.stdout
    assert summary(drain.stdout)["changed"] == 2
    assert summary(guest_lab.homelab("-o", "json", "lb", "drain", "cp3").stdout)["changed"] == 0
    assert guest_lab.ssh("lb1", "systemctl", "reload", "haproxy").returncode == 0
    assert guest_lab.ssh("lb2", "systemctl", "restart", "haproxy").returncode == 0
    again = guest_lab.homelab("-o", "json", "bootstrap")
    assert again.returncode == 0, again.stdout
    assert summary(again.stdout)["changed"] == 0
    remarks = [e["sentence"] for e in events(again.stdout) if e["event"] == "unchanged" and e.get("sentence")]
    assert remarks.count("cp3 is drained here; `homelab lb ready cp3` ends that") == 2
    until(lambda: len(servers_of(guest_lab)) == 6, 10, "both balancers answer")
    assert all(row["drained"] == (name == "cp3") for (_, name), row in servers_of(guest_lab).items())
    assert vip_answers(guest_lab)
    assert guest_lab.homelab("lb", "ready", "cp3").returncode == 0
    assert not any(row["drained"] for row in servers_of(guest_lab).values())


def test_the_api_survives_the_loss_of_one_server(guest_lab: Lab) -> None:
    assert vip_answers(guest_lab)
    stopped = guest_lab.ssh("cp1", "systemctl", "stop", "kubelet")
    assert stopped.returncode == 0, stopped.stdout
    gone = guest_lab.enter("curl", "-s", "-m", "2", "-k", "https://192.168.2.21:6443/readyz")
    assert gone.returncode != 0
    until(lambda: vip_answers(guest_lab), 5, "the VIP answers without cp1")
    assert all(vip_answers(guest_lab) for _ in range(10))


def test_the_vip_moves_when_its_haproxy_stops(guest_lab: Lab) -> None:
    first = holder(guest_lab)
    assert first is not None
    with guest_lab.begin("python", HELPERS / "gratuitous_arp.py", VIP, "60") as lan:
        assert lan.stdout is not None
        assert lan.stdout.readline() == "listening\n"
        assert guest_lab.ssh(first, "systemctl", "stop", "haproxy").returncode == 0
        until(lambda: holder(guest_lab) not in (None, first), 15, f"the VIP leaves {first}")
        told = lan.stdout.readline().strip()
    second = holder(guest_lab)
    assert second is not None
    # Everybody on the LAN was told, unasked, who has the address now.
    assert told in guest_lab.ssh(second, "ip", "link").stdout
    until(lambda: vip_answers(guest_lab), 10, "the VIP answers from the other balancer")


def test_bootstrap_repairs_what_was_stopped(guest_lab: Lab) -> None:
    drifted = guest_lab.homelab("-o", "json", "plan")
    assert drifted.returncode == 3
    assert {change["step"] for change in json.loads(drifted.stdout)["changes"]} >= {"load-balancer"}
    done = guest_lab.homelab("--yes", "-o", "json", "bootstrap")
    assert done.returncode == 0, failures(done.stdout)
    assert summary(done.stdout)["changed"] > 0
    assert guest_lab.homelab("plan").returncode == 0
    assert vip_answers(guest_lab)


def test_a_guest_that_was_rebooted_is_as_before(guest_lab: Lab) -> None:
    """Its seed is gone, and what the roles laid down comes up by itself."""
    before = guest_lab.ssh("lb2", "cat", "/proc/sys/kernel/random/boot_id").stdout
    guest_lab.ssh("lb2", "systemctl", "reboot")

    def rebooted() -> bool:
        done = guest_lab.ssh("lb2", "cat", "/proc/sys/kernel/random/boot_id")
        return done.returncode == 0 and done.stdout != before

    until(rebooted, 60, "lb2 is back")
    until(lambda: guest_lab.homelab("plan").returncode == 0, 60, "nothing is left to change on lb2")


@pytest.mark.thorough
def test_the_playbook_by_itself_finds_nothing_to_change(guest_lab: Lab) -> None:
    """The first run by hand writes receipts without a digest of what went in; the second finds nothing at all."""
    recaps = []
    for _ in range(2):
        done = guest_lab.enter("ansible-playbook", PLAYBOOKS / "load_balancer.yml", timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr
        recaps.append([line for line in done.stdout.splitlines() if line.startswith(("lb1 ", "lb2 "))])
    assert all("changed=2 " in line for line in recaps[0]), recaps
    assert len(recaps[1]) == 2
    assert all("changed=0 " in line and "failed=0 " in line for line in recaps[1]), recaps
