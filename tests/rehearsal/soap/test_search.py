"""SearchIndex: finding VMs and the host by what is known of them."""

from pyVmomi import vim

from tests.helpers.soap_host import SoapHost


def test_vms_are_found_by_both_uuids(soap: SoapHost) -> None:
    search = soap.content.searchIndex
    same = "564d5e58-66f5-2d04-0331-0abd6fa71988"
    first, second = soap.make_vm("a", uuid=same), soap.make_vm("b", uuid=same)
    assert search.FindByUuid(None, same.upper(), True, False) == first
    assert search.FindAllByUuid(soap.datacenter, same, True) == [first, second]
    assert search.FindByUuid(None, second.config.instanceUuid, True, True) == second
    assert search.FindByUuid(None, same, True, True) is None
    assert search.FindByUuid(None, second.config.instanceUuid, True, False) is None


def test_the_host_is_found_by_its_uuid_its_name_and_its_address(soap: SoapHost) -> None:
    search, host = soap.content.searchIndex, vim.HostSystem("ha-host", soap.stub)
    soap.make_vm("a")
    uuid = host.hardware.systemInfo.uuid
    assert search.FindByUuid(None, uuid, False) == host
    assert search.FindByDnsName(None, "BRIX1", False) == host
    assert search.FindAllByDnsName(None, "brix1", False) == [host]
    assert search.FindByIp(None, soap.address, False) == host
    assert search.FindAllByIp(None, soap.address, False) == [host]
    assert search.FindByIp(None, "192.0.2.1", False) is None
    assert search.FindByUuid(None, uuid, True) is None


def test_vms_have_no_address_that_is_known(soap: SoapHost) -> None:
    search = soap.content.searchIndex
    soap.result(soap.make_vm("a").PowerOnVM_Task())
    assert search.FindByIp(None, soap.address, True) is None
    assert not search.FindAllByIp(None, soap.address, True)
    assert search.FindByDnsName(None, "a", True) is None
    assert not search.FindAllByDnsName(None, "brix1", True)


def test_a_vm_is_found_by_its_file_and_by_its_place(soap: SoapHost) -> None:
    search, vm = soap.content.searchIndex, soap.make_vm("a")
    assert search.FindByDatastorePath(soap.datacenter, "[NAS] a/a.vmx") == vm
    assert search.FindByDatastorePath(soap.datacenter, "[NAS] b/b.vmx") is None
    assert search.FindByInventoryPath("/ha-datacenter/vm/a") == vm
    assert search.FindByInventoryPath("ha-datacenter/vm/b") is None
    assert search.FindByInventoryPath("nowhere/vm/a") is None
    assert search.FindChild(soap.folder, "a") == vm
    assert search.FindChild(soap.folder, "b") is None
    assert search.FindChild(soap.datacenter, "vm") == soap.folder
    assert search.FindChild(vm, "a") is None
