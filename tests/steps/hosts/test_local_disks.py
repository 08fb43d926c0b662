"""Which disk of a host becomes a datastore, what is told of it first, and that no other one is touched: on its wire."""

import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from homelab.checks.preflight import _greeting
from homelab.engine.plan import Plan
from homelab.errors import HomelabError, Refused
from homelab.lab import Lab
from homelab.output.ui import Ui
from homelab.ports.ansible.inventory import Vault
from homelab.ports.files.home import HomeFiles
from homelab.ports.open_world import open_world
from homelab.ports.world import World
from homelab.rehearsal.host.host import Host
from homelab.rehearsal.state.disks import Disk, Partition, lay_foreign, nameless_disk, usb_disk
from homelab.rehearsal.state.hardware import M2_250
from homelab.rehearsal.storage.disk_images import IMAGES, lay_whole
from homelab.steps.hosts.local_datastore import LocalDatastore, MakeDatastore
from tests.helpers.one_host import Ended, bring, lab_of, plan, standing

SSH = "TSM-SSH"
TOLD = {
    "luks": "LUKS encryption",
    "lvm": "a part of an LVM volume group",
    "btrfs": "a btrfs file system",
    "zfs": "a part of a ZFS pool",
    "ext4": "an ext2, ext3 or ext4 file system",
    "ntfs": "an NTFS file system",
    "unknown": "data of an unknown kind",
    "md-1.0": "data at its end alone",
}


def digest(disk: Disk) -> str:
    """All that is on a disk, and what tells that it was formatted."""
    return hashlib.sha256(repr((disk.format, disk.partitions, sorted(disk.content.items()))).encode()).hexdigest()


def ssd(host: Host) -> Disk:
    return next(iter(host.disks.values()))


def add(host: Host, disk: Disk) -> Disk:
    host.disks[disk.canonical_name] = disk
    return disk


def ssh_on(host: Host) -> None:
    host.services[SSH].running = True
    host.services[SSH].policy = "on"


@dataclass
class Bench:
    """A simulated host that is to have a local datastore."""

    lab: Lab
    host: Host
    home: Path

    def named(self, disk: str) -> None:
        [host] = self.lab.esxi
        self.lab = self.lab.model_copy(update={"esxi": (host.model_copy(update={"local_disk": disk}),)})

    def plan(self) -> Plan:
        return plan(self.lab, self.home, (LocalDatastore(),))

    def change(self) -> MakeDatastore:
        [change] = self.plan().disruptive
        assert isinstance(change, MakeDatastore)
        return change

    def refusal(self) -> HomelabError:
        [refusal] = self.plan().failures.values()
        assert isinstance(refusal, Refused)
        return refusal

    def bring(self) -> Ended:
        return bring(self.lab, self.home, (LocalDatastore(),))

    def world(self) -> World:
        return open_world(self.lab, [self.home], Vault(None), HomeFiles(self.home), lambda _: None)

    def apply(self, change: MakeDatastore) -> None:
        LocalDatastore().apply(self.world(), change)

    def formatted(self) -> list[str]:
        return [mount.disk for mount in self.host.datastores.vmfs_mounts()]


@contextmanager
def bench(folder: Path, prepare: Callable[[Host], None] = lambda host: None, **more: Any) -> Iterator[Bench]:
    lab = lab_of(**{"local_datastore": "ssd", **more})
    with standing(lab, folder, prepare) as served:
        yield Bench(lab, served.host, folder / "home")


# What counts as empty


def test_what_another_system_left_on_a_whole_disk_is_told(tmp_path: Path) -> None:
    with bench(tmp_path, ssh_on) as lab:
        world = lab.world()
        [disk] = [disk for disk in world.host("brix3").disks if not disk.usb]
        for image in IMAGES:
            lay_whole(ssd(lab.host), image)
            seen = world.reader("brix3").contents(disk)
            assert TOLD[image] in str(seen)
            assert not seen.empty


