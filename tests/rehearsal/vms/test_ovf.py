"""OvfManager: a descriptor becomes a specification that ImportVApp takes."""

from typing import Any

import pytest
from pyVmomi import vim, vmodl

from tests.helpers.soap_host import MIB, SoapHost, until
from tests.helpers.vmdk_writer import stream_vmdk

OVF = """<?xml version="1.0"?>
<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1"
 xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData"
 xmlns:vssd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_VirtualSystemSettingData"
 xmlns:vmw="http://www.vmware.com/schema/ovf">
<References><File ovf:id="f1" ovf:href="image.vmdk" ovf:size="4711"/></References>
<DiskSection><Disk ovf:diskId="d1" ovf:fileRef="f1" ovf:capacity="4" ovf:capacityAllocationUnits="byte * 2^20"/>
</DiskSection>
<VirtualSystem ovf:id="image"><Name>image</Name><OperatingSystemSection vmw:osType="debian10_64Guest"/>
<VirtualHardwareSection>
<System><vssd:VirtualSystemType>vmx-10 vmx-13</vssd:VirtualSystemType></System>
<Item><rasd:ResourceType>3</rasd:ResourceType><rasd:VirtualQuantity>2</rasd:VirtualQuantity></Item>
<Item><rasd:AllocationUnits>byte * 2^30</rasd:AllocationUnits><rasd:ResourceType>4</rasd:ResourceType>
<rasd:VirtualQuantity>1</rasd:VirtualQuantity></Item>
<Item><rasd:InstanceID>5</rasd:InstanceID><rasd:ResourceSubType>VirtualSCSI</rasd:ResourceSubType>
<rasd:ResourceType>6</rasd:ResourceType></Item>
<Item><rasd:AddressOnParent>0</rasd:AddressOnParent><rasd:HostResource>ovf:/disk/d1</rasd:HostResource>
<rasd:Parent>5</rasd:Parent><rasd:ResourceType>17</rasd:ResourceType></Item>
<Item><rasd:Connection>lan</rasd:Connection><rasd:ResourceSubType>E1000</rasd:ResourceSubType>
<rasd:ResourceType>10</rasd:ResourceType></Item>
<Item><rasd:ResourceType>15</rasd:ResourceType></Item>
</VirtualHardwareSection></VirtualSystem></Envelope>
"""


def create_spec(soap: SoapHost, text: str) -> Any:
    store = soap.datacenter.datastore[0]
    network = vim.OvfManager.NetworkMapping(name="lan", network=vim.Network("HaNetwork-VM Network", soap.stub))
    params = vim.OvfManager.CreateImportSpecParams(
        entityName="golden", locale="", deploymentOption="", diskProvisioning="thin", networkMapping=[network]
    )
    return soap.content.ovfManager.CreateImportSpec(text, soap.pool, store, params)


def test_a_descriptor_is_imported(soap: SoapHost) -> None:
    made = create_spec(soap, OVF)
    [item], [warning] = made.fileItem, made.warning
    assert (item.path, item.size, item.deviceId) == ("image.vmdk", 4711, "/golden/ParaVirtualSCSIController0:0")
    assert "type 15" in warning.msg
    lease = soap.pool.ImportVApp(made.importSpec, soap.folder, None)
    until(lambda: lease.state == "ready")
    [device] = lease.info.deviceUrl
    assert device.importKey == item.deviceId
    assert soap.send(device.url, stream_vmdk(b"x".ljust(4 * MIB, b"\0"))) == 200
    lease.HttpNfcLeaseComplete()
    vm = soap.host.vms.named("golden")
    assert vm is not None
    assert (vm.cpus, vm.memory_mib, vm.guest_id, vm.hardware_version) == (2, 1024, "debian10_64Guest", "vmx-13")
    assert (vm.nics[0].network, vm.nics[0].kind, vm.disks[0].capacity) == ("VM Network", "E1000", 4 * MIB)


