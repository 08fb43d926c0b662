"""esxcli over 443: the same functions that answer in the shell, called through ManagedMethodExecuter."""

import inspect
from collections.abc import Mapping
from typing import Any, get_type_hints
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from pyVmomi import VmomiSupport

from homelab.rehearsal.host.host import Host
from homelab.rehearsal.host.licences import forbids_changes
from homelab.rehearsal.shell import esxcli
from homelab.rehearsal.shell.answers import Failure
from homelab.rehearsal.shell.layouts import Blocks, Output, Table, field_id, text
from homelab.rehearsal.soap.managed import Managed, ref
from homelab.rehearsal.soap.wire import NAMESPACE, fault
from homelab.rehearsal.state.refusals import Refusal

PREFIX = "vim.EsxCLI."
HANDLER = "ha-cli-handler-"
INFO = "ha-dynamic-type-manager-local-cli-cliinfo"
NAMESPACES = (
    'xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
    f'xmlns="{NAMESPACE}" versionId="5.0"'
)


class InternalDynamicTypeManager(Managed):
    """Where clients ask what can be executed; the rehearsal answers only through the executer."""

    moid = "ha-dynamic-type-manager"


class ReflectManagedMethodExecuter(Managed):
    """Calls methods that no WSDL lists."""

    moid = "ha-managed-method-executer"

    def ExecuteSoap(self, moid: str, version: str, method: str, argument: Any) -> Any:
        """Run an esxcli command, or tell what a namespace holds."""
        values = {item.name: _value(item.val) for item in argument or ()}
        if moid == INFO and method == "vim.CLIInfo.FetchCLIInfo":
            return _result(response=_describe(self._host, values.get("typeName", "")))
        path = method.removeprefix(PREFIX)
        if not method.startswith(PREFIX) or moid != HANDLER + path.rpartition(".")[0].replace(".", "-"):
            raise fault("NotSupported", f"{moid} {method} is not part of the rehearsal")
        function = esxcli.functions().get(path.replace(".", "_"))
        if function is None:
            raise fault("MethodNotFound", f"{method} is not part of the rehearsal", receiver=self._ref, method=method)
        if forbids_changes(self._host) and path.rpartition(".")[2] not in ("get", "list"):
            message = "Current license or ESXi version prohibits execution of the requested operation."
            raise fault("RestrictedVersion", message)
        return self._run(path, function, values)

    def _run(self, path: str, function: Any, values: dict[str, str]) -> Any:
        hints = get_type_hints(function)
        options: dict[str, Any] = {}
        parameters = {_wire_name(name): name for name in list(inspect.signature(function).parameters)[1:]}
        for name, value in values.items():
            if name not in parameters:
                raise fault("InvalidRequest", f"{path} has no parameter {name}")
            options[parameters[name]] = _typed(hints[parameters[name]], name, value)
        missing = [wire for wire, name in parameters.items() if _required(function, name) and name not in options]
        if missing:
            raise fault("InvalidArgument", f"Missing required parameter {missing[0]}", invalidProperty=missing[0])
        try:
            with self._host.lock:
                output = function(self._host, **options)
        except Failure as failure:
            return _failed(str(failure))
        except Refusal as refusal:
            return _failed(refusal.message)
        return _result(response=_answer(path, output))


def access(kind: str) -> Any:
    """The object that HostSystem hands out."""
    classes = {"executer": ReflectManagedMethodExecuter, "types": InternalDynamicTypeManager}
    return ref(classes[kind].__name__, classes[kind].moid)


def _result(**fields: Any) -> Any:
    kind = VmomiSupport.GetWsdlType(NAMESPACE, "ReflectManagedMethodExecuterSoapResult")
    return kind(**fields)


def _failed(message: str) -> Any:
    kind = VmomiSupport.GetWsdlType(NAMESPACE, "ReflectManagedMethodExecuterSoapFault")
    detail = f'<obj {NAMESPACES} xsi:type="VimEsxCLICLIFault"><errMsg>{escape(message)}</errMsg></obj>'
    return _result(fault=kind(faultMsg="EsxCLI.CLIFault.summary", faultDetail=detail))


def _value(xml: str) -> str:
    """The text of `<name>value</name>`."""
    try:
        return ElementTree.fromstring(xml).text or ""
    except ElementTree.ParseError:
        raise fault("InvalidRequest", "An argument could not be read") from None


