"""Events: what the host's journal holds, whole or through a collector."""

from collections.abc import Iterator
from itertools import count
from typing import Any

from pyVmomi import VmomiSupport, vim

from homelab.rehearsal.soap.managed import Managed, ref
from homelab.rehearsal.soap.sessions import EventCollector, Session
from homelab.rehearsal.soap.wire import NAMESPACE, fault
from homelab.rehearsal.state.journal import Entry

CATEGORIES = {
    "BadUsernameSessionEvent": ("Cannot login user", "error"),
    "DatastoreRemovedOnHostEvent": ("Datastore removed from host", "info"),
    "EnteredMaintenanceModeEvent": ("Entered maintenance mode", "info"),
    "ExitMaintenanceModeEvent": ("Exit maintenance mode", "info"),
    "NASDatastoreCreatedEvent": ("NAS datastore created", "info"),
    "UserLoginSessionEvent": ("User login", "info"),
    "UserLogoutSessionEvent": ("User logout", "info"),
    "VmCreatedEvent": ("VM created", "info"),
    "VmPoweredOffEvent": ("VM powered off", "info"),
    "VmPoweredOnEvent": ("VM powered on", "info"),
    "VmReconfiguredEvent": ("VM reconfigured", "info"),
    "VmRegisteredEvent": ("VM registered", "info"),
    "VmRemovedEvent": ("VM removed", "info"),
    "VmSuspendedEvent": ("VM suspended", "info"),
}
PAGE = 10
_numbers = count(1)


class EventManager(Managed):
    """The host's events."""

    moid = "ha-eventmgr"

    @property
    def description(self) -> Any:
        """The kinds of events that there are, with their categories."""
        detail = vim.event.EventDescription.EventDetail
        known = [
            detail(
                key=VmomiSupport.GetWsdlType(NAMESPACE, kind),
                description=text,
                category=category,
                formatOnDatacenter="",
                formatOnComputeResource="",
                formatOnHost="",
                formatOnVm="",
                fullFormat="",
            )
            for kind, (text, category) in CATEGORIES.items()
        ]
        names = ("info", "warning", "error", "user")
        categories = [vim.ElementDescription(key=name, label=name.title(), summary=name) for name in names]
        return vim.event.EventDescription(category=categories, eventInfo=known)

    @property
    def latestEvent(self) -> Any:
        """The last event."""
        entries = self._host.journal.entries
        return event(self._host.name, entries[-1]) if entries else None

    @property
    def maxCollector(self) -> int:
        """How many collectors a client may have."""
        return 1000

    def QueryEvents(self, filter: Any, eventViewSpec: Any) -> Any:
        """All events that a filter lets pass, oldest first."""
        if eventViewSpec is not None:
            raise fault("NotSupported", "An EventViewSpec is not part of the rehearsal")
        entries = chosen(list(self._host.journal.entries), filter)
        return [event(self._host.name, entry) for entry in entries]

    def CreateCollectorForEvents(self, filter: Any) -> Any:
        """A collector that the session keeps."""
        chosen([], filter)
        assert self._caller.session is not None
        moid = f"session-event-collector-{next(_numbers)}"
        self._caller.session.event_collectors[moid] = EventCollector(filter)
        return ref("EventHistoryCollector", moid)


class EventHistoryCollector(Managed):
    """One session's view on the events."""

    @classmethod
    def ids(cls, face: Any, caller: Any) -> Iterator[str]:
        """The session's collectors."""
        yield from caller.session.event_collectors if caller.session else ()

    @property
    def filter(self) -> Any:
        """What it was made with."""
        return self._collector.filter

    @property
    def latestPage(self) -> Any:
        """The newest events, newest first."""
        entries = chosen(list(self._host.journal.entries), self._collector.filter)
        return [event(self._host.name, entry) for entry in reversed(entries[-self._collector.page :])]

    def ReadNextEvents(self, maxCount: int) -> Any:
        """The events behind the ones that were read."""
        collector = self._collector
        entries = chosen(list(self._host.journal.entries), collector.filter)
        page = [entry for entry in entries if entry.key > collector.read][:maxCount]
        collector.read = page[-1].key if page else collector.read
        return [event(self._host.name, entry) for entry in page]

    def RewindCollector(self) -> None:
        """Read from the oldest event on."""
        self._collector.read = 0

    def SetCollectorPageSize(self, maxCount: int) -> None:
        """How long `latestPage` is."""
        if maxCount < 1:
            raise fault("InvalidArgument", "A specified parameter was not correct: maxCount")
        self._collector.page = min(maxCount, 1000)

    def DestroyCollector(self) -> None:
        """Forget it."""
        self._session.event_collectors.pop(self._moid, None)

    @property
    def _session(self) -> Session:
        assert self._caller.session is not None
        return self._caller.session

    @property
    def _collector(self) -> EventCollector:
        return self._session.event_collectors[self._moid]


def chosen(entries: list[Entry], spec: Any) -> list[Entry]:
    """The entries that an EventFilterSpec lets pass; NotSupported for conditions that the rehearsal does not have."""
    for name in ("alarm", "scheduledTask", "eventChainId", "disableFullMessage", "tag", "userName"):
        if getattr(spec, name, None):
            raise fault("NotSupported", f"EventFilterSpec.{name} is not part of the rehearsal")
    kinds = [_wsdl(kind) for kind in spec.type or ()] + list(spec.eventTypeId or ())
    about = spec.entity.entity if spec.entity else None
    only = about._moId if isinstance(about, vim.VirtualMachine) else ""
    begin = spec.time.beginTime if spec.time else None
    end = spec.time.endTime if spec.time else None
    return [
        entry
        for entry in entries
        if (not kinds or any(entry.kind == kind.rpartition(".")[2] for kind in kinds))
        and (not only or entry.vm == only)
        and (not begin or entry.when >= begin)
        and (not end or entry.when <= end)
    ]


def event(host: str, entry: Entry) -> Any:
    """The event of a journal's entry."""
    kind = VmomiSupport.GetWsdlType(NAMESPACE, entry.kind)
    # What some kinds demand and the journal does not tell apart.
    demanded = {
        "configSpec": vim.vm.ConfigSpec(),
        "datastore": vim.event.DatastoreEventArgument(
            name=entry.message.rpartition(" ")[2], datastore=ref("Datastore", "")
        ),
        "ipAddress": "127.0.0.1",
        "locale": "en",
        "loginTime": entry.when,
        "sessionId": "",
        "template": False,
    }
    known = {item.name for item in kind._GetPropertyList()}
    made = kind(
        key=entry.key,
        chainId=entry.key,
        createdTime=entry.when,
        userName=entry.user,
        fullFormattedMessage=entry.message,
        host=vim.event.HostEventArgument(name=host, host=ref("HostSystem", "ha-host")),
        datacenter=vim.event.DatacenterEventArgument(
            name="ha-datacenter", datacenter=ref("Datacenter", "ha-datacenter")
        ),
        **{name: value for name, value in demanded.items() if name in known},
    )
    if entry.vm:
        made.vm = vim.event.VmEventArgument(name=entry.vm_name, vm=ref("VirtualMachine", entry.vm))
    return made


def _wsdl(kind: Any) -> str:
    return str(VmomiSupport.GetWsdlName(kind)) if isinstance(kind, type) else str(kind)
