"""What a host tells of a VM: the instance UUID that a client chose, and nothing while its files cannot be read."""

import re
import uuid
from pathlib import Path

import pytest
from pyVmomi import vim, vmodl

from homelab.rehearsal.shell.call import Call
from homelab.rehearsal.shell.vimcmd import vim_cmd
from tests.helpers.soap_host import SoapHost

CHOSEN = "0B5F2F43-61A4-5C3E-9F0E-0C1A2B3C4D5E"


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


# As people write one by hand, or packer does: keys in any case, no quotes, comments, devices that are not there.
BY_HAND = """#!/usr/bin/vmware
.encoding = "UTF-8"
config.version = "8"
virtualhw.version = "13"
displayname = "by hand, |22quoted|22"
guestos = "debian10-64"
memsize = 2048
numvcpus = "2"
vc.uuid = "0b 5f 2f 43 61 a4 5c 3e-9f 0e 0c 1a 2b 3c 4d 5e"
pciBridge0.present = "TRUE"
scsi0.present = "TRUE"
scsi0.virtualdev = "pvscsi"
scsi0:0.present = "TRUE"
scsi0:0.filename = "disk.vmdk"
scsi0:1.present = "FALSE"
scsi0:1.filename = "another.vmdk"
ide0:0.present = "TRUE"
ide0:0.devicetype = "cdrom-image"
ide0:0.filename = "/vmfs/volumes/NAS/isos/rescue.iso"
ethernet0.present = "TRUE"
ethernet0.virtualdev = "vmxnet3"
ethernet0.networkname = "VM Network"
ethernet0.addresstype = "static"
ethernet0.address = "00:50:56:01:02:03"
homelab.lab = "homelab"
"""


def lay(soap: SoapHost, text: str) -> Path:
    folder = soap.file("hand")
    folder.mkdir()
    file = folder / "hand.vmx"
    file.write_text(text)
    label = "[NAS] hand/disk.vmdk"
    soap.host.datastores.volumes.create_disk(soap.host.datastores.path_of(label), 3 << 20, label=label)
    return file


def test_a_vmx_that_somebody_wrote_is_read_as_it_stands_there(soap: SoapHost) -> None:
    lay(soap, BY_HAND)
    vm = soap.result(soap.folder.RegisterVM_Task("[NAS] hand/hand.vmx", None, False, soap.pool))
    config, kinds = vm.config, vim.vm.device
    assert (config.name, config.guestId, config.instanceUuid) == (
        'by hand, "quoted"',
        "debian10_64Guest",
        CHOSEN.lower(),
    )
    assert (config.hardware.numCPU, config.hardware.memoryMB) == (2, 2048)
    found = {type(one): one for one in config.hardware.device}
    disk, drive, nic = found[kinds.VirtualDisk], found[kinds.VirtualCdrom], found[kinds.VirtualVmxnet3]
    assert (disk.key, disk.capacityInBytes, disk.backing.fileName) == (2000, 3 << 20, "[NAS] hand/disk.vmdk")
    assert (drive.key, drive.backing.fileName) == (3000, "[NAS] isos/rescue.iso")
    assert (nic.key, nic.macAddress, nic.addressType) == (4000, "00:50:56:01:02:03", "manual")
    told = {option.key: option.value for option in config.extraConfig}
    assert (told["homelab.lab"], told["pciBridge0.present"]) == ("homelab", "TRUE")


def test_a_vm_without_identity_is_asked_nothing_and_gets_one_at_its_first_start(soap: SoapHost) -> None:
    file = lay(soap, BY_HAND)
    vm = soap.result(soap.folder.RegisterVM_Task("[NAS] hand/hand.vmx", None, False, soap.pool))
    assert "uuid.location" not in file.read_text()
    soap.result(vm.PowerOnVM_Task(None))
    assert re.search(r'uuid\.location = "56 4d', file.read_text())
    [drive] = [one for one in vm.config.hardware.device if isinstance(one, vim.vm.device.VirtualCdrom)]
    # Its image is not there.
    assert (drive.connectable.connected, drive.connectable.startConnected) == (False, True)


@pytest.mark.parametrize(
    "text", ["", "\x00\x01\x02", BY_HAND[: BY_HAND.index("pvscsi") + 3], BY_HAND.replace('"2"', '"many"')]
)
def test_what_is_no_vmx_is_refused(soap: SoapHost, text: str) -> None:
    lay(soap, text)
    with pytest.raises(vim.fault.InvalidVmConfig):
        soap.result(soap.folder.RegisterVM_Task("[NAS] hand/hand.vmx", None, False, soap.pool))
    assert not soap.host.registered_vms


def test_more_cpus_than_the_licence_allows_do_not_come_on(soap: SoapHost) -> None:
    """The sentence is VMware's; see docs/reference/assumed.md."""
    lay(soap, BY_HAND.replace('numvcpus = "2"', 'numvcpus = "12"'))
    vm = soap.result(soap.folder.RegisterVM_Task("[NAS] hand/hand.vmx", None, False, soap.pool))
    with pytest.raises(vim.fault.GenericVmConfigFault, match="has 12 virtual CPUs, but the host only supports 8"):
        soap.result(vm.PowerOnVM_Task(None))


def test_a_vmx_is_read_again_when_it_is_asked_for(soap: SoapHost) -> None:
    file = lay(soap, BY_HAND)
    vm = soap.host.vms.register("[NAS] hand/hand.vmx")
    file.write_text(BY_HAND.replace("memsize = 2048", 'memsize = "4096"'))
    assert vm.memory_mib == 2048
    assert vim_cmd(Call(soap.host, ("vim-cmd", "vmsvc/reload", vm.moid))).status == 0
    assert soap.host.registered_vms[vm.moid].memory_mib == 4096
