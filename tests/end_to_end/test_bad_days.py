"""What goes wrong on the way: it says what, where and what to do; the rest goes on; running again continues."""

import json
import os
import re
import shutil
import signal
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from homelab.rehearsal.state.disks import fresh_disks
from homelab.rehearsal.state.hardware import GB_BRI7_8550
from tests.helpers.served import HOMELAB, Lab, events, failures, processes_with, served, summary, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]


def changed(output: str) -> set[tuple[str, str]]:
    return {(e["step"], e["target"]) for e in events(output) if e["event"] == "changed"}


def bootstrap(lab: Lab, *options: str, until: str = "vm") -> "subprocess.CompletedProcess[str]":
    return lab.homelab(*options, "--yes", "-o", "json", "bootstrap", "--until", until)


@pytest.mark.thorough
def test_a_silent_host_does_not_hold_the_others_up(host_lab: Lab) -> None:
    options = host_lab.variant("silent", brix2={"ansible_host": "192.168.2.99"})
    done = bootstrap(host_lab, *options)
    assert done.returncode == 1
    failure = failures(done.stdout)["first-boot", "brix2"]
    assert "192.168.2.99:443" in failure["where"]
    assert "Check the address in the inventory" in failure["advice"]
    assert {("nfs-datastore", "brix1"), ("reboot", "brix3"), ("reboot", "brix4"), ("vm", "cp1")} <= changed(done.stdout)
    again = bootstrap(host_lab)
    assert again.returncode == 0, again.stdout
    assert {target for _, target in changed(again.stdout)} <= {"brix2", "cp2"}
    assert bootstrap(host_lab).returncode == 0


def test_a_wrong_password_is_tried_once_only(host_lab: Lab) -> None:
    options = host_lab.variant("wrong", brix2={"ansible_password": "not-this-one"})
    for _ in range(2):
        done = bootstrap(host_lab, *options, until="nfs-datastore")
        assert done.returncode == 1
        failure = failures(done.stdout)["first-boot", "brix2"]
        assert "login of root was refused" in failure["what"]
        assert "five failures lock the account" in failure["advice"]
        assert "not-this-one" not in done.stdout + done.stderr
    # Two runs were two attempts: the account is not locked.
    again = bootstrap(host_lab, until="nfs-datastore")
    assert again.returncode == 0, again.stdout
    logs = "".join(path.read_text() for path in host_lab.folder.rglob("*.log") if path.is_file())
    assert "not-this-one" not in logs


def test_an_export_that_is_not_there_is_told_before_a_host_is_asked(host_lab: Lab) -> None:
    options = host_lab.variant("refused", nas={"nfs_export": "/volume2/homelab"})
    done = bootstrap(host_lab, *options, until="nfs-datastore")
    assert done.returncode == 1
    failure = failures(done.stdout)["nfs-datastore", "brix1"]
    assert "/volume2/homelab is not exported; the NAS exports /volume1/homelab" in failure["what"]
    assert "Did you mean /volume1/homelab?" in failure["advice"]
    assert bootstrap(host_lab, until="nfs-datastore").returncode == 0


def test_driver_fix_repairs_one_host_and_leaves_the_others(host_lab: Lab) -> None:
    done = host_lab.homelab("--yes", "-o", "json", "driver-fix", "brix3")
    assert done.returncode == 0, done.stdout
    assert changed(done.stdout) == {("driver-fix", "brix3"), ("reboot", "brix3")}
    again = host_lab.homelab("-o", "json", "driver-fix", "brix3", "brix1")
    assert again.returncode == 0
    assert summary(again.stdout)["changed"] == 0
    plan = json.loads(host_lab.homelab("-o", "json", "plan").stdout)
    assert {c["target"] for c in plan["changes"] if c["step"] == "driver-fix"} == {"brix4"}


def test_driver_fix_refuses_while_vms_run_and_force_shuts_them_down(host_lab: Lab) -> None:
    assert host_lab.homelab("--yes", "bootstrap", "--only", "nfs-datastore").returncode == 0
    assert host_lab.homelab("--yes", "bootstrap", "--only", "image").returncode == 0
    assert host_lab.homelab("--yes", "bootstrap", "--only", "vm").returncode == 0
    refused = host_lab.homelab("--yes", "-o", "json", "driver-fix", "brix3")
    assert refused.returncode == 1
    said = failures(refused.stdout)["driver-fix", "brix3"]["what"]
    assert re.search(r"VMs are running: .*\bcp1\b", said), said
    forced = host_lab.homelab("--yes", "-o", "json", "driver-fix", "--force", "brix3")
    assert forced.returncode == 0, forced.stdout


