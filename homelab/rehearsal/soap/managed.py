"""The base of every managed object: a thin view on the host's state, made anew for each call.

A class is named as the WSDL names the type, and has one method for each WSDL method and one property for each property
that it knows; both are found by name. A method whose name ends in `_Task` is the work of a task: what it returns is the
task's result. What a class does not have is answered with NotSupported, what vSphere does not have with its own fault.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from pyVmomi import VmomiSupport

from homelab.rehearsal.host.refusals import NasRefused, Refusal
from homelab.rehearsal.soap.wire import NAMESPACE, fault

if TYPE_CHECKING:
    from homelab.rehearsal.host.host import Host
    from homelab.rehearsal.soap.face import SoapFace
    from homelab.rehearsal.soap.sessions import Caller
    from homelab.rehearsal.soap.tasks import TaskState

Method = TypeVar("Method", bound=Callable[..., Any])
STEP = re.compile(r"(\w+)(?:\[(.+)\])?")


def writes(method: Method) -> Method:
    """Mark a method that the free licence does not allow."""
    method.needs_licence = True  # type: ignore[attr-defined]
    return method


def anonymous(method: Method) -> Method:
    """Mark a method that needs no session."""
    method.is_anonymous = True  # type: ignore[attr-defined]
    return method


class Managed:
    """A managed object. `moid` is set by classes of which a host has exactly one object."""

    moid: ClassVar[str] = ""
    # Properties of which only some parts are there; the others are refused, not passed off as unset.
    partial: ClassVar[tuple[str, ...]] = ()

    def __init__(self, face: SoapFace, moid: str, caller: Caller) -> None:
        self._face = face
        self._host: Host = face.host
        self._moid = moid
        self._caller = caller
        self._task: TaskState | None = None

    @classmethod
    def ids(cls, face: SoapFace, caller: Caller) -> Iterator[str]:
        """The ids of all objects of this class."""
        if cls.moid:
            yield cls.moid

    @property
    def _ref(self) -> Any:
        return ref(type(self).__name__, self._moid)

    def _read(self, path: str, made: dict[str, Any] | None = None) -> Any:
        """The value of a path such as `config.product.version`; None when it is unset, a fault when it is unknown.

        `made` keeps whole properties from one path to the next: making `config` costs more than all else in a read.
        """
        steps = _steps(path)
        if not steps or not all(steps):
            raise fault("InvalidProperty", name=path)
        kind: Any = type(self._ref)
        value: Any = self
        for index, step in enumerate(steps):
            assert step is not None
            try:
                info = kind._GetPropertyInfo(step[1])
            except AttributeError:
                raise fault("InvalidProperty", f"{path} is not a property", name=path) from None
            if index and issubclass(kind, VmomiSupport.ManagedObject):
                raise fault("InvalidProperty", f"{path} leads into another object", name=path)
            if index == 0 and not isinstance(getattr(type(self), step[1], None), property):
                raise fault("NotSupported", f"{type(self).__name__}.{path} is not part of the rehearsal")
            if index == 0 and made is not None:
                value = made[step[1]] if step[1] in made else made.setdefault(step[1], getattr(value, step[1]))
            else:
                value = None if value is None else getattr(value, step[1])
            if index == 1 and value is None and steps[0] and steps[0][1] in self.partial:
                raise fault("NotSupported", f"{type(self).__name__}.{path} is not part of the rehearsal")
            kind = info.type
            if isinstance(value, list) and issubclass(kind, list):
                value = kind(value)
            if step[2] is not None:
                value, kind = _element(value, step[2]), kind.Item
            elif value is not None and not issubclass(kind, list):
                kind = type(value) if hasattr(type(value), "_GetPropertyInfo") else kind
        return value

    def _known_properties(self) -> list[str]:
        """The properties that the rehearsal has, in vSphere's order."""
        names = [info.name for info in type(self._ref)._GetPropertyList()]
        return [name for name in names if isinstance(getattr(type(self), name, None), property)]


def _element(value: Any, key: str) -> Any:
    wanted = key.strip('"')
    return next((item for item in value or () if str(getattr(item, "key", None)) == wanted), None)


@functools.lru_cache(4096)
def _steps(path: str) -> tuple[re.Match[str] | None, ...]:
    """The steps of a path, taken apart; the same few paths are read of every object."""
    return tuple(STEP.fullmatch(part) for part in split_path(path))


def split_path(path: str) -> list[str]:
    """The steps of a property path; dots inside of brackets do not part."""
    return re.findall(r"(?:[^.\[]|\[[^\]]*\])+", path)


def ref(kind: str, moid: str) -> Any:
    """A reference to a managed object, by the type's WSDL name."""
    return _wsdl_type(kind)(moid, None)


@functools.cache
def _wsdl_type(kind: str) -> Any:
    return VmomiSupport.GetWsdlType(NAMESPACE, kind)


def refused(refusal: Refusal, target: Any) -> Any:
    """The vSphere fault of a host's no; `target` stands in where a fault must name an object."""
    if isinstance(refusal, NasRefused):
        return _platform_fault(refusal.message)
    fields = dict(refusal.fields)
    kind = VmomiSupport.GetWsdlType(NAMESPACE, refusal.fault)
    for info in kind._GetPropertyList():
        if info.name == "object" and not info.flags & VmomiSupport.F_OPTIONAL:
            fields.setdefault("object", target)
        if info.name == "type" and isinstance(fields.get("type"), str):
            fields["type"] = VmomiSupport.GetWsdlType(NAMESPACE, str(fields["type"]))
    return fault(refusal.fault, refusal.message, **fields)


def _platform_fault(sysinfo: str) -> Any:
    # The sentence of the fault is general; what the NAS said stands in the first message, as on a real host.
    message = VmomiSupport.GetWsdlType(NAMESPACE, "LocalizableMessage")(
        key="com.vmware.esx.hostctl.default",
        message=(
            "Operation failed, diagnostics report: Unable to complete Sysinfo operation.  Please see the VMkernel log "
            f"file for more details.: Sysinfo error: {sysinfo}See VMkernel log for details."
        ),
    )
    return fault(
        "PlatformConfigFault",
        "An error occurred during host configuration.",
        text=message.message,
        faultMessage=[message],
    )
