"""The image on a datastore: sent once, whole, and never over one that VMs are copied from meanwhile."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from homelab.formats.disk.vmdk import descriptor, extents
from homelab.ports.media.images import PreparedImage, prepare_image
from tests.helpers.vm_lab import HostsOnNas, hosts_on_nas, tree, vm_lab

# The three forms of an extent in VMware's "Virtual Disk Format 5.0" (RW, its size in sectors, its kind, its file).
SPLIT = 'RW 4192256 SPARSE "disk-s001.vmdk"\nRW 8192 FLAT "disk-f001.vmdk" 0\nRW  2097152\tVMFS "big-flat.vmdk"\n'


@pytest.fixture
def at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HostsOnNas]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with hosts_on_nas(vm_lab(tmp_path), tmp_path) as made:
        yield made


def flat(at: HostsOnNas) -> Path:
    return at.nas / f"homelab/homelab/images/{at.lab.image.sha256}-flat.vmdk"


def test_a_descriptor_tells_the_sizes_of_its_data() -> None:
    assert extents(descriptor("a", 1 << 20)) == {"a-flat.vmdk": 1 << 20}
    assert extents(SPLIT) == {
        "disk-s001.vmdk": 4192256 * 512,
        "disk-f001.vmdk": 8192 * 512,
        "big-flat.vmdk": 1 << 30,
    }
    assert extents("no descriptor\n") == {}


def test_an_image_is_sent_once(at: HostsOnNas) -> None:
    assert at.bring("image").counts.changed == 1
    before = flat(at).stat()
    assert at.bring("image").counts.changed == 0
    assert flat(at).stat() == before


def test_an_image_whose_data_was_cut_is_sent_anew(at: HostsOnNas) -> None:
    at.lay_image()
    whole = tree(at.nas)
    with flat(at).open("r+b") as file:
        file.truncate(1 << 20)
    ended = at.bring("image")
    assert ended.counts.changed == 1
    assert ended.plan.empty
    assert tree(at.nas) == whole


def test_an_image_that_another_machine_sent_meanwhile_is_not_written_over(
    at: HostsOnNas, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A VM may be copied from it already."""

    def meanwhile(*arguments: Any) -> PreparedImage:
        prepared = prepare_image(*arguments)
        at.lay_image()
        return prepared

    monkeypatch.setattr("homelab.ports.media.images.prepare_image", meanwhile)
    sent = []
    monkeypatch.setattr("homelab.steps.vms.image._upload", lambda *told: sent.append(told))
    ended = at.bring("image")
    assert not ended.counts.failed, ended.events
    assert not sent
