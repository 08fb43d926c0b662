"""Mounts of a simulated host, changed over its wire: what is not ours stays as it was, whatever goes wrong."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from homelab.errors import HomelabError, Refused
from homelab.lab import Lab
from homelab.ports.ansible.inventory import Vault
from homelab.ports.files.home import HomeFiles
from homelab.ports.open_world import open_world
from homelab.ports.world import World
from homelab.rehearsal.host.host import Host
from homelab.rehearsal.state.vm import Vm, VmDisk
from homelab.steps.hosts.nfs_datastore import NfsDatastore
from tests.helpers.one_host import Ended, bring, lab_of, standing

OLD, NEW, SHARE = "192.168.2.9", "192.168.2.5", "/volume1/homelab"
WAYS = ["api", "shell"]


@dataclass
class Bench:
    """A host, and the step that mounts."""

    lab: Lab
    host: Host
    folder: Path

    def bring(self) -> Ended:
        return bring(self.lab, self.folder / "home", (NfsDatastore(),))

    def world(self) -> World:
        return open_world(self.lab, [self.folder], Vault(None), HomeFiles(self.folder / "home"), lambda _: None)

    def mounts(self) -> list[tuple[Any, ...]]:
        return [(m.name, m.server, m.share, m.kind, m.access_mode) for m in self.host.datastores.nas_mounts()]

    def export(self) -> Path:
        return self.host.datastores.volumes.root / "volume1_homelab"

    def foreign(self) -> dict[str, str]:
        """Every file on every datastore, by its content."""
        files = sorted(path for path in self.host.datastores.volumes.root.rglob("*") if path.is_file())
        return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

    def asked(self) -> list[str]:
        """What was written to the host, from the records of all runs."""
        records = (self.folder / "home" / "logs").glob("*/record.jsonl")
        lines = [json.loads(line) for record in records for line in record.read_text().splitlines()]
        return [line["what"] for line in lines if line.get("writes") and line.get("kind") in ("soap", "http", "ssh")]


@pytest.fixture
def bench(tmp_path: Path) -> Any:
    def make(way: str = "api", prepare: Callable[[Host], None] = lambda host: None) -> Any:
        def ready(host: Host) -> None:
            host.datastores.volumes.nas.addresses.add(OLD)
            if way == "shell":
                host.licence, host.services["TSM-SSH"].running = "free", True
            prepare(host)

        lab = lab_of()
        stands = standing(lab, tmp_path, ready)
        opened.append(stands)
        return Bench(lab, stands.__enter__().host, tmp_path)

    opened: list[Any] = []
    yield make
    for stands in opened:
        stands.__exit__(None, None, None)


def old_mount(host: Host, **more: Any) -> None:
    host.datastores.mount_nas(OLD, SHARE, "nas", **more)


def with_vm(host: Host, vmx: str = "[nas] db/db.vmx", *parents: str) -> None:
    store = vmx[1:].partition("]")[0]
    disks = [VmDisk(2000, vmx.replace(".vmx", ".vmdk"), 1 << 30, parents=parents)]
    host.registered_vms["7"] = Vm("7", "db", store, vmx, disks=disks)


def failure(ended: Ended) -> dict[str, Any]:
    [told] = ended.said("failed", "nfs-datastore")
    return told


def test_vms_that_cannot_be_read_keep_the_mount_of_a_nas_with_a_new_address(bench: Any) -> None:
    ready = bench(prepare=lambda host: (old_mount(host), with_vm(host)))
    ready.host.datastores.volumes.nas.addresses.discard(OLD)
    before = ready.mounts(), ready.foreign()
    told = failure(ready.bring())
    assert "cannot read the files of db" in told["what"]
    assert "unregister those VMs (their files stay)" in told["advice"]
    assert (ready.mounts(), ready.foreign()) == before
    assert not ready.asked()


def test_a_disk_that_another_one_sits_on_keeps_its_mount(bench: Any) -> None:
    def prepare(host: Host) -> None:
        old_mount(host)
        host.datastores.leave_vmfs(next(iter(host.disks.values())), "local")
        with_vm(host, "[local] db/db.vmx", "[nas] golden/golden.vmdk")

    ready = bench(prepare=prepare)
    before = ready.mounts()
    assert "is in use by db" in failure(ready.bring())["what"]
    assert ready.mounts() == before
    assert not ready.asked()


def test_a_setting_that_names_the_datastore_keeps_its_mount(bench: Any) -> None:
    def prepare(host: Host) -> None:
        old_mount(host)
        host.advanced["UserVars.ProductLockerLocation"] = "/vmfs/volumes/nas/tools"

    ready = bench(prepare=prepare)
    assert "is in use by UserVars.ProductLockerLocation" in failure(ready.bring())["what"]
    assert not ready.asked()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", ["NFS", "NFS41"])
def test_a_mount_that_nothing_uses_is_moved(bench: Any, way: str, kind: str) -> None:
    ready = bench(way, prepare=lambda host: old_mount(host, kind=kind))
    ended = ready.bring()
    assert not ended.counts.failed, ended.events
    assert ready.mounts() == [("nas", NEW, SHARE, "NFS", "readWrite")]
    assert ended.plan.empty


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("read_only", [False, True])
def test_a_remount_that_fails_puts_the_old_mount_back(bench: Any, way: str, read_only: bool) -> None:
    ready = bench(way, prepare=lambda host: old_mount(host, read_only=read_only))
    ready.host.datastores.volumes.nas.addresses.discard(NEW)
    before = ready.mounts()
    told = failure(ready.bring())
    assert "the NAS nas was not mounted: Unable to connect to NFS server" in told["what"]
    assert "nas was put back as it was" in told["what"]
    assert ready.mounts() == before


@pytest.mark.parametrize("way", WAYS)
def test_a_remount_that_cannot_be_written_to_puts_the_old_mount_back(bench: Any, way: str) -> None:
    ready = bench(way, prepare=old_mount)
    ready.host.datastores.volumes.nas.read_only = True
    before = ready.mounts()
    told = failure(ready.bring())
    assert "Read-only file system" in told["what"]
    assert "nas was put back as it was" in told["what"]
    assert ready.mounts() == before


def test_a_remount_that_cannot_be_taken_back_says_how_to_do_it_by_hand(bench: Any) -> None:
    ready = bench(prepare=old_mount)
    ready.host.datastores.volumes.nas.refuses = "The NFS server denied the mount request"
    told = failure(ready.bring())
    assert "nas could not be put back either" in told["what"]
    assert f"esxcli storage nfs add --host={OLD} --share={SHARE} --volume-name=nas" in told["what"]


@pytest.mark.parametrize("way", WAYS)
def test_a_file_of_the_probe_s_name_that_is_not_ours_is_neither_written_nor_deleted(bench: Any, way: str) -> None:
    ready = bench(way)
    ready.export().mkdir(parents=True)
    (ready.export() / ".homelab-probe-brix3").write_text("mine\n")
    before = ready.foreign()
    assert "is not a probe file of ours" in failure(ready.bring())["what"]
    assert ready.foreign() == before
    assert not ready.mounts()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("left", ["", "home", "homelab\n"])
def test_a_probe_that_was_cut_off_does_not_stop_the_next_one(bench: Any, way: str, left: str) -> None:
    ready = bench(way)
    ready.export().mkdir(parents=True)
    (ready.export() / ".homelab-probe-brix3").write_text(left)
    assert not ready.bring().counts.failed
    assert not ready.foreign()


@pytest.mark.parametrize("way", WAYS)
def test_what_was_mounted_otherwise_since_the_plan_is_not_unmounted(bench: Any, way: str) -> None:
    ready = bench(way, prepare=old_mount)
    world, step = ready.world(), NfsDatastore()
    [change] = step.plan(ready.lab, "brix3", step.observe(world, ready.lab, "brix3"))
    ready.host.datastores.unmount_nas("nas")
    ready.host.datastores.volumes.nas.exports.add("/other")
    ready.host.datastores.mount_nas(OLD, "/other", "nas")
    before = ready.mounts()
    with pytest.raises(Refused, match="it was not unmounted"):
        step.apply(ready.world(), change)
    assert ready.mounts() == before


def test_what_is_mounted_is_what_the_change_says_and_not_what_the_lab_says_by_then(bench: Any) -> None:
    ready = bench()
    step = NfsDatastore()
    [change] = step.plan(ready.lab, "brix3", step.observe(ready.world(), ready.lab, "brix3"))
    nas = ready.lab.nfs[0].model_copy(update={"server": OLD, "datastore": "other"})
    ready.lab = ready.lab.model_copy(update={"nfs": (nas,)})
    step.apply(ready.world(), change)
    assert ready.mounts() == [("nas", NEW, SHARE, "NFS", "readWrite")]


def test_a_nas_that_forgets_what_was_written_is_unmounted_again(bench: Any) -> None:
    ready = bench()
    ready.host.datastores.volumes.nas.full = True
    with pytest.raises(HomelabError):
        step = NfsDatastore()
        [change] = step.plan(ready.lab, "brix3", step.observe(ready.world(), ready.lab, "brix3"))
        step.apply(ready.world(), change)
    assert not ready.mounts()


@pytest.mark.parametrize("way", WAYS)
def test_a_mount_that_cannot_be_taken_away_again_is_told_with_what_went_wrong_first(bench: Any, way: str) -> None:
    ready = bench(way)
    ready.host.datastores.volumes.nas.read_only = True

    def use_it(_: str) -> None:
        # Before the refusal is heard somebody registers a VM there.
        if ready.mounts():
            with_vm(ready.host)

    ready.host.harm.on_write = use_it
    told = failure(ready.bring())
    assert "Read-only file system" in told["what"]
    assert "nas could not be unmounted again" in told["what"]
    assert "esxcli storage nfs remove --volume-name=nas" in told["what"]
