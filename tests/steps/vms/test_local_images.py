"""VMs on hosts' own datastores: the image is sent there too, once to each that needs it, with a NAS or without."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from homelab.lab import Lab
from homelab.ports.ansible.inventory import Vault
from homelab.ports.files.home import HomeFiles
from homelab.ports.open_world import open_world
from homelab.steps.vms.image import Image, UploadImage
from homelab.steps.vms.image_paths import image_homes
from homelab.steps.vms.old_images import OldImages, stored_images
from homelab.steps.vms.placement import places
from tests.helpers.one_host import bring
from tests.helpers.vm_lab import VM_STEPS, HostsOnNas, hosts_on_nas, vm_lab

SSD = "ssd"


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def local_lab(folder: Path, *, having: tuple[str, ...], nas: bool = False, **more: Any) -> Lab:
    """Three hosts, of which some have a datastore of their own, all by the same name."""
    lab = vm_lab(folder, hosts=("brix2", "brix3", "brix4"), datastore=SSD, **more)
    esxi = tuple(host.model_copy(update={"local_datastore": SSD}) if host.name in having else host for host in lab.esxi)
    return lab.model_copy(update={"esxi": esxi} | ({} if nas else {"nfs": ()}))


@contextmanager
def hosts_with_ssds(lab: Lab, folder: Path, *, nas: bool = False, free: bool = False) -> Iterator[HostsOnNas]:
    with hosts_on_nas(lab, folder, mounted=nas, free=free) as at:
        for host in lab.esxi:
            if host.local_datastore:
                state = at.host(host.name)
                disk = next(one for one in state.disks.values() if not one.partitions)
                state.datastores.create_vmfs(disk, [disk.whole], 1, SSD, 6)
        yield at


def images(at: HostsOnNas, host: str) -> set[str]:
    folder = at.host(host).datastores.folder_of(SSD) / "homelab/homelab/images"
    return {path.name for path in folder.iterdir()} if folder.is_dir() else set()


def pair(at: HostsOnNas) -> set[str]:
    sha256 = at.lab.image.sha256
    return {f"{sha256}.vmdk", f"{sha256}-flat.vmdk"}


@pytest.mark.thorough
@pytest.mark.parametrize("free", [False, True], ids=["api", "ssh"])
@pytest.mark.parametrize("nas", [False, True], ids=["no NAS", "beside a NAS"])
def test_the_image_is_sent_once_to_each_local_datastore_that_needs_it(nas: bool, free: bool, tmp_path: Path) -> None:
    lab = local_lab(tmp_path, having=("brix3", "brix4"), nas=nas, vms=("cp1", "cp2", "cp3"))
    with hosts_with_ssds(lab, tmp_path, nas=nas, free=free) as at:
        ended = at.bring(*VM_STEPS)
        assert not ended.counts.failed, ended.events
        assert ended.plan.empty
        assert images(at, "brix3") == images(at, "brix4") == pair(at)
        for host in ("brix3", "brix4"):
            vms = at.host(host).registered_vms.values()
            assert vms
            assert {vm.disks[0].path for vm in vms} == {f"[{SSD}] {vm.name}/{vm.name}.vmdk" for vm in vms}
        assert not at.host("brix2").registered_vms
        assert not (at.nas / "homelab").exists()
        assert at.bring(*VM_STEPS).counts.changed == 0


def test_a_local_datastore_where_no_vm_is_to_lie_gets_none(tmp_path: Path) -> None:
    lab = local_lab(tmp_path, having=("brix3", "brix4"), host="brix4")
    with hosts_with_ssds(lab, tmp_path) as at:
        assert not at.bring(*VM_STEPS).counts.failed
        assert (images(at, "brix3"), images(at, "brix4")) == (set(), pair(at))
    lab = local_lab(tmp_path / "free", having=("brix3", "brix4"))
    with hosts_with_ssds(lab, tmp_path / "free") as at:
        assert not at.bring(*VM_STEPS).counts.failed
        assert (images(at, "brix3"), images(at, "brix4")) == (pair(at), set())


def test_with_the_last_vm_the_image_goes_from_there_too(tmp_path: Path) -> None:
    lab = local_lab(tmp_path, having=("brix3",))
    with hosts_with_ssds(lab, tmp_path) as at:
        assert not at.bring(*VM_STEPS).counts.failed
        mine = at.host("brix3").datastores.folder_of(SSD) / "homelab/homelab/images/mine.vmdk"
        mine.write_bytes(b"mine\n")
        ended = at.bring(*VM_STEPS, lab=lab.wanting("absent", ["cp1"]))
        assert not ended.counts.failed, ended.events
        assert images(at, "brix3") == {"mine.vmdk"}


def test_a_host_without_the_datastore_is_waited_for(tmp_path: Path) -> None:
    lab = local_lab(tmp_path, having=("brix3",))
    with hosts_on_nas(lab, tmp_path, mounted=False) as at:
        [blocked] = at.bring("image").said("blocked", "image")
        assert blocked["target"] == "brix3"
        assert blocked["until"] == "brix3 answers and has the datastore ssd"


def test_a_nas_by_the_name_of_the_local_datastore_is_not_written_to(tmp_path: Path) -> None:
    """Somebody's mount: the image of a local datastore is laid on no NAS."""
    lab = local_lab(tmp_path, having=("brix3",))
    with hosts_on_nas(lab, tmp_path, mounted=False) as at:
        at.host("brix3").datastores.mount_nas("192.168.2.5", "/volume1/homelab", SSD)
        assert at.bring("image").said("blocked", "image")
        assert not (at.nas / "homelab").exists()


