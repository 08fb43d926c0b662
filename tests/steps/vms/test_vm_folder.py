"""Whose a folder is: what may be begun in it, what is removed of it, and what is named and left."""

import json

import pytest

from homelab.errors import Refused
from homelab.ports.vsphere.vm_look import identity
from homelab.steps.vms.vm_files import is_vmx_of
from homelab.steps.vms.vm_folder import NOTE, OLD_NOTE, FolderLook, Making, is_ours, leftovers

OURS = Making("homelab", "cp1", "0b5f2f43-61a4-5c3e-9f0e-0c1a2b3c4d5e", "nas")
HALF = (NOTE, "cp1-flat.vmdk", "cp1.vmdk", "seed.iso")


def note(**more: object) -> bytes:
    return json.dumps(json.loads(OURS.note) | more).encode()


def refused(look: FolderLook) -> str:
    with pytest.raises(Refused) as caught:
        leftovers(OURS, look)
    assert "the VM cp1 of the lab homelab cannot be made in the folder [nas] cp1" in caught.value.what
    return caught.value.what


def test_a_folder_is_begun_when_it_is_not_there_or_empty() -> None:
    assert leftovers(OURS, None) == ()
    assert leftovers(OURS, FolderLook()) == ()


def test_the_note_names_lab_vm_instance_and_files() -> None:
    told = json.loads(OURS.note)
    assert (told["lab"], told["vm"], told["id"]) == ("homelab", "cp1", OURS.instance_uuid)
    assert told["files"] == ["cp1.vmdk", "cp1-flat.vmdk", "seed.iso"]


def test_what_we_wrote_is_left_over_and_nothing_else() -> None:
    assert leftovers(OURS, FolderLook(HALF, note=OURS.note)) == ("cp1.vmdk", "cp1-flat.vmdk", "seed.iso")
    assert leftovers(OURS, FolderLook((NOTE,), note=OURS.note)) == ()


@pytest.mark.parametrize("length", [0, 1, 40])
def test_a_note_that_was_cut_off_is_written_again_when_it_is_alone(length: int) -> None:
    assert leftovers(OURS, FolderLook((NOTE,), note=OURS.note[:length])) == ()
    assert "which cannot be read" in refused(FolderLook((NOTE, "cp1.vmdk"), note=OURS.note[:length]))


@pytest.mark.parametrize("stranger", ["thesis.odt", "cp1.vmx", "cp1_1.vmdk", "vmware.log", ".hidden", "CP1.vmdk"])
def test_a_stranger_in_a_half_made_vm_is_named_and_all_of_it_left(stranger: str) -> None:
    assert stranger in refused(FolderLook((*HALF, stranger), note=OURS.note))
    assert stranger in refused(FolderLook(HALF, (stranger,), note=OURS.note))


def test_a_folder_by_the_name_of_a_file_of_ours_is_a_stranger() -> None:
    assert "seed.iso" in refused(FolderLook((NOTE,), ("seed.iso",), note=OURS.note))
    assert NOTE in refused(FolderLook((), (NOTE,)))


def test_what_looks_like_ours_without_a_note_is_somebody_s() -> None:
    assert "cp1.vmdk, seed.iso" in refused(FolderLook(("cp1.vmdk", "seed.iso")))


def test_a_file_that_the_note_does_not_list_was_laid_there_since() -> None:
    assert "seed.iso" in refused(FolderLook(HALF, note=note(files=["cp1.vmdk", "cp1-flat.vmdk"])))


def test_a_note_can_give_nothing_away_that_we_never_write() -> None:
    files = ["cp1.vmdk", "thesis.odt"]
    assert "thesis.odt" in refused(FolderLook((NOTE, "cp1.vmdk", "thesis.odt"), note=note(files=files)))


@pytest.mark.parametrize(("more", "names"), [({"lab": "annex"}, "annex"), ({"vm": "db"}, "its VM db")])
def test_another_maker_is_named(more: dict[str, object], names: str) -> None:
    assert names in refused(FolderLook(HALF, note=note(**more)))


@pytest.mark.parametrize(
    "text", [OLD_NOTE, b"\xff\xfe", b"[]", b'"homelab"', b"{}", b'{"made_by": "homelab"}', note(made_by="x"), b"0"]
)
def test_a_note_that_names_nobody_is_somebody_else_s(text: bytes) -> None:
    assert "which cannot be read" in refused(FolderLook(HALF, note=text))


def test_files_of_a_registered_vm_are_never_left_over() -> None:
    assert "it holds files of db on brix2" in refused(FolderLook(HALF, note=OURS.note, users=("db on brix2",)))


def test_a_note_beside_a_finished_vm_is_ours_in_this_version_and_in_earlier_ones() -> None:
    assert is_ours(OURS, OURS.note)
    assert is_ours(OURS, OLD_NOTE)
    assert is_ours(OURS, note(id="of an earlier creation"))
    assert not is_ours(OURS, note(lab="annex"))
    assert not is_ours(OURS, None)


def test_a_long_list_is_cut() -> None:
    assert "and 88 more" in refused(FolderLook(tuple(f"file{n:03}" for n in range(100))))


def test_a_vmx_is_ours_however_its_keys_are_written() -> None:
    """Keys are the same in capitals and without (libvirt, src/vmx/vmx.c), and quotes are optional."""
    made_as = identity(OURS.instance_uuid, "[nas] cp1/cp1.vmx")
    marks = f'HomeLab.Lab = "homelab"\nhomelab.name = cp1\nhomelab.id = "{made_as}"\n'
    text = f'note = "a\x85b"\n{marks}VC.UUID = "0b 5f 2f 43 61 a4 5c 3e-9f 0e 0c 1a 2b 3c 4d 5e"\n'
    assert is_vmx_of(OURS, text.encode())
    assert not is_vmx_of(OURS, text.replace("cp1.vmx", "cp2.vmx").encode())
