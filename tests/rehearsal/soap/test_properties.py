"""What is read of managed objects: unset or a fault, of the type that vSphere declares, and safe on the wire."""

from collections.abc import Iterator
from typing import Any

import pytest
from pyVmomi import VmomiSupport, vim, vmodl

from homelab.rehearsal.soap import properties
from homelab.rehearsal.soap.managed import Managed
from homelab.rehearsal.soap.objects import absent
from homelab.rehearsal.soap.sessions import Caller
from tests.helpers.soap_host import SoapHost, controller, disk

PC = vmodl.query.PropertyCollector
# Object, and a path that its type has and that the rehearsal does not fill.
UNSET = [
    ("VirtualMachine", "parentVApp"),
    ("VirtualMachine", "config.vAppConfig"),
    ("HostSystem", "config.multipathState"),
    ("HostSystem", "licensableResource"),
    ("LicenseManager", "licenseAssignmentManager"),
    ("Datacenter", "customValue"),
]


@pytest.fixture
def host(soap: SoapHost) -> SoapHost:
    soap.make_vm("a", controller(), disk(1 << 20))
    return soap


def everything(host: SoapHost) -> list[Managed]:
    """Every managed object of the host that is simulated."""
    [session] = host.face.sessions.live()
    caller = Caller(session)
    kinds = [kind for kind in host.face._classes.values() if not issubclass(kind, absent.Absent)]
    return [kind(host.face, moid, caller) for kind in kinds for moid in kind.ids(host.face, caller)]


def read(host: SoapHost, target: Any, *paths: str) -> dict[str, Any]:
    wanted = PC.FilterSpec(
        propSet=[PC.PropertySpec(type=type(target), pathSet=list(paths))], objectSet=[PC.ObjectSpec(obj=target)]
    )
    [found] = host.content.propertyCollector.RetrieveContents([wanted])
    return {item.name: item.val for item in found.propSet}


