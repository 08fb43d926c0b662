"""What `ShellVmWriter` does to one VM of a host whose API only reads, where something is not as usual."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from homelab.errors import HostFault
from homelab.ports.ansible.inventory import Vault
from homelab.ports.files.home import HomeFiles
from homelab.ports.open_world import open_world
from homelab.ports.vm_writer import VmWriter
from homelab.ports.vsphere.vms import VmEdit
from homelab.ports.world import World
from homelab.rehearsal.state.vm import Vm
from tests.helpers.vm_lab import VM_STEPS, HostsOnNas, hosts_on_nas, vm_lab

VMX = "[nas] cp1/cp1.vmx"


@pytest.fixture
def at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HostsOnNas]:
    """A host with the free licence and a VM that is off."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with hosts_on_nas(vm_lab(tmp_path, vms=("cp1",), host="brix3"), tmp_path, free=True) as made:
        assert not made.bring(*VM_STEPS).counts.failed
        made.host().vm_power.off(the_vm(made))
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
