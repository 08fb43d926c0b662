"""SOAP as ESXi speaks it, on pyVmomi's types, serializer and deserializer: requests in, answers and faults out."""

import re
from dataclasses import dataclass, field
from io import StringIO
from typing import Any
from xml.parsers.expat import ParserCreate

from pyVmomi import SoapAdapter, VmomiSupport, vmodl
from pyVmomi.VmomiSupport import ManagedObject, Object

from homelab.rehearsal.soap import reflection

NAMESPACE = "urn:vim25"
# Characters that no XML may hold, escaped or not.
FORBIDDEN = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
HEADER = '<?xml version="1.0" encoding="UTF-8"?>\n'
ENVELOPE = SoapAdapter.XMLNS_SOAPENV + SoapAdapter.NS_SEP
# A property is fetched by a method of its own that no WSDL lists; pyVmomi's accessors use it.
FETCH = "Fetch"


@dataclass
class Request:
    """A call: the object, the method by its WSDL name, the arguments by name. `info` is None for `Fetch`."""

    method: str
    target: Any = None
    info: Any = None
    arguments: dict[str, Any] = field(default_factory=dict)


class RequestParser(SoapAdapter.ExpatDeserializerNSHandlers):  # type: ignore[misc]
    """Reads one request; every parameter is handed to pyVmomi's deserializer with the type that the method gives it."""

    def __init__(self) -> None:
        super().__init__()
        self.request: Request | None = None
        self._depth = 0
        self._body = -1
        self._pending: tuple[str, Any, bool] | None = None

    def parse(self, data: bytes) -> Request:
        """The request in `data`; vmodl.fault.InvalidRequest when it is none."""
        parser = ParserCreate(namespace_separator=SoapAdapter.NS_SEP)
        parser.buffer_text = True
        self._parser = parser
        SoapAdapter.SetHandlers(parser, SoapAdapter.GetHandlers(self))
        try:
            parser.Parse(data, True)
        except Exception as error:
            # pyVmomi's deserializer stumbles over what does not fit in many ways, a bare Exception among them.
            if is_fault(error):
                raise
            raise fault("InvalidRequest", f"A request could not be read: {error!r}") from error
        if self.request is None or self.request.target is None:
            raise fault("InvalidRequest", "A request without a method or without its object")
        return self.request

    def StartElementHandler(self, tag: str, attributes: dict[str, str]) -> None:
        """expat's: a tag opens."""
        self._collect()
        self._depth += 1
        if tag == ENVELOPE + "Body":
            self._body = self._depth
        elif self._body > 0 and self._depth == self._body + 1:
            self.request = Request(tag.rpartition(SoapAdapter.NS_SEP)[2])
        elif self.request and self._depth == self._body + 2:
            self._hand_over(tag, attributes)

    def EndElementHandler(self, tag: str) -> None:
        """expat's: a tag closes."""
        self._collect()
        self._depth -= 1

    def CharacterDataHandler(self, data: str) -> None:
        """expat's: text between tags."""

    def _hand_over(self, tag: str, attributes: dict[str, str]) -> None:
        name = tag.rpartition(SoapAdapter.NS_SEP)[2]
        kind, many = self._type_of(name)
        deserializer = SoapAdapter.SoapDeserializer()
        deserializer.Deserialize(self._parser, kind, False, self.nsMap)
        self._pending = (name, deserializer, many)
        # The deserializer took over after this tag had been opened, and eats its end.
        self._depth -= 1
        deserializer.StartElementHandler(tag, attributes)

    def _type_of(self, name: str) -> tuple[Any, bool]:
        assert self.request is not None
        if name == "_this":
            return ManagedObject, False
        if self.request.method == FETCH and name == "prop":
            return str, False
        parameter = next((item for item in getattr(self.request.info, "params", ()) if item.name == name), None)
        if parameter is None:
            raise fault("InvalidRequest", f"Unexpected element {name} in {self.request.method}")
        many = issubclass(parameter.type, list)
        return (parameter.type.Item if many else parameter.type), many

    def _collect(self) -> None:
        if not self._pending or not self.request:
            return
        (name, deserializer, many), self._pending = self._pending, None
        value = deserializer.GetResult()
        if name == "_this":
            self.request.target = value
            self.request.info = method_info(type(value), self.request.method)
            if self.request.info is None and self.request.method != FETCH:
                raise fault(
                    "MethodNotFound", _no_method(value, self.request.method), receiver=value, method=self.request.method
                )
        elif many:
            self.request.arguments.setdefault(name, []).append(value)
        else:
            self.request.arguments[name] = value


