"""One session with one host's vSphere API, and the one place where pyVmomi's exceptions are translated."""

import http.client
import re
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from pyVmomi import vim, vmodl
from pyVmomi.SoapAdapter import SoapStubAdapter

from homelab.errors import HomelabError, HostFault, LoginRefused, Starting, Unreachable
from homelab.formats.stranger import what_answered
from homelab.lab import EsxiHost
from homelab.ports.files.home import HomeFiles
from homelab.ports.files.record import recorded
from homelab.ports.net.exchange import Exchange, TooMuch, begin
from homelab.ports.net.tls import pinned_context

# The oldest API that every supported host speaks; a newer one answers in it as well.
API_VERSION = "vim.version.version11"
DATACENTER = "ha-datacenter"
# A look at a host with hundreds of VMs is a few MiB.
MOST = 64 << 20
FIRST_CALL = "RetrieveServiceContent"
STARTING = re.compile(rb"HTTP/1\.\d 503")
STARTING_ADVICE = "It is starting, or its management agents are; wait a little and run again"

# Calls that change nothing on the host; every other one counts as a write.
READS = frozenset(
    {
        "RetrieveServiceContent",
        "Login",
        "Logout",
        "Fetch",
        "RetrievePropertiesEx",
        "ContinueRetrievePropertiesEx",
        "BackupFirmwareConfiguration",
        "QueryEvents",
        "QueryModules",
        "fetchSoftwarePackages",
        "CreatePropertyCollector",
        "DestroyPropertyFilter",
        "CreateFilter",
        "WaitForUpdatesEx",
        "SearchDatastore_Task",
        "FindByDatastorePath",
    }
)


class RecordingStub(SoapStubAdapter):  # type: ignore[misc]
    """A connection that records each of its calls, gives each a deadline, and tells what answers in ESXi's place."""

    def __init__(self, files: HomeFiles, target: str, where: str, timeout: float, **options: Any) -> None:
        super().__init__(httpConnectionTimeout=timeout, **options)
        self._files, self._target, self._where, self._timeout = files, target, where, timeout
        self._socket: Exchange | None = None

    def GetConnection(self) -> Any:
        """The connection of the next call, which begins now."""
        self._socket = None
        connection = super().GetConnection()
        self._socket = begin(connection, self._timeout, MOST)
        return connection

    def InvokeMethod(self, mo: Any, info: Any, args: Any, outerStub: Any = None) -> Any:
        """Every call, and every reading of a property, passes here. Faults and the network's exceptions pass."""
        name = info.wsdlName
        with recorded(self._files, "soap", self._target, name, writes=name not in READS):
            try:
                answer = super().InvokeMethod(mo, info, args, outerStub)
                if answer is None and name == FIRST_CALL:
                    raise ValueError("no content")
                return answer
            except (vmodl.MethodFault, TimeoutError):
                raise
            except http.client.HTTPException as error:
                raise self._no_esxi(error) from error
            except OSError:
                raise
            except Exception as error:
                # pyVmomi parses what comes, whatever it is: expat's errors, and those of its own types.
                if not self._heard:
                    raise
                raise self._no_esxi(error) from error

    @property
    def _heard(self) -> bytes:
        return self._socket.heard if self._socket else b""

    def _no_esxi(self, error: Exception) -> Exception:
        if STARTING.match(self._heard):
            return Starting(
                "its web server answers, and its API does not yet (HTTP 503)", where=self._where, advice=STARTING_ADVICE
            )
        if not self._heard:
            return error
        return HostFault(
            f"no ESXi answers there, but {what_answered(self._heard)}",
            where=self._where,
            advice="Check ansible_host and vsphere_port: another machine, a proxy or a login page may have that "
            "address; run again if the host was just starting",
        )


@dataclass
class Session:
    """A login at one host. `content` is the ServiceContent, `where` names the host in errors.

    `clock_error` is how far the host's clock was ahead of ours at the login, in seconds. Once `stop` is set, long work
    ends where it safely can.
    """

    host: EsxiHost
    files: HomeFiles
    where: str
    stub: Any
    content: Any
    tls: ssl.SSLContext
    clock_error: float = 0.0
    stop: threading.Event = field(default_factory=threading.Event)
    # The file browsers of its datastores, by name, once somebody asked.
    browsers: dict[str, Any] = field(default_factory=dict)

    def managed(self, kind: Any, moid: str) -> Any:
        """A managed object by its id; ids are constants on a standalone host."""
        return kind(moid, self.stub)

    @property
    def host_system(self) -> Any:
        """The HostSystem."""
        return self.managed(vim.HostSystem, "ha-host")

    @cached_property
    def managers(self) -> Any:
        """The host's own managers (HostConfigManager), asked for once a session."""
        return self.host_system.configManager

    @cached_property
    def collector(self) -> Any:
        """A PropertyCollector of this session's own, for waiting; the session's end destroys it."""
        return self.content.propertyCollector.CreatePropertyCollector()

    @property
    def cookie(self) -> str:
        """The session's cookie as `/folder` takes it."""
        return str(self.stub.cookie).split(";", 1)[0]


