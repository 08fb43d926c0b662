"""The base of every managed object: a thin view on the host's state, made anew for each call.

A class is named as the WSDL names the type, and has one method for each WSDL method and one property for each property
that it knows; both are found by name. A method whose name ends in `_Task` is the work of a task: what it returns is the
task's result. A method that a class does not have is answered with NotSupported, a property with nothing: it is unset.
What vSphere does not have has its own fault. An object with many methods has PARTS: classes of the same shape, each
with some of them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from pyVmomi import VmomiSupport

from homelab.rehearsal.soap.wire import NAMESPACE, fault
from homelab.rehearsal.state.refusals import NasRefused, Refusal

if TYPE_CHECKING:
    from homelab.rehearsal.host.host import Host
    from homelab.rehearsal.soap.face import SoapFace
    from homelab.rehearsal.soap.sessions import Caller
    from homelab.rehearsal.soap.tasks import TaskState

Method = TypeVar("Method", bound=Callable[..., Any])


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
    PARTS: ClassVar[tuple[type[Managed], ...]] = ()

    def __init__(self, face: SoapFace, moid: str, caller: Caller) -> None:
        self._face = face
        self._host: Host = face.host
        self._moid = moid
        self._caller = caller
        self._task: TaskState | None = None
        self._kind = type(self).__name__

    @classmethod
    def ids(cls, face: SoapFace, caller: Caller) -> Iterator[str]:
        """The ids of all objects of this class."""
        if cls.moid:
            yield cls.moid

    @classmethod
    @functools.cache
    def holder(cls, name: str) -> type[Managed]:
        """The class that has a method or property of that name: this one unless one of its parts has it."""
        return next((part for part in cls.PARTS if hasattr(part, name)), cls)

    def _part(self, name: str) -> Managed:
        """This object as the class that has a method or property of that name."""
        holder = self.holder(name)
        if holder is type(self):
            return self
        made = holder(self._face, self._moid, self._caller)
        made._task, made._kind = self._task, self._kind
        return made

    def _unfilled(self, name: str) -> Any:
        """The value of a property that vSphere has and this class does not."""

    @property
    def _ref(self) -> Any:
        return ref(self._kind, self._moid)


def ref(kind: str, moid: str) -> Any:
    """A reference to a managed object, by the type's WSDL name."""
    return _wsdl_type(kind)(moid, None)


@functools.cache
def _wsdl_type(kind: str) -> Any:
    return VmomiSupport.GetWsdlType(NAMESPACE, kind)


def data(kind: Any, **fields: Any) -> Any:
    """A data object, for answers that have many. pyVmomi's constructor looks at every property of the type, each time.

    Names are checked, values are not; lists that are not given are shared: they stay empty.
    """
    unset = _unset(kind)
    if unknown := fields.keys() - unset:
        raise TypeError(f"{kind.__name__} has no {', '.join(sorted(unknown))}")
    made = kind.__new__(kind)
    vars(made).update(unset, **fields)
    return made


@functools.cache
def _unset(kind: Any) -> dict[str, Any]:
    return dict(vars(kind()))


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