def _no_method(target: Any, method: str) -> str:
    return f"{VmomiSupport.GetWsdlName(type(target))} has no method {method}, or it is not part of the rehearsal"


def method_info(kind: Any, wsdl_name: str) -> Any:
    """What pyVmomi knows of a method, or None."""
    known = [*kind._GetMethodList(), *reflection.MORE.get(VmomiSupport.GetWsdlName(kind), ())]
    return next((info for info in known if info.wsdlName == wsdl_name), None)


def fault(name: str, message: str = "", /, **fields: Any) -> Any:
    """A fault by its WSDL name; fields that it does not have are left out."""
    kind = VmomiSupport.GetWsdlType(NAMESPACE, name)
    known = {item.name for item in kind._GetPropertyList()}
    result = kind(**{key: value for key, value in fields.items() if key in known})
    result.msg = message or f"{name}."
    return result


def is_fault(value: object) -> bool:
    """Whether an exception is one that a client may see."""
    return isinstance(value, vmodl.MethodFault)


def version_of(soap_action: str, newest: str) -> str:
    """The API version that a client asked for (`"urn:vim25/6.5"`), or the host's own when it is older or unknown."""
    asked = VmomiSupport.versionMap.get(soap_action.strip('"').removeprefix("urn:"))
    if asked and VmomiSupport.IsChildVersion(newest, asked):
        return str(asked)
    return newest


def render_answer(request: Request, value: Any, version: str) -> bytes:
    """The envelope of an answer; the method tells the result's type, or the property that was fetched."""
    if request.method == FETCH:
        info = type(request.target)._GetPropertyInfo(request.arguments["prop"].partition(".")[0])
        kind, flags = info.type, info.flags
    else:
        kind, flags = request.info.result, request.info.resultFlags
    inside = ""
    if value is not None and kind is not type(None):
        value = kind(value) if isinstance(value, list) else value
        item = Object(name="returnval", type=kind, version=version, flags=flags | VmomiSupport.F_OPTIONAL)
        inside = _serialize(value, item, version)
    return _envelope(f'<{request.method}Response xmlns="{NAMESPACE}">{inside}</{request.method}Response>')


def render_fault(value: Any, version: str) -> bytes:
    """The envelope of a fault."""
    name = VmomiSupport.GetWsdlName(type(value))
    # An element's namespace is that of its version; any of vim's gives urn:vim25.
    item = Object(name=f"{name}Fault", type=object, version=version, flags=0)
    message = value.msg or ""
    value.msg = None
    detail = SoapAdapter.SerializeFaultDetail(value, item, version, _prefixes())
    return _envelope(
        "<soapenv:Fault><faultcode>ServerFaultCode</faultcode>"
        f"<faultstring>{SoapAdapter.XmlEscape(message)}</faultstring><detail>{detail}</detail></soapenv:Fault>"
    )


def serialized(value: Any, version: str) -> str:
    """A value as text, to compare with another."""
    item = Object(name="val", type=object, version=version, flags=VmomiSupport.F_OPTIONAL)
    return _serialize(value, item, version)


class _Serializer(SoapAdapter.SoapSerializer):  # type: ignore[misc]
    """pyVmomi's, but for two things.

    What it calls ManagedObject is ManagedObjectReference to every other client, and it does not escape objects' ids.
    """

    def _QName(self, typ: Any, defNS: str) -> tuple[str, str]:
        attributes, name = super()._QName(typ, defNS)
        return attributes, f"{name}Reference" if typ is ManagedObject else name

    def _Serialize(self, val: Any, info: Any, defNS: str) -> None:
        if isinstance(val, ManagedObject):
            val = type(val)(SoapAdapter.XmlEscape(val._moId), None)
        super()._Serialize(val, info, defNS)


def _serialize(value: Any, item: Any, version: str) -> str:
    writer = StringIO()
    _Serializer(writer, version, _prefixes()).Serialize(value, item)
    return writer.getvalue()


def _prefixes() -> dict[str, str]:
    return {**SoapAdapter.SOAP_NSMAP, NAMESPACE: ""}


def _envelope(body: str) -> bytes:
    text = FORBIDDEN.sub("\ufffd", body)
    return f"{HEADER}{SoapAdapter.SOAP_START}{text}{SoapAdapter.SOAP_END}".encode()
