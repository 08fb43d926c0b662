"""The vSphere face of one host: finds objects and methods by name, and answers calls."""

import contextlib
import importlib
import logging
import pkgutil
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

from pyVmomi import VmomiSupport

from homelab.rehearsal.host.host import Host
from homelab.rehearsal.host.licences import forbids_changes
from homelab.rehearsal.soap import objects, properties, property_collector, versions, wire
from homelab.rehearsal.soap.certificate import self_signed, server_context
from homelab.rehearsal.soap.managed import Managed, refused
from homelab.rehearsal.soap.selection import not_found
from homelab.rehearsal.soap.server import Server
from homelab.rehearsal.soap.sessions import Caller, Session, Sessions
from homelab.rehearsal.soap.tasks import Tasks, TaskState
from homelab.rehearsal.state.refusals import Refusal
from homelab.rehearsal.vms.leases import Leases

log = logging.getLogger(__name__)


class SoapFace:
    """One host's API on `address`:`port`. `calls` counts calls by method; `certificate` is the host's own, PEM.

    `start` may be called again after `stop`: the certificate stays, sessions and tasks do not.
    """

    def __init__(self, host: Host, *, port: int = 443, address: str | None = None) -> None:
        self.host = host
        self.address, self.port = address or host.settings.network.address, port
        self.api_version = versions.api_version(host.version)
        self.version = versions.NAMES[self.api_version]
        self.calls: Counter[str] = Counter()
        self.transfers: Counter[str] = Counter()
        self.sessions = Sessions(host.clock, host.now)
        self.tasks = Tasks(host)
        self.leases = Leases(host, host.datastores, host.vms)
        self._pair = self_signed(host.name, self.address)
        self.certificate, self._context = self._pair[0], server_context(*self._pair)
        self._classes = _classes()
        self._counting = threading.Lock()
        self._server: Server | None = None

    def start(self) -> None:
        """Listen, and serve in daemon threads. With port 0 a free port is taken and kept."""
        self._server = Server(self, (self.address, self.port), self._context)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()

    def count_transfer(self, method: str) -> None:
        """Count one HTTP transfer of a file by its method."""
        with self._counting:
            self.transfers[method] += 1

    @property
    def pair(self) -> tuple[bytes, bytes]:
        """The certificate and its key."""
        return self._pair

    def close(self) -> None:
        """Close the listener and every connection; hostd runs on, and remembers."""
        server, self._server = self._server, None
        if server:
            server.close_all()

    def stop(self) -> None:
        """Close the listener and every connection; sessions, tasks and events are forgotten."""
        self.close()
        self.sessions.clear()
        self.tasks.clear()
        self.leases.clear()
        self.host.journal.clear()
        self.host.touch(dirty=False)

    def find(self, target: Any, caller: Caller) -> Managed | None:
        """The object of a reference, or None. A base class finds its descendants' objects, as on a real host."""
        kind = self._classes.get(VmomiSupport.GetWsdlName(type(target)))
        candidates = [kind] if kind else self._derived(type(target))
        with self.host.lock:
            for candidate in candidates:
                if target._moId in candidate.ids(self, caller):
                    return candidate(self, target._moId, caller)
        return None

    def call(self, request: wire.Request, caller: Caller) -> Any:
        """The result of a call; raises a vSphere fault."""
        with self._counting:
            self.calls[request.method] += 1
        try:
            target = self._target(request, caller)
            if request.method == wire.FETCH:
                with self.host.lock:
                    return properties.read(target, request.arguments.get("prop", ""))
            return self._invoke(target, request)
        except Exception as error:
            raise self.as_fault(error, request.target) from error
        finally:
            if self._writes(request):
                self.host.harm.on_write(request.method)

    def use_certificate(self, pair: tuple[bytes, bytes]) -> tuple[bytes, bytes]:
        """Show another certificate (and its key) from the next connection on; answers with the one before."""
        before, self._pair = self._pair, pair
        self.certificate, self._context = pair[0], server_context(*pair)
        if self._server:
            self._server.context = self._context
        return before

    def _writes(self, request: wire.Request) -> bool:
        method = self._method(request)
        return bool(getattr(method, "needs_licence", False))

    def _target(self, request: wire.Request, caller: Caller) -> Managed:
        method = self._method(request)
        if not caller.session and not getattr(method, "is_anonymous", False):
            raise wire.fault("NotAuthenticated", "The session is not authenticated.", object=request.target)
        target = self.find(request.target, caller)
        if target is None:
            raise not_found(request.target)
        return target

    def _method(self, request: wire.Request) -> Any:
        """The method of a call as its class has it, or None."""
        kind = self._classes.get(VmomiSupport.GetWsdlName(type(request.target)))
        return getattr(kind.holder(request.method), request.method, None) if kind else None

    def _invoke(self, target: Managed, request: wire.Request) -> Any:
        target = target._part(request.method)
        method: Callable[..., Any] | None = getattr(target, request.method, None)
        if method is None:
            raise wire.fault(
                "NotSupported",
                f"{VmomiSupport.GetWsdlName(type(target._ref))}.{request.method} is not part of the rehearsal",
            )
        if getattr(method, "needs_licence", False) and forbids_changes(self.host):
            message = "Current license or ESXi version prohibits execution of the requested operation."
            raise wire.fault("RestrictedVersion", message)
        arguments = [_argument(request, item) for item in request.info.params]
        if not request.info.isTask:
            return method(*arguments)

        def work(task: TaskState) -> Any:
            target._task = task
            return method(*arguments)

        whole = self.find(target._ref, target._caller) or target
        name = getattr(whole, "name", target._kind)
        return self.tasks.start(target._ref, request.info, name, work, lambda error: self.as_fault(error, target._ref))

    def _derived(self, kind: Any) -> list[type[Managed]]:
        found = []
        for name, candidate in self._classes.items():
            if issubclass(VmomiSupport.GetWsdlType(wire.NAMESPACE, name), kind):
                found.append(candidate)
        return found

    def as_fault(self, error: Exception, target: Any) -> Exception:
        """The vSphere fault of an error; one of the rehearsal's own is logged, and a SystemError to the client."""
        if wire.is_fault(error):
            return error
        if isinstance(error, Refusal):
            return refused(error, target)  # type: ignore[no-any-return]
        log.error("%s: a call failed in the rehearsal itself", self.host.name, exc_info=error)
        fault: Exception = wire.fault("SystemError", f"A general system error occurred: {error!r}", reason=repr(error))
        return fault


def _argument(request: wire.Request, parameter: Any) -> Any:
    value = request.arguments.get(parameter.name)
    if value is None and not parameter.flags & VmomiSupport.F_OPTIONAL:
        message = f"A specified parameter was not correct: {parameter.name}"
        raise wire.fault("InvalidArgument", message, invalidProperty=parameter.name)
    return value


def _classes() -> dict[str, type[Managed]]:
    for module in pkgutil.iter_modules(objects.__path__, objects.__name__ + "."):
        importlib.import_module(module.name)
    assert property_collector
    found: dict[str, type[Managed]] = {}
    pending = list(Managed.__subclasses__())
    while pending:
        kind = pending.pop()
        pending += kind.__subclasses__()
        # A base class of our own stands for no vSphere type.
        with contextlib.suppress(KeyError):
            VmomiSupport.GetWsdlType(wire.NAMESPACE, kind.__name__)
            found[kind.__name__] = kind
    return found


__all__ = ["Session", "SoapFace"]
