"""What the writers do to one VM, where something is not as usual; mostly where the API only reads, over SSH."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from homelab.errors import DeadlinePassed, HostFault, Interrupted
from homelab.ports.ansible.inventory import Vault
from homelab.ports.files.home import HomeFiles
from homelab.ports.open_world import open_world
from homelab.ports.vm_writer import VmWriter
from homelab.ports.vsphere import vms
from homelab.ports.vsphere.vms import VmEdit
from homelab.ports.world import World
from homelab.rehearsal.state.vm import Vm
from tests.helpers.soap_host import until
from tests.helpers.vm_lab import VM_STEPS, HostsOnNas, hosts_on_nas, vm_lab

VMX = "[nas] cp1/cp1.vmx"


@contextmanager
def a_vm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, free: bool) -> Iterator[HostsOnNas]:
    """A host with a VM of ours that is off."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with hosts_on_nas(vm_lab(tmp_path, vms=("cp1",), host="brix3"), tmp_path, free=free) as made:
        assert not made.bring(*VM_STEPS).counts.failed
        made.host().vm_power.off(the_vm(made))
        yield made


@pytest.fixture
def at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HostsOnNas]:
    """Where the licence is the free one."""
    with a_vm(tmp_path, monkeypatch, free=True) as made:
        yield made


@pytest.fixture(params=["over SSH", "over the API"])
def either(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HostsOnNas]:
    """With either licence."""
    with a_vm(tmp_path, monkeypatch, free=request.param == "over SSH") as made:
        yield made


def the_vm(at: HostsOnNas) -> Vm:
    [vm] = at.host().registered_vms.values()
    return vm


def world_of(at: HostsOnNas) -> World:
    return open_world(at.lab, [at.home], Vault(None), HomeFiles(at.home), lambda _: None)


def writer_of(at: HostsOnNas) -> AbstractContextManager[VmWriter]:
    return world_of(at).vm_writer("brix3")


def silent(_: str) -> None:
    """Nobody listens."""


def give_cpus(at: HostsOnNas, cpus: int) -> None:
    with writer_of(at) as writer:
        writer.reconfigure(VMX, "cp1", VmEdit(cpus=cpus), seconds=5, progress=silent)


def test_a_vmx_that_is_not_found_is_not_written_anew(at: HostsOnNas) -> None:
    """Else the VM would have a .vmx with the changed lines and nothing else."""
    file = at.nas / "cp1/cp1.vmx"
    text = file.read_bytes()
    file.unlink()
    with pytest.raises(HostFault, match="cannot be read, and so nothing is written") as caught:
        give_cpus(at, 3)
    assert "datastore answers" in caught.value.advice
    assert not file.exists()
    file.write_bytes(text)
    give_cpus(at, 3)
    assert the_vm(at).cpus == 3


@pytest.mark.parametrize(
    "line",
    [
        # A text that was pasted into the notes; U+2028 and U+0085 are letters there.
        'annotation = "first\u2028second"\n'.encode(),
        'guestinfo.note = "a\x85numvcpus = "\n'.encode(),
        # A .vmx that VMware Workstation wrote on Windows.
        'guestinfo.owner = "J\xfcrgen"\n'.encode("cp1252"),
        b'guestinfo.end = "x"\r\n',
    ],
)
def test_what_is_not_changed_in_a_vmx_stays_byte_by_byte(at: HostsOnNas, line: bytes) -> None:
    file = at.nas / "cp1/cp1.vmx"
    before = file.read_bytes() + line
    file.write_bytes(before)
    give_cpus(at, 3)
    assert file.read_bytes() == before.replace(b'numvcpus = "2"', b'numvcpus = "3"') != before
    assert the_vm(at).cpus == 3


def test_a_vmx_with_a_large_guestinfo_is_changed_too(at: HostsOnNas) -> None:
    """cloud-init's DataSourceVMware takes its data from there, in base64."""
    file = at.nas / "cp1/cp1.vmx"
    with file.open("a") as text:
        text.write(f'guestinfo.userdata = "{"QUJD" * 50_000}"\n')
    give_cpus(at, 3)
    assert the_vm(at).cpus == 3
    with file.open("a") as text:
        text.truncate(17 << 20)
    with pytest.raises(HostFault, match="more than any file of ours") as caught:
        give_cpus(at, 4)
    assert "delete" not in caught.value.advice


def switch_on(at: HostsOnNas, seconds: float = 5.0) -> list[str]:
    told: list[str] = []
    with writer_of(at) as writer:
        writer.power_on(VMX, "cp1", seconds=seconds, progress=told.append)
    return told


@pytest.mark.parametrize("image", ["[nas] iso/mine.iso", "[other] iso/mine.iso"])
def test_an_image_of_the_owner_s_stays_in_its_drive(at: HostsOnNas, image: str) -> None:
    """Whether or not the host shows it: its datastore may be away for a while."""
    [drive] = the_vm(at).cdroms
    drive.iso = image
    at.host().vms.rewrite_vmx(the_vm(at))
    switch_on(at)
    assert [drive.iso for drive in the_vm(at).cdroms] == [image]
    assert the_vm(at).powered_on


def test_a_seed_that_is_gone_is_taken_out_of_its_drive(at: HostsOnNas) -> None:
    (at.nas / "cp1/seed.iso").unlink()
    switch_on(at)
    assert [drive.iso for drive in the_vm(at).cdroms] == [None]


def test_a_vm_that_came_on_by_itself_is_done(either: HostsOnNas) -> None:
    """The host started it since it was looked at, or somebody did."""
    either.host().vm_power.on(the_vm(either))
    (either.nas / "cp1/seed.iso").unlink()
    switch_on(either)
    assert the_vm(either).powered_on


def as_moved(at: HostsOnNas) -> None:
    """It will ask when it is switched on."""
    vm = the_vm(at)
    vm.location = "56 4d 00 00 00 00 00 00-00 00 00 00 00 00 00 00"
    at.host().vms.rewrite_vmx(vm)


def answered(at: HostsOnNas) -> None:
    if question := the_vm(at).question:
        at.host().vm_questions.answer(the_vm(at), question.id, "0")
    until(lambda: not the_vm(at).question)


def test_another_question_is_told_in_its_own_words(either: HostsOnNas, monkeypatch: pytest.MonkeyPatch) -> None:
    as_moved(either)
    monkeypatch.setattr(vms, "MOVED_OR_COPIED", "msg.another")
    with pytest.raises(HostFault, match=r"the VM cp1 asks before it comes on: .*moved or copied") as caught:
        switch_on(either, seconds=1.5)
    assert "vim-cmd vmsvc/message" in caught.value.advice
    # It asks since then: nobody waits for that once more.
    with pytest.raises(HostFault, match=r"the VM cp1 asks before it comes on: .*moved or copied"):
        switch_on(either, seconds=600)
    answered(either)


def test_waiting_for_an_answered_vm_ends_with_an_interruption(either: HostsOnNas) -> None:
    told: list[str] = []
    with either.session() as session:
        vm = vms.registered(session, VMX, "cp1")
        with pytest.raises(DeadlinePassed, match="is not on after"):
            vms.await_on(session, vm, "cp1", 0.1, told.append)
        session.stop.set()
        with pytest.raises(Interrupted, match="goes on with switching cp1 on"):
            vms.await_on(session, vm, "cp1", 600, told.append)
    assert "poweredOff" in told[-1]
