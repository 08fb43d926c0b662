"""What making and destroying VMs may cost: ten take hardly longer than one, and hundreds leave nothing behind."""

import gc
import json
import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from homelab.commands.options import Options
from homelab.commands.vm_create import vm_create
from homelab.commands.vm_destroy import vm_destroy
from homelab.lab import Lab
from homelab.output.ui import Ui
from homelab.rehearsal.state.parts import Timing
from tests.helpers.vm_lab import HostsOnNas, hosts_on_nas, tree, vm_lab

HOSTS = ("brix1", "brix2", "brix3", "brix4")
SLOW_POWER = Timing(boot_seconds=0.05, api_delay_seconds=0.0, shut_down_seconds=0.0, power_on_seconds=5.0)
ANSWER_SECONDS = 0.01
WAITS = {"CreateFilter", "WaitForUpdatesEx", "DestroyPropertyFilter", "CreatePropertyCollector"}
ROUNDS, WARM = 200, 20
# The record of each round is kept on the disk, and its name in memory.
MOST_GROWTH = 4 << 20


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def record_of(folder: Path, lab: Lab) -> list[dict[str, Any]]:
    """What making a lab's VMs calls whose image is there, at 10 ms an answer."""
    with hosts_on_nas(lab, folder, timing=SLOW_POWER) as at:
        at.lay_image()
        for name in HOSTS:
            at.host(name).harm.on_request = lambda: time.sleep(ANSWER_SECONDS)
        ended = at.bring()
        assert not ended.counts.failed, ended.events
        assert ended.counts.changed == 2 * len(lab.control_plane)
    # The first run is the one that made them; the other only plans.
    path = min((folder / "home").glob("logs/*/record.jsonl"))
    return [line for line in map(json.loads, path.read_text().splitlines()) if "what" in line]


def calls(record: list[dict[str, Any]]) -> int:
    """All but waits."""
    return len([line for line in record if line["what"] not in WAITS])


@pytest.mark.thorough
@pytest.mark.timeout(180)
def test_ten_vms_are_switched_on_at_once_and_no_call_is_for_all_of_them(tmp_path: Path) -> None:
    """So ten take hardly longer than one: a call costs 10 ms, a power-on 5 s, and what is counted is no CPU's."""
    lab = vm_lab(tmp_path, hosts=HOSTS, vms=tuple(f"cp{n}" for n in range(1, 11)))
    one = record_of(tmp_path / "one", lab.model_copy(update={"control_plane": lab.control_plane[:1]}))
    ten = record_of(tmp_path / "ten", lab)
    issued = sorted(datetime.fromisoformat(line["at"]) for line in ten if line["what"] == "PowerOnVM_Task")
    assert len(issued) == 10
    assert (issued[-1] - issued[0]).total_seconds() < SLOW_POWER.power_on_seconds
    assert calls(ten) < 10 * calls(one)
    writes = [line["what"] for line in ten if line["writes"] and line["kind"] == "soap" and line["what"] not in WAITS]
    assert len(writes) <= 6 * 10, Counter(writes)


def resident() -> int:
    """The bytes of this process in memory: the hosts and the toolkit."""
    gc.collect()
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:"))


def left_behind(at: HostsOnNas) -> tuple[object, ...]:
    """All that a VM could leave: files, VMs, sessions, port groups, places in the order of starting."""
    host = at.host()
    return (
        tree(at.nas),
        list(host.registered_vms),
        len(at.served_hosts["brix3"].api.sessions.live()),
        dict(host.network.port_groups),
        list(host.start_order.entries),
    )


@pytest.mark.thorough
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("clone", ["thin", "linked"])
def test_two_hundred_rounds_leave_nothing_behind(tmp_path: Path, clone: str) -> None:
    with hosts_on_nas(vm_lab(tmp_path, clone=clone), tmp_path) as at:
        absent = at.lab.wanting("absent", ["cp1"])

        def go_round() -> None:
            for lab in (at.lab, absent):
                ended = at.bring("image", "vm", lab=lab) if lab is at.lab else at.bring(lab=lab)
                assert not ended.counts.failed, ended.events

        repeated(go_round, WARM)
        before, size = left_behind(at), resident()
        repeated(go_round, ROUNDS - WARM)
        assert left_behind(at) == before
        assert resident() - size < MOST_GROWTH


