"""A VM that is to be made anew is destroyed only when the new one can be made."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from homelab.engine.step import Change
from homelab.steps.vms.vm import VmStep
from homelab.steps.vms.vm_changes import DestroyVm, ShutDownVm
from tests.helpers.one_host import bring, plan
from tests.helpers.vm_lab import HostsOnNas, make_free, tree, vm_lab, vms_on_nas


@pytest.fixture
def at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HostsOnNas]:
    with vms_on_nas(vm_lab(tmp_path), tmp_path, monkeypatch) as made:
        yield made


def image_is_gone(at: HostsOnNas) -> None:
    (at.nas / f"homelab/homelab/images/{at.lab.image.sha256}.vmdk").unlink()


def image_was_cut(at: HostsOnNas) -> None:
    with (at.nas / f"homelab/homelab/images/{at.lab.image.sha256}-flat.vmdk").open("r+b") as file:
        file.truncate(1 << 20)


def image_is_larger(at: HostsOnNas) -> None:
    image = at.nas / f"homelab/homelab/images/{at.lab.image.sha256}.vmdk"
    image.write_text(re.sub(r"(?m)^RW \d+ ", f"RW {3 << 21} ", image.read_text()))
    with image.with_name(f"{image.stem}-flat.vmdk").open("r+b") as file:
        file.truncate(3 << 30)


def network_is_gone(at: HostsOnNas) -> None:
    del at.host().network.port_groups["VM Network"]


def host_rests(at: HostsOnNas) -> None:
    at.host().in_maintenance = True


def folder_has_a_stranger(at: HostsOnNas) -> None:
    at.put("cp1/thesis.odt")


def licence_allows_less(at: HostsOnNas) -> None:
    make_free(at.host())
    [vm] = at.lab.control_plane
    at.lab = at.lab.model_copy(update={"control_plane": (vm.model_copy(update={"cpus": 12}),)})


def vm_became_too_large(at: HostsOnNas) -> None:
    [vm] = at.lab.control_plane
    at.lab = at.lab.model_copy(update={"control_plane": (vm.model_copy(update={"memory_mib": 1 << 20}),)})


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (licence_allows_less, "cp1 wants 12 CPUs"),
        (vm_became_too_large, "cp1 wants 1024 GiB of memory"),
        (image_is_gone, "the image is not whole at [nas] homelab/homelab/images/"),
        (image_was_cut, "the image is not whole at [nas] homelab/homelab/images/"),
        (image_is_larger, "a disk of 1 GiB cannot be made of an image of 3 GiB"),
        (network_is_gone, "brix3 has no port group VM Network"),
        (host_rests, "brix3 is in maintenance mode"),
        (folder_has_a_stranger, "[nas] cp1 holds what is not ours: thesis.odt"),
    ],
)
def test_a_vm_that_could_not_be_made_again_is_not_destroyed(at: HostsOnNas, harm: object, said: str) -> None:
    assert callable(harm)
    harm(at)
    before = tree(at.nas)
    ended = bring(at.lab.wanting("absent", ["cp1"]), at.home, (VmStep(anew=True),))
    [failed] = ended.said("failed", "vm")
    assert failed["what"].startswith("cp1 is not destroyed, for it could not be made again:")
    assert said in failed["what"]
    assert tree(at.nas) == before
    assert next(iter(at.host().registered_vms.values())).powered_on


def test_one_that_can_be_made_again_goes(at: HostsOnNas) -> None:
    planned = plan(at.lab.wanting("absent", ["cp1"]), at.home, (VmStep(anew=True),))
    assert [type(change) for _, change in planned.of(Change)] == [ShutDownVm, DestroyVm]
    assert not bring(at.lab.wanting("absent", ["cp1"]), at.home, (VmStep(anew=True),)).counts.failed
    assert not bring(at.lab, at.home, (VmStep(),)).counts.failed
