"""Harm on demand, as a user orders it: in a rehearsal, and in a lab that is served."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from homelab.rehearsal.outside.launch import guests_possible
from tests.helpers.served import HOMELAB, Lab, events, failures, served, summary, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]
GUESTS = [pytest.mark.e2e, pytest.mark.thorough, pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
def real_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A lab with real guests for this story alone."""
    if lack := guests_possible():
        pytest.skip(lack)
    with served(tmp_path_factory.mktemp("faults")) as lab:
        yield lab


def homelab(folder: Path, *argv: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([*HOMELAB, *argv], cwd=folder, capture_output=True, text=True, check=False)


def fault(lab: Lab, *argv: str) -> list[dict[str, Any]]:
    done = homelab(lab.folder, "-o", "json", "rehearsal", "fault", *argv)
    assert done.returncode == 0, done.stderr
    return list(json.loads(done.stdout)["faults"])


def changed(output: str) -> set[tuple[str, str]]:
    return {(e["step"], e["target"]) for e in events(output) if e["event"] == "changed"}


def assert_the_nas_refused_one_host(output: str) -> None:
    failure = failures(output)["nfs-datastore", "brix3"]
    assert set(failures(output)) == {("nfs-datastore", "brix3")}
    assert "The NFS server denied the mount request" in failure["what"]
    assert "nas (192.168.2.5:/volume1/homelab)" in failure["where"]
    assert "export this path to 192.168.2.13" in failure["advice"]
    assert {("nfs-datastore", name) for name in ("brix1", "brix2", "brix4")} <= changed(output)
    assert {("reboot", "brix3"), ("reboot", "brix4"), ("vm", "cp2"), ("vm", "lb2")} <= changed(output)


@pytest.mark.thorough
def test_a_rehearsal_with_a_nas_that_refuses_one_host(tmp_path: Path) -> None:
    done = homelab(tmp_path, "-o", "json", "rehearse", "--guests", "none", "--fault", "nas-refuses@brix3")
    assert done.returncode == 1
    assert_the_nas_refused_one_host(done.stdout)


@pytest.mark.thorough
def test_after_clear_a_second_bootstrap_completes_what_was_missing(host_lab: Lab) -> None:
    [ordered] = fault(host_lab, "nas-refuses@brix3")
    assert (ordered["targets"], ordered["begun"]) == (["brix3"], True)
    done = host_lab.homelab("--yes", "-o", "json", "bootstrap", "--until", "vm")
    assert done.returncode == 1
    assert_the_nas_refused_one_host(done.stdout)
    assert fault(host_lab, "--clear") == [ordered]
    assert fault(host_lab) == []
    again = host_lab.homelab("--yes", "-o", "json", "bootstrap", "--until", "vm")
    assert again.returncode == 0, failures(again.stdout)
    late = {("usb-housekeeping", "brix3"), ("reboot", "brix3")}
    assert changed(again.stdout) == {("nfs-datastore", "brix3"), ("vm", "cp1"), ("vm", "lb1")} | late


@pytest.mark.thorough
def test_a_fault_that_begins_with_a_step(host_lab: Lab) -> None:
    [ordered] = fault(host_lab, "wrong-password@brix4:driver-fix")
    assert ordered["begun"] is False
    done = host_lab.homelab("--yes", "-o", "json", "bootstrap", "--until", "reboot")
    assert done.returncode == 1
    assert ("nfs-datastore", "brix4") in changed(done.stdout)
    assert set(failures(done.stdout)) == {("driver-fix", "brix4")}
    assert fault(host_lab)[0]["begun"] is True
    fault(host_lab, "--clear")
    again = host_lab.homelab("--yes", "-o", "json", "bootstrap", "--until", "reboot")
    assert again.returncode == 0, failures(again.stdout)
    assert changed(again.stdout) == {("driver-fix", "brix4"), ("reboot", "brix4")}


def test_the_list_needs_no_lab_and_harm_does(tmp_path: Path) -> None:
    done = homelab(tmp_path, "rehearsal", "fault", "--list")
    assert done.returncode == 0
    assert "balancer-dies: " in done.stdout
    listed = json.loads(homelab(tmp_path, "-o", "json", "rehearsal", "fault", "--list").stdout)
    assert len(listed["faults"]) == 27
    assert all(row["sentence"] for row in listed["faults"])
    refused = homelab(tmp_path, "rehearsal", "fault", "api-mute")
    assert refused.returncode == 2
    assert "homelab rehearsal serve" in refused.stderr


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (("rehearsal", "fault", "api-mut"), "Did you mean api-mute"),
        (("rehearsal", "fault", "api-mute", "--clear"), "one thing at a time"),
        (("rehearse", "--fault", "rain"), "rehearsal fault --list"),
        (("rehearse", "--guests", "none", "--fault", "api-mute@nas"), "brix1, brix2, brix3, brix4"),
        (("rehearsal", "serve", "--guests", "none", "--fault", "api-server-hangs"), "this rehearsal has none"),
    ],
)
def test_mistakes(tmp_path: Path, argv: tuple[str, ...], said: str) -> None:
    done = homelab(tmp_path, *argv)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


class TestGuests:
    """One lab with real guests, one story."""

    pytestmark = GUESTS

    def api(self, lab: Lab, address: str, path: str = "readyz") -> str:
        url = f"https://{address}:6443/{path}"
        return lab.enter("curl", "-sk", "-m", "2", "-o", "/dev/null", "-w", "%{http_code}", url).stdout

    def until_api(self, lab: Lab, address: str, code: str, path: str = "readyz", seconds: float = 30) -> None:
        until(lambda: self.api(lab, address, path) == code, seconds, f"{address} answers {code} at /{path}")

    def test_api_servers(self, real_lab: Lab) -> None:
        done = real_lab.homelab("--yes", "-o", "json", "bootstrap", timeout=390)
        assert done.returncode == 0, failures(done.stdout)
        fault(real_lab, "api-server-crashes@cp1", "api-server-hangs@cp2", "api-server-unready@cp3")
        self.until_api(real_lab, "192.168.2.21", "000")
        self.until_api(real_lab, "192.168.2.22", "000")
        self.until_api(real_lab, "192.168.2.23", "500")
        assert self.api(real_lab, "192.168.2.23", "livez") == "200"
        fault(real_lab, "--clear")
        for address in ("192.168.2.21", "192.168.2.22", "192.168.2.23", "192.168.2.100"):
            self.until_api(real_lab, address, "200")

    def test_balancer_dies(self, real_lab: Lab) -> None:
        fault(real_lab, "balancer-dies@lb1")
        self.until_api(real_lab, "192.168.2.100", "200")
        assert real_lab.ssh("lb1", "true").returncode != 0
        fault(real_lab, "--clear")
        until(lambda: real_lab.ssh("lb1", "true").returncode == 0, 60, "lb1 is back")

    def test_guest_never_comes(self, real_lab: Lab) -> None:
        fault(real_lab, "balancer-dies@lb2", "guest-never-comes@lb2")
        done = real_lab.homelab("--yes", "-o", "json", "bootstrap", timeout=390)
        assert done.returncode == 1
        assert ("guest", "lb2") in failures(done.stdout)
        fault(real_lab, "--clear")
        again = real_lab.homelab("--yes", "-o", "json", "bootstrap", timeout=390)
        assert again.returncode == 0, failures(again.stdout)
        assert summary(again.stdout)["failed"] == 0