def test_what_is_no_descriptor_is_told(soap: SoapHost) -> None:
    [error] = create_spec(soap, "<Envelope>").error
    assert isinstance(error, vim.fault.OvfXmlFormat)
    with pytest.raises(Exception, match="several VMs"):
        create_spec(soap, "<Envelope/>")


# What ovftool writes of a VM with EFI (vmware/govmomi, ovf/fixtures).
SAID = """<vmw:Config ovf:required="false" vmw:key="firmware" vmw:value="efi"/>
<vmw:Config ovf:required="false" vmw:key="bootOptions.efiSecureBootEnabled" vmw:value="true"/>
<vmw:Config ovf:required="false" vmw:key="cpuHotAddEnabled" vmw:value="true"/>
<vmw:Config ovf:required="false" vmw:key="powerOpInfo.standbyAction" vmw:value="checkpoint"/>
<vmw:Config ovf:required="false" vmw:key="tools.syncTimeWithHost" vmw:value="true"/>
<vmw:Config ovf:required="false" vmw:key="virtualICH7MPresent" vmw:value="false"/>
<vmw:Config ovf:required="false" vmw:key="flags.vbsEnabled" vmw:value="true"/>
<vmw:ExtraConfig ovf:required="false" vmw:key="guestinfo.x" vmw:value="y"/>"""


def test_what_a_descriptor_says_of_the_vm_is_taken_or_warned_of(soap: SoapHost) -> None:
    text = OVF.replace("</VirtualHardwareSection>", f"{SAID}</VirtualHardwareSection>")
    text = text.replace(
        "<rasd:ResourceType>10</rasd:ResourceType>",
        "<rasd:ResourceType>10</rasd:ResourceType><rasd:AutomaticAllocation>false</rasd:AutomaticAllocation>"
        '<vmw:Config vmw:key="wakeOnLanEnabled" vmw:value="false"/>'
        '<vmw:Config vmw:key="uptv2Enabled" vmw:value="true"/>',
    )
    made = create_spec(soap, text)
    said = sorted(warning.msg for warning in made.warning)
    assert [line.split(" is not part")[0] for line in said] == [
        "Hardware of type 15",
        "vmw:Config flags.vbsEnabled = true",
        "vmw:Config uptv2Enabled = true of a device",
    ]
    lease = soap.pool.ImportVApp(made.importSpec, soap.folder, None)
    until(lambda: lease.state == "ready")
    vm = soap.host.vms.named("golden")
    assert vm is not None
    assert (vm.firmware, vm.extra_config["guestinfo.x"]) == ("efi", "y")
    assert vm.settings == {
        "bootOptions.efiSecureBootEnabled": True,
        "cpuHotAddEnabled": True,
        "tools.syncTimeWithHost": True,
    }
    assert (vm.nics[0].wake_on_lan, vm.nics[0].start_connected) == (False, False)


def test_a_descriptor_of_newer_hardware_is_refused(soap: SoapHost) -> None:
    """In the words of bitnami/vms#1555."""
    [error] = create_spec(soap, OVF.replace("vmx-10 vmx-13", "vmx-19")).error
    assert isinstance(error, vim.fault.OvfNoSupportedHardwareFamily)
    assert error.msg == "No supported hardware versions among ['vmx-19']"


def test_what_cpus_and_memory_are_promised_is_kept(soap: SoapHost) -> None:
    promised = (
        "<rasd:Reservation>1</rasd:Reservation><rasd:Weight>77</rasd:Weight><rasd:ResourceType>4</rasd:ResourceType>"
    )
    made = create_spec(soap, OVF.replace("<rasd:ResourceType>4</rasd:ResourceType>", promised))
    allocation = made.importSpec.configSpec.memoryAllocation
    assert (allocation.reservation, allocation.shares.shares, allocation.limit) == (1024, 77, None)


def test_an_import_is_for_a_vm_and_nothing_beside(soap: SoapHost) -> None:
    spec = create_spec(soap, OVF).importSpec
    spec.resPoolEntity = soap.pool
    with pytest.raises(vmodl.fault.NotSupported, match="resPoolEntity is not part of the rehearsal"):
        soap.pool.ImportVApp(spec, soap.folder, None)
