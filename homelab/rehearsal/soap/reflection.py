"""The few types that pyVmomi does not know, declared here: those by which esxcli is reached over 443, and disks' info.

Names as ESXi's own type manager and other clients have them (govmomi, internal/types.go).
"""

from typing import Any

from pyVmomi import VmomiSupport

VERSION = "vim.version.version7"
OPTIONAL = VmomiSupport.F_OPTIONAL
DISKS = "vim.VirtualDiskManager"
EXECUTER = "vmodl.reflect.ManagedMethodExecuter"


def _field(name: str, kind: str, flags: int = 0) -> tuple[str, str, str, int]:
    return name, kind, VERSION, flags


def _parameter(name: str, kind: str, flags: int = 0) -> tuple[str, str, str, int, None]:
    return name, kind, VERSION, flags, None


def _retriever(name: str, kind: str) -> tuple[Any, ...]:
    wsdl = name[0].upper() + name[1:]
    return name, wsdl, VERSION, (), (OPTIONAL, kind, kind), "System.Read", None


def _data(name: str, *fields: tuple[str, str, str, int]) -> None:
    wsdl = "ReflectManagedMethodExecuter" + name
    VmomiSupport.CreateDataType(f"{EXECUTER}.{name}", wsdl, "vmodl.DynamicData", VERSION, list(fields))


def _declare() -> dict[str, list[Any]]:
    """Declare the types; answers with the methods that further types have."""
    _data("SoapArgument", _field("name", "string"), _field("val", "string"))
    _data("SoapFault", _field("faultMsg", "string"), _field("faultDetail", "string", OPTIONAL))
    _data("SoapResult", _field("response", "string", OPTIONAL), _field("fault", f"{EXECUTER}.SoapFault", OPTIONAL))
    parameters = (
        _parameter("moid", "string"),
        _parameter("version", "string"),
        _parameter("method", "string"),
        _parameter("argument", f"{EXECUTER}.SoapArgument[]", OPTIONAL),
    )
    result = (OPTIONAL, f"{EXECUTER}.SoapResult", f"{EXECUTER}.SoapResult")
    execute = ("executeSoap", "ExecuteSoap", VERSION, parameters, result, "System.Read", None)
    managed = "vmodl.ManagedObject"
    VmomiSupport.CreateManagedType(EXECUTER, "ReflectManagedMethodExecuter", managed, VERSION, [], [execute])
    types = "vmodl.reflect.InternalDynamicTypeManager"
    VmomiSupport.CreateManagedType(types, "InternalDynamicTypeManager", managed, VERSION, [], None)
    # A loaded type takes no further methods: those of HostSystem are looked up here instead.
    more = "vmodl.reflect.HostSystemAccess"
    methods = [
        _retriever("retrieveManagedMethodExecuter", EXECUTER),
        _retriever("retrieveDynamicTypeManager", types),
    ]
    VmomiSupport.CreateManagedType(more, "ReflectHostSystemAccess", managed, VERSION, [], methods)
    return {"HostSystem": _methods_of("ReflectHostSystemAccess"), "VirtualDiskManager": _disk_info()}


def _disk_info() -> list[Any]:
    """VirtualDiskManager.QueryVirtualDiskInfo_Task, which is public in no release."""
    data, managed = "vmodl.DynamicData", "vmodl.reflect.DiskInfoAccess"
    unit, info = f"{DISKS}.DiskUnit", f"{DISKS}.VirtualDiskInfo"
    VmomiSupport.CreateDataType(unit, "VirtualDiskInfoUnit", data, VERSION, [_field("name", "string")])
    fields = [_field("unit", unit), _field("diskType", "string"), _field("parent", "string", OPTIONAL)]
    VmomiSupport.CreateDataType(info, "VirtualDiskInfo", data, VERSION, fields)
    parameters = (
        _parameter("name", "string"),
        _parameter("datacenter", "vim.Datacenter", OPTIONAL),
        _parameter("includeParents", "boolean"),
    )
    method = ("queryVirtualDiskInfo", "QueryVirtualDiskInfo_Task", VERSION, parameters)
    result = (0, "vim.Task", f"{info}[]")
    methods = [(*method, result, "System.Read", None)]
    VmomiSupport.CreateManagedType(managed, "VirtualDiskInfoAccess", "vmodl.ManagedObject", VERSION, [], methods)
    [declared] = _methods_of("VirtualDiskInfoAccess")
    # Tasks tell whose method they are.
    declared.typeName = DISKS
    return [declared]


def _methods_of(kind: str) -> list[Any]:
    return list(VmomiSupport.GetWsdlType("urn:vim25", kind)._GetMethodList())


MORE = _declare()
DISK_UNIT = VmomiSupport.GetVmodlType(f"{DISKS}.DiskUnit")
DISK_INFO = VmomiSupport.GetVmodlType(f"{DISKS}.VirtualDiskInfo")
DISK_INFOS = VmomiSupport.GetVmodlType(f"{DISKS}.VirtualDiskInfo[]")
