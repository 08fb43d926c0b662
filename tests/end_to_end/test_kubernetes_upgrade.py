"""A cluster gets older: its certificates and its release; a lab of its own, with bundles of both releases.

`make e2e-kubernetes` runs it; the older bundle: homelab kubernetes bundle --kubernetes-version 1.36.1
"""

from collections.abc import Iterator

import pytest

from tests.helpers.real_cluster import (
    CONTROL_PLANES,
    KUBECTL,
    VERSION,
    bare_lab,
    bundle_of,
    is_ready,
    killed_half_way,
    load,
    nodes,
    on,
    tell,
)
from tests.helpers.served import Lab, events, failures, summary

pytestmark = [pytest.mark.kubernetes, pytest.mark.timeout(900)]
OLDER = "1.36.1"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """The sample lab, bare at first; what comes into it is a cluster of the older release, without workers."""
    with bare_lab(tmp_path_factory.mktemp("upgrade"), OLDER) as running:
        yield running


def versions(lab: Lab) -> set[str]:
    return {node["status"]["nodeInfo"]["kubeletVersion"] for node in nodes(lab).values()}


# kubeadm makes certificates that end in ten days.
SHORT = (
    f"{KUBECTL} -n kube-system get cm kubeadm-config -o jsonpath='{{.data.ClusterConfiguration}}' >/run/short.yaml"
    " && echo 'certificateValidityPeriod: 240h0m0s' >>/run/short.yaml"
    " && kubeadm certs renew all --config /run/short.yaml"
)
ENDS = "openssl x509 -noout -checkend 2592000 -in /etc/kubernetes/pki/apiserver.crt"


def test_an_init_that_is_killed_half_way_is_cleared_away_and_done_again(lab: Lab) -> None:
    killed_half_way(lab, "cp1", "kubeadm init", "bootstrap")
    done = lab.homelab("--yes", "-o", "json", "bootstrap", timeout=890)
    assert done.returncode == 0, failures(done.stdout) or done.stderr
    assert set(nodes(lab)) == set(CONTROL_PLANES)
    tell(f"an init killed half-way: done again, and two more joined, in {summary(done.stdout)['seconds']:.0f} s")


def test_certificates_that_end_soon_are_renewed_while_the_api_stays(lab: Lab) -> None:
    for name in CONTROL_PLANES[:2]:
        on(lab, name, SHORT)
        assert lab.ssh(name, ENDS).returncode == 1
    with load(lab) as seen:
        done = lab.homelab("--yes", "-o", "json", "bootstrap", timeout=600)
    assert done.returncode == 0, failures(done.stdout) or done.stderr
    renewed = {event["target"] for event in events(done.stdout) if event["event"] == "changed"}
    assert renewed == set(CONTROL_PLANES[:2])
    assert all(lab.ssh(name, ENDS).returncode == 0 for name in CONTROL_PLANES)
    tell(f"certificates of two renewed: {len(seen.lost())} of {seen.asked} requests lost, {seen.slow} slow")
    assert seen.lost() == []


def test_a_patch_release_comes_to_every_node_and_no_request_is_lost(lab: Lab) -> None:
    command = ("kubernetes", "upgrade", VERSION, "--bundle", str(bundle_of(VERSION)))
    assert versions(lab) == {f"v{OLDER}"}
    with load(lab) as seen:
        done = lab.homelab("--yes", "-o", "json", *command, timeout=890)
    assert done.returncode == 0, failures(done.stdout) or done.stderr
    assert versions(lab) == {f"v{VERSION}"}
    assert all(map(is_ready, nodes(lab).values()))
    seconds = summary(done.stdout)["seconds"]
    tell(f"{OLDER} to {VERSION} in {seconds:.0f} s: {len(seen.lost())} of {seen.asked} requests lost, {seen.slow} slow")
    assert seen.lost() == []
    assert seen.slow <= 2


def test_a_release_that_is_there_already_is_no_upgrade(lab: Lab) -> None:
    done = lab.homelab("--yes", "-o", "json", "kubernetes", "upgrade", VERSION, "--bundle", str(bundle_of(VERSION)))
    assert done.returncode == 0, failures(done.stdout)
    assert summary(done.stdout)["changed"] == 0


def test_bootstrap_never_goes_back(lab: Lab) -> None:
    """The inventory still names the older release."""
    done = lab.homelab("--yes", "-o", "json", "bootstrap", timeout=300)
    assert done.returncode == 1
    assert f"the cluster runs Kubernetes {VERSION}, and the inventory wants {OLDER}" in done.stdout
