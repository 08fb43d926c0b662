"""VMs on a host whose API only reads: the same steps, marks and end, the same guards, over SSH."""

import json
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from homelab.checks.preflight import preflight
from homelab.ports.ansible.inventory import Vault
from homelab.ports.files.home import HomeFiles
from homelab.ports.open_world import open_world
from homelab.ports.vsphere import VmLook
from homelab.ports.world import World
from homelab.rehearsal.host.host import Host
from homelab.steps.guests.guest import Guest, RemoveSeed
from homelab.steps.vms.vm_changes import PowerOnVm
from homelab.steps.vms.vm_power import switch_on
from tests.helpers.soap_host import until
from tests.helpers.vm_lab import NOTE, VM_STEPS, HostsOnNas, hosts_on_nas, tree, vm_lab

COMMANDS = 6


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def at(tmp_path: Path) -> Iterator[HostsOnNas]:
    lab = vm_lab(tmp_path, vms=("cp1",), host="brix3")
    with hosts_on_nas(lab, tmp_path, free=True) as made:
        yield made


def world_of(at: HostsOnNas) -> World:
    return open_world(at.lab, [at.home], Vault(None), HomeFiles(at.home), lambda _: None)


def look(at: HostsOnNas, name: str = "cp1") -> VmLook:
    [vm] = [vm for vm in world_of(at).host("brix3").vms if vm.name == name]
    return vm


def record(at: HostsOnNas) -> list[dict[str, Any]]:
    lines = [line for path in at.home.glob("logs/*/record.jsonl") for line in path.read_text().splitlines()]
    return [entry for entry in map(json.loads, lines) if "what" in entry]


def off(host: Host) -> None:
    [vm] = host.registered_vms.values()
    host.vm_power.off(vm)


def test_a_vm_is_made_over_ssh_and_is_what_the_api_would_have_made(at: HostsOnNas, tmp_path: Path) -> None:
    ended = at.bring(*VM_STEPS)
    assert not ended.counts.failed, ended.events
    assert ended.plan.empty
    over_ssh = look(at)
    assert over_ssh.powered_on and over_ssh.original and over_ssh.seed == "[nas] cp1/seed.iso"
    files = sorted(path.name for path in (at.nas / "cp1").iterdir() if path.is_file())
    lab = vm_lab(tmp_path / "api", vms=("cp1",), host="brix3")
    with hosts_on_nas(lab, tmp_path / "api") as other:
        assert not other.bring(*VM_STEPS).counts.failed
        by_api = look(other)
        assert files == sorted(path.name for path in (other.nas / "cp1").iterdir() if path.is_file())
    marks = ("homelab.host_key", "homelab.made")
    ours, theirs = (
        replace(one, marks={key: value for key, value in one.marks.items() if key not in marks}, booted=None)
        for one in (over_ssh, by_api)
    )
    assert ours == theirs
    assert set(over_ssh.marks) == set(by_api.marks)


def test_what_is_written_goes_over_ssh_and_its_secrets_are_nobody_s(at: HostsOnNas) -> None:
    assert not at.bring(*VM_STEPS).counts.failed
    assert {entry["kind"] for entry in record(at) if entry["writes"]} <= {"ssh", "sftp", "file"}
    seed = at.nas / "cp1/seed.iso"
    assert stat.S_IMODE(seed.stat().st_mode) == 0o600
    secret = next(line for line in seed.read_bytes().split(b"\n") if b"PRIVATE KEY" in line)
    assert secret
    logs = b"".join(path.read_bytes() for path in at.home.rglob("*") if path.is_file() and "logs" in path.parts)
    assert secret not in logs