def paths_below(kind: Any, value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Every path that is set below a value, with the type that vSphere declares for it."""
    yield path, kind
    if isinstance(value, VmomiSupport.DataObject):
        for info in value._GetPropertyList():
            inner = getattr(value, info.name)
            if inner is not None:
                yield from paths_below(info.type, inner, f"{path}.{info.name}")


def test_every_property_goes_out_as_its_declared_type(host: SoapHost) -> None:
    walked = 0
    for target in everything(host):
        for name in properties.known(target):
            value, info = properties.read(target, name), type(target._ref)._GetPropertyInfo(name)
            for path, kind in paths_below(info.type, value, name) if value is not None else ():
                found = properties.read(target, path)
                assert is_declared(found, kind), f"{target._ref} {path}: {type(found)} for {kind}"
                walked += 1
    assert walked > 700


def is_declared(value: Any, kind: Any) -> bool:
    """Whether a value is written with the name of its declared type, or of one below it."""
    if isinstance(value, type):
        return kind is type
    return type(value) is kind if issubclass(kind, int | float | str) else isinstance(value, kind)


def test_a_long_and_an_enum_on_the_wire(host: SoapHost) -> None:
    store = vim.Datastore(host.host.datastores.mounts["NAS"].moref, host.stub)
    assert type(read(host, store, "summary.freeSpace")["summary.freeSpace"]) is VmomiSupport.long
    [vm] = host.folder.childEntity
    state = read(host, vm, "runtime.powerState")["runtime.powerState"]
    assert type(state) is vim.VirtualMachine.PowerState


@pytest.mark.parametrize(("kind", "path"), UNSET)
def test_what_is_not_filled_is_unset(host: SoapHost, kind: str, path: str) -> None:
    target = next(item for item in everything(host) if type(item).__name__ == kind)
    assert read(host, type(target._ref)(target._moid, host.stub), path) == {}


def test_what_the_type_does_not_have_is_a_fault(host: SoapHost) -> None:
    [vm] = host.folder.childEntity
    for path in ("nonsense", "parentVApp.nonsense", "config.nonsense", "layoutEx.nonsense"):
        with pytest.raises(vmodl.query.InvalidProperty):
            read(host, vm, path)


def test_ids_and_texts_are_escaped(host: SoapHost) -> None:
    for name in ("R&D", "Lab <x>"):
        host.host.network.add_port_group(name, "vSwitch0")
    networks = [network._moId for network in host.datacenter.network]
    assert networks == ["HaNetwork-VM Network", "HaNetwork-R&D", "HaNetwork-Lab <x>"]
    [vm] = host.folder.childEntity
    host.result(vm.ReconfigVM_Task(vim.vm.ConfigSpec(annotation="a & b < c")))
    assert vm.config.annotation == "a & b < c"
    # No XML can hold it; the answer can be read all the same.
    host.host.registered_vms[vm._moId].annotation = "bell \x07"
    assert vm.config.annotation == "bell \ufffd"


@pytest.mark.parametrize(("manager", "kind"), sorted(absent.CONTENT.items()))
def test_managers_that_are_not_simulated_say_so(host: SoapHost, manager: str, kind: tuple[str, str]) -> None:
    target = getattr(host.content, manager)
    assert (type(target)._wsdlName, target._moId) == kind
    methods = [info for info in type(target)._GetMethodList() if not info.params and not info.isTask]
    for info in methods:
        with pytest.raises(vmodl.fault.NotSupported, match="not part of the rehearsal"):
            getattr(target, info.name)()
    for info in type(target)._GetPropertyList():
        with pytest.raises(vmodl.fault.NotSupported, match="not part of the rehearsal"):
            getattr(target, info.name)


def test_the_managers_of_the_host_that_are_not_simulated_are_there(host: SoapHost) -> None:
    managers = vim.HostSystem("ha-host", host.stub).configManager
    for name, (kind, moid) in absent.HOST.items():
        target = getattr(managers, name)
        assert (type(target)._wsdlName, target._moId) == (kind, moid)


def test_the_management_network_is_none_for_vms(host: SoapHost) -> None:
    system = vim.HostSystem("ha-host", host.stub)
    for networks in (system.network, host.datacenter.network):
        assert [network.name for network in networks] == ["VM Network"]
    card = vim.vm.device.VirtualVmxnet3(
        key=-1, backing=vim.vm.device.VirtualEthernetCard.NetworkBackingInfo(deviceName="Management Network")
    )
    with pytest.raises(vim.fault.InvalidDeviceBacking):
        host.make_vm("b", vim.vm.device.VirtualDeviceSpec(operation="add", device=card))


def test_devices_of_every_vm(host: SoapHost) -> None:
    [vm] = host.folder.childEntity
    kinds = {type(device)._wsdlName for device in vm.config.hardware.device}
    assert {
        "VirtualSIOController",
        "VirtualPS2Controller",
        "VirtualMachineVideoCard",
        "VirtualMachineVMCIDevice",
    } < kinds
    assert vm.config.guestFullName == "Other Linux (64-bit)"
    assert vm.config.tools is not None
    assert vm.config.bootOptions is not None
    [found] = [one for one in vm.config.hardware.device if isinstance(one, vim.vm.device.VirtualDisk)]
    assert found.backing.datastore.name == "NAS"


def test_a_disk_on_ide(host: SoapHost) -> None:
    change = disk(1 << 20)
    change.device.controllerKey, change.device.unitNumber = 201, 1
    vm = host.make_vm("b", change)
    devices = {device.key: device for device in vm.config.hardware.device}
    assert isinstance(devices[3003], vim.vm.device.VirtualDisk)
    assert list(devices[201].device) == [3003]
    assert list(devices[200].device) == []
    again = host.make_vm("c", controller())
    with pytest.raises(vim.fault.InvalidDeviceSpec):
        wrong = disk(1 << 20)
        wrong.device.controllerKey, wrong.device.unitNumber = 200, 2
        host.result(again.ReconfigVM_Task(vim.vm.ConfigSpec(deviceChange=[wrong])))


def test_the_sessions(host: SoapHost) -> None:
    manager = host.content.sessionManager
    [mine] = manager.sessionList
    assert mine.key == manager.currentSession.key
    assert manager.SessionIsActive(mine.key, "root")
    other = host.face.sessions.open("root", "127.0.0.1", "another")
    assert [session.userAgent for session in manager.sessionList][1:] == ["another"]
    manager.TerminateSession([other.key])
    assert other.ended
    with pytest.raises(vim.fault.NotFound):
        manager.TerminateSession([other.key])
    with pytest.raises(vmodl.fault.InvalidArgument):
        manager.TerminateSession([mine.key])


def test_the_policies_of_networks_are_objects(host: SoapHost) -> None:
    network = vim.HostSystem("ha-host", host.stub).config.network
    [group] = [one for one in network.portgroup if one.spec.name == "VM Network"]
    assert group.computedPolicy.security.allowPromiscuous is False
    assert group.computedPolicy.nicTeaming.nicOrder.activeNic == ["vmnic0"]
    assert group.spec.policy.security.allowPromiscuous is None
    assert network.vswitch[0].spec.policy.security.forgedTransmits is True


def test_the_host_has_one_uuid(host: SoapHost) -> None:
    system = vim.HostSystem("ha-host", host.stub)
    assert system.hardware.systemInfo.uuid == host.host.system_uuid
    index = host.content.searchIndex
    assert index.FindByUuid(None, host.host.system_uuid, False, None) is not None
    host.host.network.set_names(host_name="brix1", domain_name="lab.example")
    assert index.FindByDnsName(None, "brix1.lab.example", False) is not None