def test_vms_are_placed_where_their_datastore_is_and_wait_for_its_image(tmp_path: Path) -> None:
    lab = local_lab(tmp_path, having=("brix3", "brix4"), nas=True, vms=("cp1", "cp2", "cp3"))
    hosts = {name: place.host for name, place in places(lab, {}).items()}
    assert hosts == {"cp1": "brix3", "cp2": "brix4", "cp3": "brix3"}
    assert image_homes(lab) == {"brix3": SSD, "brix4": SSD}
    mixed = lab.model_copy(
        update={"control_plane": (lab.control_plane[0], lab.control_plane[1].model_copy(update={"datastore": None}))}
    )
    assert list(Image().targets(mixed)) == ["nas", "brix3", "brix4"]


def test_the_plan_names_the_host_and_its_datastore(tmp_path: Path) -> None:
    lab = local_lab(tmp_path, having=("brix3",))
    with hosts_with_ssds(lab, tmp_path) as at:
        [change] = [change for _, change in at.plan("image").of(UploadImage)]
        assert str(change).endswith("to the datastore ssd through brix3")
        assert (change.target, change.via) == ("brix3", "brix3")


def test_an_old_image_on_a_local_datastore_is_told_with_its_host_and_goes_when_asked_for(tmp_path: Path) -> None:
    lab = local_lab(tmp_path, having=("brix3", "brix4"))
    with hosts_with_ssds(lab, tmp_path) as at:
        assert not at.bring(*VM_STEPS).counts.failed
        folder = at.host("brix3").datastores.folder_of(SSD) / "homelab/homelab/images"
        for end in (".vmdk", "-flat.vmdk"):
            (folder / f"{'a' * 64}{end}").write_bytes(b"old")
        world = open_world(lab, [at.home], Vault(None), HomeFiles(at.home), lambda _: None)
        told = [(image.sha256, image.host, image.current) for image in stored_images(world, lab, "brix3").images]
        assert sorted(told) == sorted([("a" * 64, "brix3", False), (lab.image.sha256, "brix3", True)])
        at.served_hosts["brix4"].stop()
        ended = bring(lab, at.home, (OldImages(),))
        assert [event["target"] for event in ended.said("blocked", "old-images")] == ["brix4"]
        assert images(at, "brix3") == pair(at)