def test_one_connection_a_host_and_few_commands_a_vm(tmp_path: Path) -> None:
    lab = vm_lab(tmp_path, vms=("cp1", "cp2", "cp3"), host="brix3")
    with hosts_on_nas(lab, tmp_path, free=True) as at:
        assert not at.bring(*VM_STEPS).counts.failed
        assert at.served_hosts["brix3"].shell.logins == 1
        of_vms = [entry for entry in record(at) if entry["kind"] == "ssh" and entry["step"] == "vm"]
        assert 3 <= len(of_vms) <= 3 * COMMANDS, [entry["what"] for entry in of_vms]
        logins = at.served_hosts["brix3"].shell.logins
        for path in at.home.glob("logs/*/record.jsonl"):
            path.unlink()
        ended = at.bring(*VM_STEPS, lab=lab.wanting("absent", ["cp1", "cp2", "cp3"]))
        assert not ended.counts.failed, ended.events
        assert at.served_hosts["brix3"].shell.logins == logins + 1
        of_vms = [entry for entry in record(at) if entry["kind"] == "ssh" and entry["step"] == "vm"]
        assert len(of_vms) <= 3 * COMMANDS, [entry["what"] for entry in of_vms]


def test_the_seed_goes_while_the_vm_runs_and_does_not_come_back(at: HostsOnNas) -> None:
    assert not at.bring(*VM_STEPS).counts.failed
    [_, change] = at.plan("guest").items.popitem()[1]
    assert change == RemoveSeed("cp1", "brix3", "[nas] cp1/cp1.vmx", "[nas] cp1/seed.iso")
    Guest().apply(world_of(at), change)
    assert not (at.nas / "cp1/seed.iso").exists()
    [vm] = at.host().registered_vms.values()
    assert not any(drive.connected for drive in vm.cdroms)
    planned = [change for changes in at.plan("guest").items.values() for change in changes]
    assert not [change for change in planned if isinstance(change, RemoveSeed)]
    # The next start, whoever asks for it: over SSH the drive is emptied first.
    off(at.host())
    switch_on(world_of(at), PowerOnVm("cp1", "brix3", "[nas] cp1/cp1.vmx"))
    [vm] = at.host().registered_vms.values()
    assert [drive.iso for drive in vm.cdroms] == [None]
    assert look(at).seed is None


def test_a_seed_that_was_disconnected_and_not_deleted_is_found_again(at: HostsOnNas) -> None:
    """As where a run was killed between the two."""
    assert not at.bring(*VM_STEPS).counts.failed
    [vm] = at.host().registered_vms.values()
    at.host().vm_power.connect(vm, vm.cdroms[0].key, connected=False)
    changes = [change for changes in at.plan("guest").items.values() for change in changes]
    assert RemoveSeed("cp1", "brix3", "[nas] cp1/cp1.vmx", "[nas] cp1/seed.iso") in changes


def test_a_vm_that_is_off_is_changed_by_its_vmx(at: HostsOnNas) -> None:
    assert not at.bring(*VM_STEPS).counts.failed
    off(at.host())
    at.host().network.add_port_group("Lab", "vSwitch0", 20)
    changed = {"cpus": 3, "memory_mib": 768, "disk_gib": 2, "network": "Lab"}
    [cp1] = at.lab.control_plane
    lab = at.lab.model_copy(update={"control_plane": (cp1.model_copy(update=changed),)})
    ended = at.bring("vm", lab=lab)
    assert not ended.counts.failed, ended.events
    assert ended.plan.empty
    vm = look(at)
    assert (vm.cpus, vm.memory_mib, vm.disks[0].size, vm.nics[0].network) == (3, 768, 2 << 30, "Lab")
    assert vm.powered_on and vm.original
    assert sorted(path.name for path in (at.nas / "cp1").iterdir() if "vmx" in path.name) == ["cp1.vmx"]


def test_a_running_vm_is_not_plugged_elsewhere_and_that_is_said(at: HostsOnNas) -> None:
    assert not at.bring(*VM_STEPS).counts.failed
    at.host().network.add_port_group("Lab", "vSwitch0", 20)
    [cp1] = at.lab.control_plane
    lab = at.lab.model_copy(update={"control_plane": (cp1.model_copy(update={"network": "Lab"}),)})
    ended = at.bring("vm", lab=lab)
    assert not ended.counts.failed
    assert ended.plan.empty
    said = str([event.__dict__ for event in ended.events])
    assert "network is VM Network, wanted is Lab: the API only reads, so it is changed while it is off" in said