def _typed(hint: Any, name: str, value: str) -> str | int | bool:
    if hint in (str, str | None):
        return value
    if hint in (int, int | None) and value.lstrip("-").isdigit():
        return int(value)
    if hint in (bool, bool | None) and value.lower() in ("true", "false", "1", "0"):
        return value.lower() in ("true", "1")
    raise fault("InvalidArgument", f"A specified parameter was not correct: {name}", invalidProperty=name)


def _wire_name(parameter: str) -> str:
    return parameter.replace("_", "")


def _required(function: Any, name: str) -> bool:
    return bool(inspect.signature(function).parameters[name].default is inspect.Parameter.empty)


def _describe(host: Host, type_name: str) -> str:
    """What FetchCLIInfo says of a namespace: its commands, each with its parameters and their spellings."""
    space = type_name.removeprefix(PREFIX)
    prefix = space.replace(".", "_") + "_"
    found = {name.removeprefix(prefix): one for name, one in esxcli.functions().items() if name.startswith(prefix)}
    methods = {name: function for name, function in found.items() if "_" not in name}
    if not methods:
        raise fault("InvalidArgument", f"{type_name} is no namespace of esxcli", invalidProperty="typeName")
    return (
        f'<obj {NAMESPACES} xsi:type="VimCLIInfoTypeInfo"><name>{escape(space)}</name>'
        f"<displayName>{escape(space.rpartition('.')[2])}</displayName><help></help>"
        + "".join(_method(host, name, function) for name, function in methods.items())
        + "</obj>"
    )


def _method(host: Host, name: str, function: Any) -> str:
    parameters = list(inspect.signature(function).parameters.values())[1:]
    hints = _hints(host, name, function, bare=all(one.default is not one.empty for one in parameters))
    return (
        f"<method><name>{name}</name><displayName>{name}</displayName><help>{escape(function.__doc__ or '')}</help>"
        + "".join(_parameter(one.name) for one in parameters)
        + "".join(f"<hints><key>{key}</key><value>{escape(value)}</value></hints>" for key, value in hints.items())
        + "</method>"
    )


def _hints(host: Host, name: str, function: Any, *, bare: bool) -> dict[str, str]:
    """How a client may lay the answer out; a table's columns are known from the table itself."""
    if name == "list" and bare:
        with host.lock:
            output = function(host)
        if isinstance(output, Table):
            return {"formatter": "table", f"fields:{output.structure}": ",".join(output.columns)}
    return {"formatter": "simple"}


def _parameter(name: str) -> str:
    spellings = [f"--{name.rstrip('_').replace('_', '-')}"]
    if name in esxcli.SHORT:
        spellings.insert(0, f"-{esxcli.SHORT[name]}")
    aliases = "".join(f"<aliases>{alias}</aliases>" for alias in spellings)
    return (
        f"<param><name>{_wire_name(name)}</name><displayName>{spellings[-1][2:]}</displayName><help></help>{aliases}"
        "<flag>false</flag></param>"
    )


def _answer(path: str, output: Output) -> str:
    kind = "VimEsxCLI" + path.replace(".", "")
    if output is None:
        name = path.rpartition(".")[2]
        empty = "ArrayOfDataObject" if name == "list" else "xsd:boolean"
        return f'<obj {NAMESPACES} xsi:type="{empty}">{"" if name == "list" else "true"}</obj>'
    if isinstance(output, str):
        return f'<obj {NAMESPACES} xsi:type="xsd:string">{escape(output)}</obj>'
    records = output.records() if isinstance(output, Table) else [block.fields for block in output.blocks]
    if isinstance(output, Blocks) and output.single:
        return f'<obj {NAMESPACES} xsi:type="{kind}{output.structure}">{_fields(records[0])}</obj>'
    items = "".join(
        f'<DataObject xsi:type="{kind}{output.structure}">{_fields(record)}</DataObject>' for record in records
    )
    return f'<obj {NAMESPACES} xsi:type="ArrayOfDataObject">{items}</obj>'


def _fields(record: Mapping[str, Any]) -> str:
    pairs = [(field_id(key), one) for key, value in record.items() for one in _each(value)]
    return "".join(f"<{key}>{_scalar(value)}</{key}>" for key, value in pairs)


def _each(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)


def _scalar(value: Any) -> str:
    return _fields(value) if isinstance(value, Mapping) else escape(text(value))
