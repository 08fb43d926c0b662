"""The role pod_network: what it lays down, as nft, ip and JSON read it, and how it gives way to another network."""

import json
import shutil
from pathlib import Path

import pytest

from tests.helpers.one_role import CAN_RUN, OneRole

pytestmark = [
    pytest.mark.skipif(not CAN_RUN, reason="needs root and a mount namespace of its own"),
    pytest.mark.skipif(shutil.which("nft") is None, reason="needs nft"),
    pytest.mark.timeout(120),
]
SUBNET, OTHERS = "10.244.21.0/24", {"10.244.22.0/24": "192.168.2.22", "10.244.23.0/24": "192.168.2.23"}
ON_THE_LAN = "ip link add lan0 type bridge && ip address add 192.168.2.21/24 dev lan0 && ip link set lan0 up"


def as_network(machine: OneRole, cni: str) -> str:
    """Runs the role; what the play said, in one line."""
    wanted = {"cni": cni, "network": "10.244.0.0/16", "subnet": SUBNET, "routes": OTHERS, "first": "here"}
    done = machine.run(**{f"pod_network_{name}": value for name, value in wanted.items()})
    assert "Traceback" not in done.stdout + done.stderr
    return " ".join((done.stdout + done.stderr).split())


@pytest.fixture
def machine(tmp_path: Path) -> OneRole:
    return OneRole(tmp_path / "machine", "pod_network", "main.yml")


@pytest.mark.thorough
def test_the_kernel_takes_the_rules_and_the_routes(machine: OneRole) -> None:
    assert "failed=0" in as_network(machine, "routes")
    there = "nft --file /etc/homelab-pod-network/rules.nft && ip -batch /etc/homelab-pod-network/routes"
    looked = machine.inside("sh", "-c", f"{ON_THE_LAN} && {there} && ip route && nft list ruleset")
    assert looked.returncode == 0, looked.stderr
    for subnet, address in OTHERS.items():
        assert f"{subnet} via {address}" in looked.stdout
    assert f"ip saddr {SUBNET} ip daddr != 10.244.0.0/16 masquerade" in looked.stdout
    plugins = json.loads((machine.etc / "cni/net.d/10-homelab.conflist").read_text())["plugins"]
    assert plugins[0]["ipam"]["ranges"] == [[{"subnet": SUBNET}]]
    assert "changed=0" in as_network(machine, "routes")


@pytest.mark.thorough
def test_giving_way_keeps_what_somebody_edited(machine: OneRole) -> None:
    as_network(machine, "routes")
    edited = machine.etc / "homelab-pod-network" / "routes"
    edited.write_text("# mine\n")
    assert "failed=0" in as_network(machine, "none")
    assert "stop homelab-pod-network.service" in machine.told
    left = {path.relative_to(machine.etc).as_posix() for path in machine.etc.rglob("*") if path.is_file()}
    assert left == {"homelab-pod-network/routes.before-homelab"}
    assert edited.with_name("routes.before-homelab").read_text() == "# mine\n"


@pytest.mark.thorough
def test_a_network_of_somebody_else_that_containerd_would_take_first_is_refused(machine: OneRole) -> None:
    folder = machine.etc / "cni" / "net.d"
    folder.mkdir(parents=True)
    # As the manifests of flannel and of podman name theirs.
    (folder / "87-podman-bridge.conflist").write_text("{}")
    assert "failed=0" in as_network(machine, "routes")
    (folder / "10-flannel.conflist").write_text("{}")
    assert "has a network for pods already, /etc/cni/net.d/10-flannel.conflist" in as_network(machine, "routes")