def repeated(act: Callable[[], None], times: int) -> None:
    for _ in range(times):
        act()


def inventory_of(lab: Lab, folder: Path) -> Path:
    """The files that describe a lab on the loopback, as a user writes them."""
    hosts = {
        host.name: {
            "ansible_host": str(host.address),
            "ansible_port": host.ssh_port,
            "vsphere_port": host.api_port,
            "ansible_password": host.password.get_secret_value(),
        }
        for host in lab.esxi
    }
    [nas], [vm, *_] = lab.nfs, lab.control_plane
    variables = {
        "lab_name": lab.name,
        "lab_domain": lab.domain,
        "lab_network": str(lab.network),
        "lab_gateway": str(lab.gateway),
        "api_vip": str(lab.api.vip),
        "image_source": lab.image.source,
        "image_sha256": lab.image.sha256,
        "kubernetes_version": lab.kubernetes.version,
        "vm_clone": vm.clone,
        "vm_disk_gib": vm.disk_gib,
        "vm_memory_mib": vm.memory_mib,
    }
    groups = {
        "esxi": hosts,
        "nfs": {nas.name: {"ansible_host": nas.server, "nfs_export": nas.export, "nfs_datastore": nas.datastore}},
        "control_plane": {vm.name: {"ansible_host": str(vm.address)} for vm in lab.control_plane},
    }
    told = {"all": {"vars": variables, "children": {name: {"hosts": members} for name, members in groups.items()}}}
    made = folder / "inventory"
    made.mkdir()
    (made / "hosts.yml").write_text(yaml.safe_dump(told))
    return made


def commanded(inventory: Path, command: Callable[[Options, list[str]], int]) -> list[dict[str, Any]]:
    """What one command calls for cp1."""
    before = {*inventory.parent.glob(".homelab/logs/*")}
    assert command(Options((inventory,), None, True, Ui("text", quiet=True)), ["cp1"]) == 0
    [run] = {*inventory.parent.glob(".homelab/logs/*")} - before
    lines = [json.loads(line) for line in (run / "record.jsonl").read_text().splitlines()]
    return [line for line in lines if "what" in line]


def of(record: list[dict[str, Any]], *names: str) -> Counter[str]:
    """How often each host was called by one of those names."""
    return Counter(line["target"] for line in record if line["what"].partition(" ")[0] in names)


@pytest.mark.thorough
@pytest.mark.timeout(180)
def test_one_linked_vm_comes_and_goes_by_few_calls(tmp_path: Path) -> None:
    """As whole commands on a ready lab: each call costs its way, so they are counted. The seconds are for a bench.

    A host that has nothing to do with the VM is looked at once when it is made, and twice when it goes: for the plan,
    and right before its files go. Each look is two calls.
    """
    lab = vm_lab(tmp_path, hosts=HOSTS, vms=("cp1", "cp2", "cp3"), clone="linked")
    with hosts_on_nas(lab, tmp_path) as at:
        at.lay_image()
        inventory = inventory_of(lab, tmp_path)
        for command in (vm_create, vm_destroy):  # the first run keeps copies of the hosts, and makes the base
            commanded(inventory, command)
        made, gone = commanded(inventory, vm_create), commanded(inventory, vm_destroy)
        assert not [session for name in HOSTS for session in at.served_hosts[name].api.sessions.live()]
    # How often it is asked whether the guest is off, at two calls each, depends on the machine.
    for record, looks, most in ((made, 1, 62), (gone, 2, 84)):
        assert len(record) <= most, Counter(line["what"].partition(" ")[0] for line in record)
        logins = of(record, "Login")
        assert set(logins) == set(HOSTS)
        assert sum(logins.values()) <= len(HOSTS) + 1  # two things are asked of one host at once
        others = of(record, "RetrievePropertiesEx", "QueryModules")
        assert {others[name] for name in HOSTS[1:]} == {2 * looks}