@pytest.mark.thorough
def test_driver_fix_takes_an_address_with_a_password_from_the_environment(host_lab: Lab, tmp_path: Path) -> None:
    [brix4] = [host for host in host_lab.ready["hosts"] if host["name"] == "brix4"]
    password = Path(brix4["password_file"]).read_text().strip()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    words = ["-u", "HOMELAB_INVENTORY", "-C", str(elsewhere)]
    fix = ["homelab", "--yes", "-o", "json", "driver-fix", "192.168.2.14"]
    refused = host_lab.enter("env", *words, *fix)
    assert refused.returncode == 2
    assert "VMWARE_USER and VMWARE_PASSWORD" in refused.stderr
    done = host_lab.enter("env", *words, "VMWARE_USER=root", f"VMWARE_PASSWORD={password}", *fix)
    assert done.returncode == 0, done.stdout + done.stderr
    assert changed(done.stdout) == {("driver-fix", "192.168.2.14"), ("reboot", "192.168.2.14")}
    by_name = host_lab.homelab("-o", "json", "driver-fix", "192.168.2.14", "brix4")
    assert by_name.returncode == 0
    assert summary(by_name.stdout)["changed"] == 0


@pytest.mark.thorough
def test_driver_fix_can_be_undone(host_lab: Lab) -> None:
    assert host_lab.homelab("--yes", "driver-fix", "brix3").returncode == 0
    refused = host_lab.homelab("driver-fix", "brix3", "--undo")
    assert refused.returncode == 2
    done = host_lab.homelab("--yes", "-o", "json", "driver-fix", "brix3", "--undo")
    assert done.returncode == 0, done.stdout
    assert changed(done.stdout) == {("driver-fix", "brix3"), ("reboot", "brix3")}
    plan = json.loads(host_lab.homelab("-o", "json", "plan").stdout)
    assert {c["target"] for c in plan["changes"] if c["step"] == "driver-fix"} == {"brix3", "brix4"}


def test_a_host_that_does_not_come_back_needs_a_person_and_stops_the_others(host_lab: Lab) -> None:
    ordered = subprocess.run(
        [*HOMELAB, "rehearsal", "fault", "reboot-hangs@brix3"], cwd=host_lab.folder, capture_output=True, check=False
    )
    assert ordered.returncode == 0
    options = host_lab.variant("hasty", brix3={"esxi_reboot_timeout": 5})
    done = host_lab.homelab(*options, "--yes", "-o", "json", "driver-fix", "brix3", "brix4")
    assert done.returncode == 4, done.stdout
    [handed] = [e for e in events(done.stdout) if e["event"] == "hand_over"]
    assert "Alt+F1" in handed["do"]
    end = summary(done.stdout)
    assert (end["handed_over"], end["blocked"], end["failed"]) == (1, 2, 0)


@pytest.mark.thorough
def test_a_host_on_dhcp_is_given_its_own_address(tmp_path: Path) -> None:
    with served(tmp_path, "--guests", "none", brix2={"esxi_dhcp_address": "192.168.2.112"}) as lab:
        done = bootstrap(lab, until="reboot")
        assert done.returncode == 0, failures(done.stdout)
        sentences = [e["sentence"] for e in events(done.stdout) if e["event"] == "changed" and e["target"] == "brix2"]
        assert sentences[0] == "give brix2 its own address 192.168.2.12 and wait until it answers there"
        assert "name brix2 brix2.lab.home.arpa (DNS 192.168.2.1)" in sentences
        assert lab.homelab("-o", "json", "plan").returncode == 3  # the VMs
        assert lab.enter("curl", "-sk", "-m", "2", "https://192.168.2.112/").returncode != 0


@pytest.mark.thorough
def test_a_disk_of_its_own_takes_logs_core_dumps_and_cache(tmp_path: Path) -> None:
    disk = next(iter(fresh_disks("brix4", GB_BRI7_8550)))
    local = {"esxi_local_datastore": "ssd4", "esxi_local_disk": disk, "esxi_host_cache_mib": 4096}
    with served(tmp_path, "--guests", "none", brix4=local) as lab:
        done = bootstrap(lab, until="reboot")
        assert done.returncode == 0, failures(done.stdout)
        assert {("local-datastore", "brix4"), ("usb-housekeeping", "brix4")} <= changed(done.stdout)
        said = [e["sentence"] for e in events(done.stdout) if e["event"] == "changed" and e["target"] == "brix4"]
        assert any("scratch, logs and core dumps of brix4 in [ssd4]" in sentence for sentence in said)
        again = bootstrap(lab, until="reboot")
        assert summary(again.stdout)["changed"] == 0