def test_a_vm_is_destroyed_file_by_file_and_what_is_not_ours_stays(at: HostsOnNas) -> None:
    assert not at.bring(*VM_STEPS).counts.failed
    thesis = at.put("cp1/thesis.odt")
    others = at.put("cp10/cp10.vmdk")
    ended = at.bring(*VM_STEPS, lab=at.lab.wanting("absent", ["cp1"]))
    assert not ended.counts.failed, ended.events
    assert not at.host().registered_vms
    assert sorted(tree(at.nas / "cp1")) == ["thesis.odt"]
    assert (thesis.read_bytes(), others.read_bytes()) == (b"mine\n", b"mine\n")


def test_more_cpus_than_the_licence_allows_are_refused_with_the_number(at: HostsOnNas) -> None:
    at.host().model = replace(at.host().model, threads=16)
    [cp1] = at.lab.control_plane
    lab = at.lab.model_copy(update={"control_plane": (cp1.model_copy(update={"cpus": 12}),)})
    ended = at.bring("vm", lab=lab)
    [failure] = ended.said("failed", "vm")
    assert failure["what"] == "cp1 wants 12 CPUs, and vSphere 6 Hypervisor allows a VM 8"
    assert "vm_cpus" in failure["advice"]
    assert not (at.nas / "cp1").exists()


def test_doctor_tells_it_too(at: HostsOnNas) -> None:
    [cp1] = at.lab.control_plane
    lab = at.lab.model_copy(update={"control_plane": (cp1.model_copy(update={"cpus": 12}),)})
    answers = {check.sentence: check.probe(world_of(at)) for check in preflight(lab) if check.target == "brix3"}
    assert not answers["the licence of brix3 allows its VMs their CPUs"].ok
    assert (
        "wants 12 CPUs, and vSphere 6 Hypervisor allows a VM 8"
        in answers["the licence of brix3 allows its VMs their CPUs"].text
    )
    writable = answers["brix3 can be changed"]
    assert (writable.ok, writable.text) == (True, "the API only reads (vSphere 6 Hypervisor); over SSH")


def test_a_port_group_that_is_not_there_is_told_before_a_vmx_is_written(at: HostsOnNas) -> None:
    [cp1] = at.lab.control_plane
    lab = at.lab.model_copy(update={"control_plane": (cp1.model_copy(update={"network": "Nowhere"}),)})
    [failure] = at.bring(*VM_STEPS, lab=lab).said("failed", "vm")
    assert "there is no port group Nowhere" in failure["what"]
    assert not (at.nas / "cp1/cp1.vmx").exists()


def test_a_vmx_that_came_into_the_folder_meanwhile_stays(at: HostsOnNas, monkeypatch: pytest.MonkeyPatch) -> None:
    """Never over an existing file, though the plan saw none."""
    at.bring("image")
    original = at.host().vms.extend_disk

    def meanwhile(path: str, capacity: int) -> None:
        original(path, capacity)
        at.put("cp1/cp1.vmx", b"somebody's")

    monkeypatch.setattr(at.host().vms, "extend_disk", meanwhile)
    [failure] = at.bring("vm").said("failed", "vm")
    assert "nothing is written over it" in failure["what"]
    assert (at.nas / "cp1/cp1.vmx").read_bytes() == b"somebody's"


