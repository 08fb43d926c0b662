"""Images that the inventory does not name any more: told, and deleted when asked for."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from homelab.engine.step import Blocked, Change
from homelab.rehearsal.state.vm import Vm
from homelab.steps.vms.old_images import OldImages
from homelab.steps.vms.sitters import check_nobody_at
from tests.helpers.one_host import Ended, bring, plan
from tests.helpers.vm_lab import HostsOnNas, tree, vm_lab, vms_on_nas

OLD, HALF = "a" * 64, "b" * 64
FOLDER = "homelab/homelab/images"


@pytest.fixture
def at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HostsOnNas]:
    """Two hosts, a VM, its image, and beside it an old image, the data of half of one, and what others laid there."""
    with vms_on_nas(vm_lab(tmp_path, hosts=("brix3", "brix4")), tmp_path, monkeypatch) as made:
        current = made.nas / FOLDER / made.lab.image.sha256
        for end in (".vmdk", "-flat.vmdk"):
            shutil.copy(f"{current}{end}", made.nas / FOLDER / f"{OLD}{end}")
        made.put(f"{FOLDER}/{HALF}-flat.vmdk")
        for name in ("debian-12.vmdk", f"{OLD}.vmdk.bak", f"{OLD.upper()}.vmdk", "abc.vmdk", f"old/{OLD}.vmdk"):
            made.put(f"{FOLDER}/{name}")
        made.put(f"homelab/annex/images/{OLD}.vmdk")
        yield made


def prune(at: HostsOnNas) -> Ended:
    return bring(at.lab, at.home, (OldImages(),))


def planned(at: HostsOnNas) -> Any:
    return plan(at.lab, at.home, (OldImages(),))


def sitting_on(at: HostsOnNas, image: str) -> None:
    """A linked clone of somebody's on the other host."""
    [vm] = at.host().registered_vms.values()
    clone = Vm("9", "clone", "nas", "[nas] clone/clone.vmx", powered_on=True)
    clone.disks.append(replace(vm.disks[0], path="[nas] clone/clone.vmdk", parents=(f"[nas] {FOLDER}/{image}.vmdk",)))
    at.host("brix4").registered_vms["9"] = clone


def test_old_images_go_and_nothing_else(at: HostsOnNas) -> None:
    kept = {name: told for name, told in tree(at.nas).items() if not _ours(name)}
    changes = [change for _, change in planned(at).of(Change)]
    assert [change.path for change in changes] == [f"{FOLDER}/{OLD}.vmdk", f"{FOLDER}/{HALF}.vmdk"]
    assert all(change.disruptive for change in changes)
    ended = prune(at)
    assert ended.counts.changed == 2
    assert ended.plan.empty
    assert tree(at.nas) == kept


def _ours(name: str) -> bool:
    return name in {f"{FOLDER}/{digest}{end}" for digest in (OLD, HALF) for end in (".vmdk", "-flat.vmdk")}


def test_one_that_a_disk_sits_on_stays_and_is_told(at: HostsOnNas) -> None:
    sitting_on(at, OLD)
    [remark] = [said for told in planned(at).remarks.values() for said in told]
    assert "clone on brix4" in remark
    assert prune(at).counts.changed == 1
    assert (at.nas / f"{FOLDER}/{OLD}.vmdk").exists()
    assert not (at.nas / f"{FOLDER}/{HALF}-flat.vmdk").exists()


def test_while_a_host_is_silent_none_goes(at: HostsOnNas) -> None:
    before = tree(at.nas)
    at.served_hosts["brix4"].stop()
    [(_, item)] = planned(at).of(Blocked)
    assert item.until.startswith("brix4 can be asked")
    assert prune(at).counts.blocked == 1
    assert tree(at.nas) == before


def test_a_host_that_went_silent_since_is_told_as_such(at: HostsOnNas, monkeypatch: pytest.MonkeyPatch) -> None:
    def after_it_went(*arguments: Any) -> None:
        at.served_hosts["brix3"].stop()
        check_nobody_at(*arguments)

    monkeypatch.setattr("homelab.steps.vms.image.check_nobody_at", after_it_went)
    [failed] = prune(at).said("failed", "old-images")
    assert "mistake of homelab" not in failed["what"]
    assert "is not ready" not in failed["what"]
    assert at.served_hosts["brix3"].host is not None  # it went; the answer names its address
    assert (at.nas / f"{FOLDER}/{OLD}.vmdk").exists()