def test_an_encrypted_disk_is_left_until_it_is_named(tmp_path: Path) -> None:
    def prepare(host: Host) -> None:
        ssh_on(host)
        put_luks(host)

    with bench(tmp_path, prepare) as lab:
        disk, before = ssd(lab.host), digest(ssd(lab.host))
        refusal = lab.refusal()
        assert "no disk is known to be empty" in refusal.what
        assert f"`esxi_local_disk: {disk.canonical_name}`" in refusal.advice
        assert TOLD["luks"] in refusal.advice
        assert lab.bring().counts.failed == 1
        assert digest(disk) == before
        lab.named(disk.canonical_name)
        assert TOLD["luks"] in lab.change().words.before
        assert not lab.bring().counts.failed
        assert lab.formatted() == [disk.canonical_name]


BLKID = shutil.which("blkid", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
KINDS = {"luks": "crypto_LUKS", "lvm": "LVM2_member", "zfs": "zfs_member", "md-1.0": "linux_raid_member", "unknown": ""}


@pytest.mark.skipif(BLKID is None, reason="needs blkid (util-linux)")
def test_the_simulated_disks_are_what_a_prober_of_others_takes_them_for(tmp_path: Path) -> None:
    size, path = 8 << 30, tmp_path / "disk"
    for image, make in IMAGES.items():
        path.unlink(missing_ok=True)
        with path.open("wb") as file:
            file.truncate(size)
            for offset, content in make(size).items():
                file.seek(offset)
                file.write(content)
        argv = [str(BLKID), "-p", "-o", "value", "-s", "TYPE", str(path)]
        said = subprocess.run(argv, capture_output=True, text=True, check=False).stdout
        assert said.strip() == KINDS.get(image, image)


def test_a_disk_whose_both_ends_are_zero_is_taken_without_a_name(tmp_path: Path) -> None:
    with bench(tmp_path, ssh_on) as lab:
        assert lab.change().words.before == "an empty disk; on it is nothing: its first and its last megabyte are zero"
        ended = lab.bring()
        assert not ended.counts.failed, ended.events
        assert ended.plan.empty
        assert lab.formatted() == [ssd(lab.host).canonical_name]


def test_a_disk_whose_bytes_nobody_may_read_has_to_be_named_by_one_line_to_paste(tmp_path: Path) -> None:
    with bench(tmp_path) as lab:
        disk = ssd(lab.host)
        refusal = lab.refusal()
        assert f"`esxi_local_disk: {disk.canonical_name}`" in refusal.advice
        assert "its bytes were not read" in refusal.advice
        assert not lab.host.services[SSH].running
        assert digest(disk) == digest(replace(disk, partitions=[], format="unknown", content={}))
        lab.named(disk.canonical_name)
        assert "encryption, LVM, ZFS or a file system on all of it is not seen" in lab.change().words.before
        assert not lab.bring().counts.failed
        assert lab.formatted() == [disk.canonical_name]
        assert not lab.host.services[SSH].running


def test_a_vmfs_that_the_host_does_not_mount_is_never_formatted(tmp_path: Path) -> None:
    def prepare(host: Host) -> None:
        host.datastores.leave_vmfs(ssd(host), "ssd")
        host.datastores.mounts.clear()

    with bench(tmp_path, prepare) as lab:
        disk, before = ssd(lab.host), digest(ssd(lab.host))
        lab.named(disk.canonical_name)
        assert "has a VMFS on it that this host does not mount" in lab.refusal().what
        assert digest(disk) == before


# Which disk is a stick


def test_an_empty_data_stick_is_never_taken_whatever_its_adapter_is_called(tmp_path: Path) -> None:
    def prepare(host: Host) -> None:
        ssh_on(host)
        lay_foreign(ssd(host))
        add(host, usb_disk("vmhba40"))

    with bench(tmp_path, prepare) as lab:
        before = {name: digest(disk) for name, disk in lab.host.disks.items()}
        assert "no disk is known to be empty" in lab.refusal().what
        assert "`esxi_local_disk: mpx.vmhba40:C0:T0:L0`" not in lab.refusal().advice
        lab.named("mpx.vmhba40:C0:T0:L0")
        assert "hangs on USB" in lab.refusal().what
        assert {name: digest(disk) for name, disk in lab.host.disks.items()} == before


def test_an_internal_disk_without_an_id_of_its_own_is_taken(tmp_path: Path) -> None:
    def prepare(host: Host) -> None:
        ssh_on(host)
        del host.disks[ssd(host).canonical_name]
        add(host, nameless_disk("vmhba3", M2_250))

    with bench(tmp_path, prepare) as lab:
        stick, before = next((disk, digest(disk)) for disk in lab.host.disks.values() if disk.boot)
        assert not lab.bring().counts.failed
        assert lab.formatted() == ["mpx.vmhba3:C0:T0:L0"]
        assert digest(stick) == before


def test_the_disk_that_a_host_boots_from_is_never_taken(tmp_path: Path) -> None:
    def prepare(host: Host) -> None:
        for disk in host.disks.values():
            disk.boot = not disk.model.usb

    with bench(tmp_path, prepare) as lab:
        lab.named(ssd(lab.host).canonical_name)
        assert "is the disk that this host boots from" in lab.refusal().what


@pytest.mark.parametrize(("boots_from_usb", "warned"), [(True, True), (False, False)])
def test_only_a_stick_that_the_host_boots_from_wears_out(tmp_path: Path, boots_from_usb: bool, warned: bool) -> None:
    def prepare(host: Host) -> None:
        host.version = "8.0.3"
        for disk in host.disks.values():
            disk.boot = disk.model.usb == boots_from_usb

    with bench(tmp_path, prepare) as lab:
        world = lab.world()
        said = _greeting(world, lab.lab, "brix3", world.host("brix3")).text
        assert ("a stick wears out" in said) is warned


# What was agreed to is what is formatted


def put_luks(host: Host) -> None:
    lay_whole(ssd(host), "luks")


def put_partitions(host: Host) -> None:
    lay_foreign(ssd(host))


def grow_partitions(host: Host) -> None:
    ssd(host).format, ssd(host).partitions = "gpt", [Partition(1, 2048, 4095, "ntfs")]


def swap_disk(host: Host) -> None:
    ssd(host).model = replace(M2_250, name="WD Blue")


def take_disk_out(host: Host) -> None:
    del host.disks[ssd(host).canonical_name]


def boot_from_it(host: Host) -> None:
    ssd(host).boot = True


@pytest.mark.parametrize(
    "meanwhile", [put_luks, put_partitions, grow_partitions, swap_disk, take_disk_out, boot_from_it]
)
def test_a_disk_that_is_not_what_was_agreed_to_is_not_formatted(
    tmp_path: Path, meanwhile: Callable[[Host], None]
) -> None:
    with bench(tmp_path, ssh_on) as lab:
        agreed = lab.change()
        meanwhile(lab.host)
        before = {name: digest(disk) for name, disk in lab.host.disks.items()}
        with pytest.raises(HomelabError, match=r"not what was agreed to|could not be found"):
            lab.apply(agreed)
        assert {name: digest(disk) for name, disk in lab.host.disks.items()} == before
        assert not lab.formatted()


def test_the_change_alone_says_what_is_made_of_which_disk(tmp_path: Path) -> None:
    with bench(tmp_path, ssh_on) as lab:
        agreed = lab.change()
        [host] = lab.lab.esxi
        other = host.model_copy(update={"local_datastore": "other", "local_disk": "t10.other", "host_cache_mib": 5})
        lab.lab = lab.lab.model_copy(update={"esxi": (other,)})
        lab.apply(agreed)
        [mount] = lab.host.datastores.vmfs_mounts()
        assert (mount.name, mount.disk) == ("ssd", agreed.disk.name)


def test_the_plan_in_text_shows_what_will_be_lost(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with bench(tmp_path, lambda host: lay_foreign(ssd(host))) as lab:
        lab.named(ssd(lab.host).canonical_name)
        Ui().plan(lab.plan())
    assert "now: on the disk, to be lost: systemPartition (0.5 GiB), ntfs (931.0 GiB)" in capsys.readouterr().out
