"""The few types by which esxcli is reached over 443; pyVmomi does not know them, so they are declared here.

Names as ESXi's own type manager and other clients have them.
"""

from typing import Any

from pyVmomi import VmomiSupport

VERSION = "vim.version.version7"
OPTIONAL = VmomiSupport.F_OPTIONAL
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
    known = VmomiSupport.GetWsdlType("urn:vim25", "ReflectHostSystemAccess")
    return {"HostSystem": list(known._GetMethodList())}


MORE = _declare()