@contextmanager
def open_session(
    host: EsxiHost, files: HomeFiles, report: Callable[[str], None], stop: threading.Event | None = None
) -> Iterator[Session]:
    """Log in, and out again whatever happens.

    The password is sent once. Raises Unreachable, TrustError, LoginRefused, HostFault, Starting.
    """
    address = str(host.address)
    where = f"{host.name} ({address}:{host.api_port})"
    tls = pinned_context(host.name, address, host.api_port, files, timeout=host.api_timeout, report=report)
    stub = RecordingStub(
        files,
        host.name,
        where,
        host.api_timeout,
        host=address,
        port=host.api_port,
        version=API_VERSION,
        sslContext=tls,
        poolSize=1,
    )
    try:
        with translated(where):
            with parsed(where, "who it is"):
                content = vim.ServiceInstance("ServiceInstance", stub).RetrieveContent()
                clock_error = _login(content, host, where)
            session = Session(host, files, where, stub, content, tls, clock_error, stop or threading.Event())
        try:
            with translated(where):
                yield session
        finally:
            _logout(content)
    finally:
        stub.DropConnections()


def _login(content: Any, host: EsxiHost, where: str) -> float:
    """Log in; how far the host's clock is ahead of ours, for it stamps the session."""
    began = datetime.now(UTC)
    try:
        opened = content.sessionManager.Login(host.user, host.password.get_secret_value())
    except vim.fault.InvalidLogin as error:
        raise LoginRefused(
            f"the login of {host.user} was refused",
            where=where,
            advice="Check the user and the password in the vault; it was tried once only, because five failures lock "
            "the account for 15 minutes, for the API and SSH alike",
        ) from error
    return float((opened.loginTime - (began + (datetime.now(UTC) - began) / 2)).total_seconds())


def _logout(content: Any) -> None:
    # A session dies by itself; the error that brought us here is the one that matters.
    with suppress(Exception):
        content.sessionManager.Logout()


@contextmanager
def parsed(where: str, what: str) -> Iterator[None]:
    """Read an answer that is well-formed: what it lacks is what a host that is starting does not know. Raises Starting.

    Only for reading: a mistake of ours inside would be taken for the host's.
    """
    try:
        yield
    except (AttributeError, LookupError, TypeError, ValueError, StopIteration) as error:
        raise Starting(
            f"its answer about {what} lacks something ({type(error).__name__}: {error})",
            where=where,
            advice=STARTING_ADVICE,
        ) from error


@contextmanager
def translated(where: str) -> Iterator[None]:
    """Turn pyVmomi's and the network's exceptions into ours; HomelabErrors pass."""
    try:
        yield
    except HomelabError:
        raise
    except vmodl.MethodFault as fault:
        raise fault_error(fault, where) from fault
    except TimeoutError as error:
        raise Unreachable(
            "no answer within the API's deadline (esxi_api_timeout)",
            where=where,
            advice="Check that the host is not rebooting or overloaded, and run again",
        ) from error
    except TooMuch as error:
        raise HostFault(f"its answer has no end: {error}", where=where, advice="Check what answers there") from error
    except (OSError, http.client.HTTPException) as error:
        raise Unreachable(
            f"the connection broke: {error or type(error).__name__}",
            where=where,
            advice="Check that the host is on and was not rebooted, and run again; what was done is found again",
        ) from error


def fault_error(fault: Any, where: str) -> HomelabError:
    """A fault as one of our errors: its sentence, and for NFS the sentence below it."""
    if isinstance(fault, vim.fault.RestrictedVersion):
        return HostFault(
            "the host's licence does not allow changes over the API",
            where=where,
            advice="Assign a licence (the evaluation will do for 60 days); the free one makes the API read-only",
        )
    messages = [m.message for m in getattr(fault, "faultMessage", None) or [] if m.message]
    sentence = (messages[0] if messages else None) or getattr(fault, "msg", None) or type(fault).__name__
    kind = type(fault).__name__.rsplit(".", 1)[-1]
    return HostFault(
        str(sentence).rstrip("."),
        where=where,
        advice=f"These are the host's own words ({kind}). Run again; if it stays so, see /var/log/hostd.log there",
    )
