"""Plans of nfs-datastore: the very same strings on every host, and nothing moved that is in use."""

from dataclasses import replace
from typing import Any

import pytest

from homelab.engine.step import Node
from homelab.errors import Refused
from homelab.formats.nfs.export import Finding
from homelab.ports.host_writer import NfsMount
from homelab.ports.net.nfs import ExportLook
from homelab.ports.vsphere import NasLook
from homelab.steps.hosts.nfs_changes import MountNfs, Remount
from homelab.steps.hosts.nfs_datastore import NfsDatastore, NfsDatastoreState
from tests.helpers.sample import DIRECTORY, NAS, OPTIONS, host_look, sample_lab, vm_look

LAB = sample_lab()
WANTED = NfsMount("nas", "192.168.2.5", "/volume1/homelab", "nas")
MOUNT = MountNfs("brix1", WANTED)


def plan(*mounts: NasLook, others: dict[str, tuple[NasLook, ...]] | None = None, **more: Any) -> list[object]:
    export = more.pop("export", None)
    look = host_look(nas=mounts, **{"options": OPTIONS, **more})
    return list(NfsDatastore().plan(LAB, "brix1", NfsDatastoreState(look, others or {}, export)))


def export(problem: Finding | None, *, answers: bool = True) -> ExportLook:
    return ExportLook(answers, ("3",), None, (), problem, None)


def test_a_missing_mount_is_planned_with_the_inventory_s_strings_and_the_volume_they_make() -> None:
    assert plan() == [MOUNT]
    assert MOUNT.words.after == f"192.168.2.5:/volume1/homelab (volume {DIRECTORY})"


def test_a_right_mount_needs_nothing() -> None:
    assert plan(NAS) == []


@pytest.mark.parametrize(
    "found",
    [
        replace(NAS, share="/volume1/homelab/"),
        replace(NAS, share="/Volume1/homelab"),
        replace(NAS, server="nas.lan"),
        replace(NAS, version="4.1"),
        replace(NAS, name="other"),
        replace(NAS, name="other", share="/volume1/homelab/"),
    ],
    ids=lambda found: f"{found.name}-{found.server}-{found.share}-{found.version}",
)
def test_a_mount_under_another_spelling_is_moved_when_nothing_uses_it(found: NasLook) -> None:
    [change] = plan(found)
    as_found = NfsMount(found.server, found.server, found.share, found.name, found.version)
    assert change == Remount("brix1", as_found, WANTED)
    assert change.disruptive
    assert f"{found.server}:{found.share}" in change.words.before
    assert f"--volume-name={found.name}" in change.words.undo


def test_a_wrong_mount_in_use_is_refused_with_what_uses_it() -> None:
    wrong = replace(NAS, share="/volume1/homelab/")
    with pytest.raises(Refused, match="in use by db"):
        plan(wrong, vms=(replace(vm_look("db"), path="[nas] db/db.vmx", powered_on=False),))
    with pytest.raises(Refused, match="in use by ScratchConfig"):
        used = OPTIONS | {"ScratchConfig.CurrentScratchLocation": f"/vmfs/volumes/{DIRECTORY}/x"}
        plan(wrong, options=used)


def test_a_wrong_mount_is_not_moved_while_the_host_cannot_read_a_vm_s_files() -> None:
    """A NAS with a new address: its VMs are still registered, and the host knows nothing of them but their names."""
    wrong = replace(NAS, server="192.168.2.6", accessible=False)
    lost = replace(vm_look("db"), path="", marks={}, readable=False)
    with pytest.raises(Refused, match=r"cannot read the files of db"):
        plan(wrong, vms=(lost,))


def test_two_spellings_at_once_are_for_a_person() -> None:
    with pytest.raises(Refused, match="more than once: a, b"):
        plan(replace(NAS, name="a"), replace(NAS, name="b", share="/volume1/homelab/"))


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (replace(NAS, accessible=False), "does not answer"),
        (replace(NAS, writable=False), "read-only"),
        (replace(NAS, directory="00000000-00000000"), "is the volume 00000000-00000000"),
    ],
)
def test_a_sick_mount_is_named(found: NasLook, said: str) -> None:
    with pytest.raises(Refused, match=said):
        plan(found)


def test_both_versions_of_nfs_on_one_export_are_refused() -> None:
    with pytest.raises(Refused, match=r"brix2 has .* by NFS 4\.1, .* both at once corrupt data"):
        plan(others={"brix2": (replace(NAS, version="4.1"),)})
    assert plan(others={"brix2": (NAS,)}) == [MOUNT]


def test_no_more_volumes_than_the_host_allows() -> None:
    mounts = [replace(NAS, name=f"n{n}", share=f"/other/{n}") for n in range(8)]
    with pytest.raises(Refused, match=r"NFS\.MaxVolumes allows no more"):
        plan(*mounts)
    assert plan(*mounts, options=OPTIONS | {"NFS.MaxVolumes": 16}) == [MOUNT]


def test_what_is_wrong_at_the_nas_is_told_before_a_host_is_asked() -> None:
    finding = Finding("/volume1/homelab is not exported; the NAS exports /volume1/lab", "Did you mean /volume1/lab?")
    with pytest.raises(Refused, match="is not exported") as refused:
        plan(export=export(finding))
    assert refused.value.where == "NAS nas (192.168.2.5)"
    assert plan(export=export(None)) == [MOUNT]


def test_a_nas_that_is_silent_to_the_laptop_is_left_to_the_hosts() -> None:
    assert plan(export=export(Finding("the NAS does not answer", ""), answers=False)) == [MOUNT]


def test_a_managed_nas_is_laid_down_before_any_host_mounts_it() -> None:
    nas = {"name": "nas", "server": "192.168.2.5", "export": "/srv/lab", "datastore": "nas", "managed": True}
    lab = sample_lab(nfs=[nas])
    step = NfsDatastore()
    assert step.targets(lab)[0] == "nas"
    assert Node("nfs-datastore", "nas") in step.after(lab, "brix1")
    assert Node("nfs-datastore", "nas") not in step.after(lab, "nas")