def test_an_unknown_host_is_a_usage_mistake(host_lab: Lab) -> None:
    done = host_lab.homelab("driver-fix", "brix9")
    assert done.returncode == 2
    assert "brix1, brix2, brix3, brix4" in done.stderr


def test_a_second_lab_is_refused_with_the_pid_of_the_first(host_lab: Lab) -> None:
    done = subprocess.run([*HOMELAB, "rehearse"], cwd=host_lab.folder, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert str(host_lab.ready["pid"]) in done.stderr


def test_a_rehearsal_of_no_hosts_is_refused(tmp_path: Path) -> None:
    (tmp_path / "hosts.yml").write_text("control_plane:\n  hosts:\n    cp1:\n      ansible_host: 192.168.2.21\n")
    command = [*HOMELAB, "-i", "hosts.yml", "rehearse"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "there is nothing to rehearse: the inventory has no ESXi host" in done.stderr
    assert not (tmp_path / ".homelab").exists()


def test_the_certificate_of_a_new_lab_is_not_the_old_one(host_lab: Lab, tmp_path: Path) -> None:
    """The pins of another lab with the same addresses do not fit this one."""
    assert host_lab.homelab("plan").returncode == 3
    trust = host_lab.folder / ".homelab" / "rehearsal" / "trust.json"
    pins = json.loads(trust.read_text())
    pins["brix1"]["certificate"] = "SHA256:00"
    trust.write_text(json.dumps(pins))
    done = host_lab.homelab("plan")
    assert done.returncode == 1
    assert "the certificate changed" in done.stdout
    assert "homelab trust brix1 --forget" in done.stdout
    assert host_lab.homelab("trust", "brix1", "--forget").returncode == 0
    assert host_lab.homelab("plan").returncode == 3


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_nothing_is_left_when_a_rehearsal_ends_early(tmp_path: Path, number: signal.Signals) -> None:
    command = [*HOMELAB, "-o", "json", "rehearse", "--guests", "none"]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        if json.loads(line)["event"] == "start":
            break
    os.kill(process.pid, number)
    assert process.wait(30) == (-number if number == signal.SIGKILL else 130)
    until(lambda: not processes_with(str(tmp_path)), 15, "every process of the rehearsal is gone")
    assert str(tmp_path) not in Path("/proc/mounts").read_text()


@pytest.mark.thorough
def test_without_namespaces_the_hosts_are_rehearsed_on_the_loopback(tmp_path: Path) -> None:
    """As on macOS: no unshare, so ports on 127.0.0.1 instead of a network, and no guests."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("env", "sh"):
        (programs / name).symlink_to(shutil.which(name) or name)
    command = [*HOMELAB, "-o", "json", "rehearse"]
    environment = {**os.environ, "PATH": str(programs)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, failures(done.stdout)
    assert "the hosts are rehearsed without guests" in done.stderr
    assert summary(done.stdout)["left_out"] == ["guest", "cluster-ca", "load-balancer", "kubernetes"]
    until(lambda: not processes_with(str(tmp_path)), 15, "every process of the rehearsal is gone")


@pytest.mark.thorough
def test_the_record_counts_what_arrives_at_the_wire(tmp_path: Path) -> None:
    """A whole run: what the toolkit says it asked is what the simulated hosts were asked."""
    command = [*HOMELAB, "-o", "json", "rehearse", "--guests", "none"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, failures(done.stdout)
    rehearsal = tmp_path / ".homelab" / "rehearsal"
    [record] = rehearsal.glob("logs/*/record.jsonl")
    *lines, last = [json.loads(line) for line in record.read_text().splitlines()]
    wire = json.loads((rehearsal / "wire.json").read_text())
    asked = Counter((line["target"], line["kind"]) for line in lines if line["kind"] in ("soap", "http", "ssh"))
    # While a host is down, what is asked does not arrive: those attempts ended badly, at the connection.
    lost = Counter((line["target"], line["kind"]) for line in lines if line["step"] == "reboot" and not line["ok"])
    for host, kinds in wire.items():
        for kind, count in kinds.items():
            assert asked[host, kind] - lost[host, kind] <= count <= asked[host, kind], (host, kind, count)
    assert last["counts"]["soap"] == sum(count for (_, kind), count in asked.items() if kind == "soap")
    assert {line["step"] for line in lines if line["kind"] == "ssh"} == {"driver-fix", "reboot"}
    assert {line["step"] for line in lines if line["kind"] == "nfs"} == {"nfs-datastore"}