def begun(at: HostsOnNas, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that wrote the .vmx and was refused by the host when it registered it."""

    def refuse(path: str, name: str | None = None) -> None:
        raise OSError(f"no {path} today")

    with monkeypatch.context() as patched:
        patched.setattr(at.host().vms, "register", refuse)
        assert at.bring(*VM_STEPS).said("failed", "vm")
    assert {NOTE, "cp1.vmx"} <= {path.name for path in (at.nas / "cp1").iterdir()}


def test_a_vmx_that_was_written_and_not_registered_is_a_leftover_of_ours(
    at: HostsOnNas, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun(at, monkeypatch)
    ended = at.bring(*VM_STEPS)
    assert not ended.counts.failed, ended.events
    assert ended.plan.empty


def test_a_licence_that_comes_meanwhile_goes_on_with_what_was_begun(
    at: HostsOnNas, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun(at, monkeypatch)
    at.host().licence = "evaluation"
    ended = at.bring(*VM_STEPS)
    assert not ended.counts.failed, ended.events
    assert ended.plan.empty


def test_a_vmx_of_ours_that_somebody_registered_meanwhile_is_not_deleted(
    at: HostsOnNas, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun(at, monkeypatch)
    world = world_of(at)
    with world.vm_writer("brix3") as writer:
        at.host().vms.register("[nas] cp1/cp1.vmx")
        with pytest.raises(Exception, match="it is a VM of this host by now"):
            writer.files.delete_file("nas", "cp1/cp1.vmx", seconds=5, progress=lambda _: None)
    assert (at.nas / "cp1/cp1.vmx").exists()


def test_a_silent_host_may_have_registered_the_vmx(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lab = vm_lab(tmp_path, hosts=("brix3", "brix4"), host="brix3")
    with hosts_on_nas(lab, tmp_path, free=True) as at:
        begun(at, monkeypatch)
        at.served_hosts["brix4"].stop()
        before = tree(at.nas, "homelab")
        [waiting] = at.bring(*VM_STEPS).said("blocked", "vm")
        assert "brix4 can be asked" in waiting["until"]
        assert tree(at.nas, "homelab") == before


def as_moved(at: HostsOnNas) -> None:
    """A VM whose .vmx was written for another place: it asks whether it was moved or copied when it is switched on."""
    assert not at.bring(*VM_STEPS).counts.failed
    off(at.host())
    [vm] = at.host().registered_vms.values()
    vm.location = "56 4d 00 00 00 00 00 00-00 00 00 00 00 00 00 00"
    at.host().vms.rewrite_vmx(vm)


def test_a_vm_that_asks_is_told_that_it_was_moved(at: HostsOnNas) -> None:
    as_moved(at)
    ended = at.bring("vm")
    assert not ended.counts.failed, ended.events
    assert look(at).powered_on and look(at).original


def test_another_question_is_told_in_its_own_words(at: HostsOnNas, monkeypatch: pytest.MonkeyPatch) -> None:
    as_moved(at)
    monkeypatch.setattr("homelab.ports.vsphere.vms.MOVED_OR_COPIED", "msg.another")
    monkeypatch.setattr("homelab.steps.vms.vm_power.TASK_SECONDS", 1.0)
    [failure] = at.bring("vm").said("failed", "vm")
    assert "asks before it comes on" in failure["what"]
    assert "might have been moved or copied" in failure["what"]


def test_with_ssh_off_it_is_said_where_to_switch_it_on(at: HostsOnNas) -> None:
    at.served_hosts["brix3"].shell.stop()
    at.host().services.set("TSM-SSH", running=False, policy="off")
    [failure] = at.bring(*VM_STEPS).said("failed", "image")
    assert "SSH is off" in failure["what"]
    assert "Troubleshooting Options, Enable SSH" in failure["advice"]


def test_a_connection_that_broke_is_opened_anew(at: HostsOnNas) -> None:
    world = world_of(at)
    with world.vm_writer("brix3") as writer:
        writer.files.make_folder("nas", "a")
    with world.shell("brix3") as kept:
        at.served_hosts["brix3"].shell.stop()
        until(lambda: not kept.alive)
        at.served_hosts["brix3"].shell.start()
    with world.vm_writer("brix3") as writer:
        writer.files.make_folder("nas", "b")
    assert (at.nas / "a").is_dir() and (at.nas / "b").is_dir()
