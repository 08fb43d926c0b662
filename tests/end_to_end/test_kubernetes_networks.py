"""Pods' networks that are not ours: by a manifest, then by our routes, then by nobody. One lab, one story.

`make e2e-kubernetes-more` runs it. The manifest stands in for any: it brings no network, as one whose images cannot be
had would, so the nodes are not Ready.
"""

import json
from collections.abc import Iterator

import pytest

from tests.helpers.real_cluster import CONTROL_PLANES, KUBECTL, bare_lab, is_ready, nodes, on
from tests.helpers.served import Lab, failures, summary, until

pytestmark = [pytest.mark.kubernetes, pytest.mark.thorough, pytest.mark.timeout(900)]
MANIFEST = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: somebody-elses-network, namespace: kube-system}
data: {network: "10.244.0.0/16"}
"""
OURS = "ls /etc/cni/net.d/10-homelab.conflist /etc/systemd/system/homelab-pod-network.service 2>/dev/null"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """The sample lab, bare at first, without workers."""
    with bare_lab(tmp_path_factory.mktemp("networks")) as running:
        yield running


def wants(lab: Lab, network: str) -> None:
    """The inventory names another pods' network from now on."""
    path = lab.folder / "inventory" / "group_vars" / "all.yml"
    lines = [line for line in path.read_text().splitlines() if not line.startswith("kubernetes_cni:")]
    path.write_text("\n".join([*lines, f"kubernetes_cni: {network}", ""]))


def test_a_manifest_is_applied_and_what_it_lacks_is_told(lab: Lab) -> None:
    (lab.folder / "network.yml").write_text(MANIFEST)
    wants(lab, str(lab.folder / "network.yml"))
    done = lab.homelab("--yes", "-o", "json", "bootstrap", timeout=890)
    assert set(nodes(lab)) == set(CONTROL_PLANES), failures(done.stdout) or done.stderr
    assert on(lab, "cp1", f"{KUBECTL} -n kube-system get cm somebody-elses-network -o name")
    assert not any(map(is_ready, nodes(lab).values()))
    checks = json.loads(lab.homelab("-o", "json", "verify", timeout=120).stdout)["checks"]
    assert any(check["sentence"] == "the node cp1 is ready" and not check["ok"] for check in checks)


def test_our_routes_take_over(lab: Lab) -> None:
    wants(lab, "routes")
    done = lab.homelab("--yes", "-o", "json", "bootstrap", timeout=890)
    assert done.returncode == 0, failures(done.stdout) or done.stderr
    until(lambda: all(map(is_ready, nodes(lab).values())), 60, "all nodes are Ready")
    assert lab.homelab("verify", timeout=120).returncode == 0


def test_our_routes_give_way_to_whoever_comes(lab: Lab) -> None:
    wants(lab, "none")
    assert all(lab.ssh(name, OURS).stdout for name in CONTROL_PLANES)
    for changed in (True, False):
        done = lab.homelab("--yes", "-o", "json", "bootstrap", timeout=890)
        # Until whoever it is has come, pods reach nobody, and the checks say so.
        assert {step for step, _ in failures(done.stdout)} == {"verify"}
        assert (summary(done.stdout)["changed"] > 0) == changed
        assert not any(lab.ssh(name, OURS).stdout for name in CONTROL_PLANES)
