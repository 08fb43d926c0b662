"""Which VM is ours: copies, moves, hosts that cannot be asked, VMs that cannot be read."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyVmomi import vim

from homelab.engine.step import Blocked
from homelab.lab import Lab
from homelab.output.documents import plan_document
from homelab.rehearsal.state.vm import Vm
from tests.helpers.vm_lab import EXPORT, SERVER, HostsOnNas, tree, vm_lab, vms_on_nas

BOTH = ("brix3", "brix4")


@pytest.fixture
def at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HostsOnNas]:
    """Two hosts, and cp1 made on the first of them."""
    with vms_on_nas(vm_lab(tmp_path, hosts=BOTH), tmp_path, monkeypatch) as made:
        yield made


def ours(at: HostsOnNas, on: str = "brix3") -> Vm:
    [vm] = at.host(on).registered_vms.values()
    return vm


def off(at: HostsOnNas) -> Vm:
    vm = ours(at)
    at.host().vm_power.off(vm)
    return vm


def placed_on(lab: Lab, host: str, **more: str) -> Lab:
    vms = [vm.model_copy(update={"host": host, **more}) for vm in lab.control_plane]
    return lab.model_copy(update={"control_plane": tuple(vms)})


def refusal(at: HostsOnNas, lab: Lab | None = None) -> str:
    """What the plan of the step `vm` is refused with; running it changes no file and no VM."""
    before, had = tree(at.nas), [sorted(at.host(name).registered_vms) for name in at.served_hosts]
    [failed] = at.bring(lab=lab).said("failed", "vm")
    assert tree(at.nas) == before
    assert [sorted(at.host(name).registered_vms) for name in at.served_hosts] == had
    return f"{failed['what']}. {failed['advice']}"


def blocked(at: HostsOnNas, lab: Lab | None = None) -> str:
    """What a blocked node waits for; nothing was made."""
    [item] = at.plan(lab=lab).of(Blocked)
    at.bring(lab=lab)
    return str(item[1].until)


def test_the_mark_names_the_instance_and_the_path(at: HostsOnNas) -> None:
    vm = ours(at)
    assert vm.extra_config["homelab.id"] == f"{vm.instance_uuid} [nas] cp1/cp1.vmx"


@pytest.mark.parametrize("on", BOTH)
def test_a_copy_is_named_with_its_original_and_neither_is_touched(at: HostsOnNas, on: str) -> None:
    off(at)
    copy = at.copy_vm("cp1", "cp1-copy", "cp1-copy", on)
    said = refusal(at)
    assert "[nas] cp1/cp1.vmx on brix3 (the one that was made)" in said
    assert f"[nas] cp1-copy/cp1.vmx on {on} (a copy of [nas] cp1/cp1.vmx)" in said
    assert not copy.powered_on
    assert not at.host().vms.named("cp1").powered_on  # type: ignore[union-attr]


def test_a_copy_alone_is_not_ours_and_no_second_one_is_made(at: HostsOnNas) -> None:
    vm = off(at)
    at.copy_vm("cp1", "cp1-copy", "cp1-copy")
    at.host().vms.destroy(vm)
    said = refusal(at)
    assert "[nas] cp1-copy/cp1.vmx on brix3 carries the mark of cp1, but it is not the VM that was marked" in said
    assert "set homelab.id to" in said


def test_a_vm_that_its_owner_moved_is_ours_again_by_what_the_refusal_said(at: HostsOnNas) -> None:
    vm = off(at)
    moved = at.copy_vm("cp1", "attic", "attic")
    at.host().vms.destroy(vm)
    value = refusal(at).partition("set homelab.id to '")[2].partition("'")[0]
    with at.session() as session:
        option = vim.option.OptionValue(key="homelab.id", value=value)
        at.run(session.managed(vim.VirtualMachine, moved.moid).ReconfigVM_Task(vim.vm.ConfigSpec(extraConfig=[option])))
    at.host().vms.extend_disk("[nas] attic/cp1.vmdk", 1 << 30)
    changes = [change["sentence"] for change in plan_document(at.plan())["changes"]]
    assert changes == ["have brix3 start cp1 after a power cut", "switch the VM cp1 on"]


def test_a_vm_that_is_registered_on_two_hosts_is_named_and_left(at: HostsOnNas) -> None:
    off(at)
    at.register("[nas] cp1/cp1.vmx", on="brix4")
    said = refusal(at)
    assert "[nas] cp1/cp1.vmx on brix3" in said
    assert "[nas] cp1/cp1.vmx on brix4" in said


def test_a_vm_that_was_moved_to_another_host_is_still_ours(at: HostsOnNas) -> None:
    """A cold move over the shared datastore: the folder stays where it is."""
    vm = off(at)
    at.host().vms.unregister(vm)
    at.register("[nas] cp1/cp1.vmx", on="brix4")
    changes = [change["sentence"] for change in plan_document(at.plan())["changes"]]
    assert changes == ["have brix4 start cp1 after a power cut", "switch the VM cp1 on"]
    assert at.bring().plan.empty
    assert ours(at, "brix4").powered_on
    assert at.plan(lab=placed_on(at.lab, "brix3")).empty


def test_a_vm_of_an_earlier_version_is_recognised_while_it_is_the_only_one(at: HostsOnNas) -> None:
    """Its mark does not say which VM was marked."""
    vm = off(at)
    del vm.extra_config["homelab.id"]
    at.host().vms.update(vm)
    assert at.bring().plan.empty
    at.host().vm_power.off(vm)
    at.copy_vm("cp1", "cp1-copy", "cp1-copy", "brix4")
    said = refusal(at)
    assert "[nas] cp1/cp1.vmx on brix3, [nas] cp1-copy/cp1.vmx on brix4" in said


def test_a_vm_on_a_host_that_went_silent_is_not_made_anew(at: HostsOnNas) -> None:
    """The folder on the shared datastore tells that it is somewhere."""
    at.served_hosts["brix3"].stop()
    said = refusal(at, placed_on(at.lab, "brix4"))
    assert "it holds a whole VM that no host which answers has registered (cp1-flat.vmdk, cp1.vmdk, cp1.vmx" in said
    assert "A host that is off may have it: switch that on" in said


def test_a_silent_host_holds_up_what_it_may_have_on_a_datastore_of_its_own(at: HostsOnNas) -> None:
    host = at.host("brix4")
    host.datastores.leave_vmfs(next(iter(host.disks.values())), "ssd")
    lab = placed_on(at.lab, "brix4", datastore="ssd", name="cp9")
    at.served_hosts["brix3"].stop()
    assert blocked(at, lab) == "brix3 can be asked: no other host has cp9"
    assert not at.host("brix4").registered_vms


def test_a_silent_host_does_not_hold_up_others_on_the_shared_datastore(at: HostsOnNas) -> None:
    at.served_hosts["brix3"].stop()
    lab = placed_on(at.lab, "brix4", name="cp9")
    ended = at.bring(lab=lab)
    assert not ended.counts.failed, ended.events
    assert ours(at, "brix4").name == "cp9"


def test_a_vm_that_cannot_be_read_is_not_made_anew(at: HostsOnNas) -> None:
    """The NAS has got another address, and one host still has the old one: its VMs have no configuration then."""
    off(at)
    nas = at.host().datastores.volumes.nas
    at.host("brix4").datastores.unmount_nas("nas")
    nas.addresses.add("192.168.2.6")
    at.host("brix4").datastores.mount_nas("192.168.2.6", EXPORT, "nas")
    nas.addresses.remove(SERVER)
    assert blocked(at, placed_on(at.lab, "brix4")) == "the files of cp1 on brix3 can be read again: that may be cp1"
    assert not at.host("brix4").registered_vms


def test_no_change_names_a_vm_by_an_id_of_one_connection(at: HostsOnNas) -> None:
    off(at)
    planned = at.plan("vm", "guest")
    changes = [vars(change) for items in planned.items.values() for change in items]
    assert "'path': '[nas] cp1/cp1.vmx'" in json.dumps(changes, default=vars).replace('"', "'")
    assert not any("moid" in change for change in changes)
