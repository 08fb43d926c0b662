"""What a host tells of a VM: the instance UUID that a client chose, and nothing while its files cannot be read."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyVmomi import vim, vmodl

from tests.helpers.soap_host import SoapHost

CHOSEN = "0B5F2F43-61A4-5C3E-9F0E-0C1A2B3C4D5E"


@pytest.fixture
def soap(tmp_path: Path) -> Iterator[SoapHost]:
    made = SoapHost(tmp_path)
    yield made
    made.close()


def test_a_client_may_choose_the_instance_uuid(soap: SoapHost) -> None:
    vm = soap.make_vm("a", instanceUuid=CHOSEN)
    assert vm.config.instanceUuid == CHOSEN.lower()
    assert soap.content.searchIndex.FindByUuid(None, CHOSEN, True, True) == vm
    assert 'vc.uuid = "0b 5f 2f 43 61 a4 5c 3e-9f 0e 0c 1a 2b 3c 4d 5e"' in soap.file("a/a.vmx").read_text()
    other = str(uuid.uuid4())
    soap.result(vm.ReconfigVM_Task(vim.vm.ConfigSpec(instanceUuid=other)))
    assert vm.config.instanceUuid == other
    with pytest.raises(vmodl.fault.InvalidArgument):
        soap.make_vm("b", instanceUuid="not one")


def test_two_vms_may_have_one_instance_uuid(soap: SoapHost) -> None:
    """A host does not mind; only a vCenter gives one of them another."""
    assert {soap.make_vm(name, instanceUuid=CHOSEN).config.instanceUuid for name in "ab"} == {CHOSEN.lower()}


def test_a_vm_whose_files_cannot_be_reached_has_no_configuration(soap: SoapHost) -> None:
    """As VirtualMachineConnectionState has it: "no configuration can be returned"; its path is still known."""
    vm = soap.make_vm("a")
    soap.host.datastores.volumes.nas.away = True
    assert vm.runtime.connectionState == "inaccessible"
    assert vm.config is None
    assert vm.summary.config.vmPathName == "[NAS] a/a.vmx"
    soap.host.datastores.volumes.nas.away = False
    assert (vm.runtime.connectionState, vm.config.name) == ("connected", "a")
