"""A cluster gets a newer release while clients ask; a lab of its own, with bundles of both releases.

`make e2e-kubernetes` runs it; the older bundle: homelab kubernetes bundle --kubernetes-version 1.36.1
"""

from collections.abc import Iterator

import pytest

from tests.helpers.real_cluster import VERSION, bundle_of, is_ready, load, nodes, sample, tell
from tests.helpers.served import Lab, failures, served, summary

pytestmark = [pytest.mark.kubernetes, pytest.mark.timeout(900)]
OLDER = "1.36.1"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """The sample lab with a cluster of the older release, and no workers."""
    bundle_of(OLDER)
    folder = tmp_path_factory.mktemp("upgrade")
    with served(folder / "lab", "--kubernetes", "real", inventory=sample(folder, OLDER, {})) as running:
        done = running.homelab("--yes", "-o", "json", "bootstrap", timeout=890)
        assert done.returncode == 0, failures(done.stdout) or done.stderr
        yield running


def versions(lab: Lab) -> set[str]:
    return {node["status"]["nodeInfo"]["kubeletVersion"] for node in nodes(lab).values()}


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
