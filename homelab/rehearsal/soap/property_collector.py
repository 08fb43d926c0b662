"""The PropertyCollector: reading many properties at once, and waiting for changes of them."""

import time
from collections.abc import Iterator
from itertools import count
from typing import Any

from pyVmomi import vmodl

from homelab.rehearsal.soap import selection
from homelab.rehearsal.soap.managed import Managed, ref
from homelab.rehearsal.soap.sessions import Session
from homelab.rehearsal.soap.wire import fault, serialized

DEFAULT = "ha-property-collector"
PAGE = 100
_numbers = count(1)


class Filter:
    """One filter: its specification, and what was last reported of each object."""

    def __init__(self, spec: Any) -> None:
        self.moid = f"session-filter-{next(_numbers)}"
        self.spec = spec
        self.reported: dict[tuple[str, str], dict[str, str]] = {}
        self.references: dict[tuple[str, str], Any] = {}


class Collector:
    """One property collector of a session."""

    def __init__(self, moid: str) -> None:
        self.moid = moid
        self.filters: dict[str, Filter] = {}
        self.version = 0
        self.cancelled = False
        self.destroyed = False


class PropertyCollector(Managed):
    """vSphere's PropertyCollector; the session's own and further ones share this class."""

    @classmethod
    def ids(cls, face: Any, caller: Any) -> Iterator[str]:
        """The default one, and those that the session made."""
        yield DEFAULT
        if caller.session:
            yield from (moid for moid in caller.session.collectors if moid != DEFAULT)

    @property
    def filter(self) -> Any:
        """The filters of this collector."""
        return [ref("PropertyFilter", moid) for moid in self._collector.filters]

    def RetrieveProperties(self, specSet: Any) -> Any:
        """Everything at once, whole."""
        return self._retrieve(specSet)

    def RetrievePropertiesEx(self, specSet: Any, options: Any) -> Any:
        """Everything, in pages of `options.maxObjects`."""
        return self._page(self._retrieve(specSet), options.maxObjects or PAGE)

    def ContinueRetrievePropertiesEx(self, token: str) -> Any:
        """The next page."""
        rest, size = self._session.pages.pop(token, (None, 0))
        if rest is None:
            raise fault("InvalidArgument", "A specified parameter was not correct: token", invalidProperty="token")
        return self._page(rest, size)

    def CancelRetrievePropertiesEx(self, token: str) -> None:
        """Forget the pages to come."""
        if self._session.pages.pop(token, None) is None:
            raise fault("InvalidArgument", "A specified parameter was not correct: token", invalidProperty="token")

    def CreatePropertyCollector(self) -> Any:
        """A collector of one's own, for one thread."""
        collector = Collector(f"session-collector-{next(_numbers)}")
        self._session.collectors[collector.moid] = collector
        return ref("PropertyCollector", collector.moid)

    def DestroyPropertyCollector(self) -> None:
        """Forget the collector; whoever waits on it is woken."""
        with self._host.lock:
            self._collector.destroyed = True
            self._session.collectors.pop(self._moid, None)
            self._host.touch(dirty=False)

    def CreateFilter(self, spec: Any, partialUpdates: bool) -> Any:
        """A filter for WaitForUpdatesEx; changes are told for the paths of the filter, never for a part of one."""
        selection.check_paths(spec)
        with self._host.lock:
            selection.chosen(self._face, self._caller, spec)
            made = Filter(spec)
            self._collector.filters[made.moid] = made
            self._host.touch(dirty=False)
        return ref("PropertyFilter", made.moid)

    def WaitForUpdatesEx(self, version: str | None, options: Any) -> Any:
        """Changes since `version`; waits for the first one, and answers nothing after `maxWaitSeconds`."""
        collector = self._collector
        seconds = options.maxWaitSeconds if options else None
        deadline = None if seconds is None else time.monotonic() + seconds
        with self._host.changed:
            collector.cancelled = False
            self._take_version(collector, version)
            while True:
                if collector.cancelled or collector.destroyed or self._session.ended:
                    raise fault("RequestCanceled", "The request was canceled.")
                changes = self._changes(collector)
                if changes:
                    collector.version += 1
                    return vmodl.query.PropertyCollector.UpdateSet(version=str(collector.version), filterSet=changes)
                left = None if deadline is None else deadline - time.monotonic()
                if left is not None and left <= 0:
                    return None
                self._host.changed.wait(left)

    def WaitForUpdates(self, version: str | None) -> Any:
        """The older call: waits for ever."""
        return self.WaitForUpdatesEx(version, None)

    def CancelWaitForUpdates(self) -> None:
        """Wake whoever waits, with RequestCanceled."""
        with self._host.lock:
            self._collector.cancelled = True
            self._host.touch(dirty=False)

    @property
    def _session(self) -> Session:
        if not self._caller.session:
            raise fault("NotAuthenticated", "The session is not authenticated.")
        return self._caller.session

    @property
    def _collector(self) -> Collector:
        if self._moid == DEFAULT:
            self._session.collectors.setdefault(DEFAULT, Collector(DEFAULT))
        found: Collector | None = self._session.collectors.get(self._moid)
        if not found:
            raise selection.not_found(self._ref)
        return found

    def _retrieve(self, specs: Any) -> list[Any]:
        results = []
        with self._host.lock:
            for spec in specs:
                selection.check_paths(spec)
                results += [selection.content(item, spec) for item in selection.chosen(self._face, self._caller, spec)]
        return results

    def _page(self, results: list[Any], size: int) -> Any:
        if not results:
            return None
        token = None
        if len(results) > size:
            token = str(next(_numbers))
            self._session.pages[token] = (results[size:], size)
        return vmodl.query.PropertyCollector.RetrieveResult(token=token, objects=results[:size])

    def _take_version(self, collector: Collector, version: str | None) -> None:
        if not version:
            for item in collector.filters.values():
                item.reported.clear()
        elif version != str(collector.version):
            raise fault("InvalidCollectorVersion", "The version is not the collector's.")

    def _changes(self, collector: Collector) -> list[Any]:
        kind = vmodl.query.PropertyCollector.FilterUpdate
        updates = []
        for item in collector.filters.values():
            objects = list(self._object_changes(item))
            if objects:
                updates.append(kind(filter=ref("PropertyFilter", item.moid), objectSet=objects))
        return updates

    def _object_changes(self, item: Filter) -> Iterator[Any]:
        kind = vmodl.query.PropertyCollector.ObjectUpdate
        live = {}
        for target in self._still_there(item):
            key = (type(target).__name__, target._moid)
            live[key] = target._ref
            values = dict(selection.read_all(target, item.spec))
            texts = {path: serialized(value, self._face.version) for path, value in values.items()}
            before = item.reported.get(key)
            changes = _property_changes(before or {}, texts, values)
            if before is None or changes:
                yield kind(kind="enter" if before is None else "modify", obj=target._ref, changeSet=changes)
            item.reported[key] = texts
        for key in [key for key in item.reported if key not in live]:
            del item.reported[key]
            yield kind(kind="leave", obj=ref(*key))

    def _still_there(self, item: Filter) -> list[Managed]:
        try:
            return selection.chosen(self._face, self._caller, item.spec)
        except vmodl.fault.ManagedObjectNotFound:
            # Gone since the filter was made: the others are still watched.
            starts = [start for start in item.spec.objectSet if self._face.find(start.obj, self._caller)]
            if not starts:
                return []
            spec = type(item.spec)(propSet=item.spec.propSet, objectSet=starts)
            return selection.chosen(self._face, self._caller, spec)


class PropertyFilter(Managed):
    """A filter of one of the session's collectors."""

    @classmethod
    def ids(cls, face: Any, caller: Any) -> Iterator[str]:
        """Every filter of the session."""
        for collector in caller.session.collectors.values() if caller.session else ():
            yield from collector.filters

    def DestroyPropertyFilter(self) -> None:
        """Forget the filter."""
        assert self._caller.session is not None
        with self._host.lock:
            for collector in self._caller.session.collectors.values():
                collector.filters.pop(self._moid, None)


def _property_changes(before: dict[str, str], texts: dict[str, str], values: dict[str, Any]) -> list[Any]:
    kind = vmodl.query.PropertyCollector.Change
    changes = [kind(name=path, op="assign", val=values[path]) for path in texts if texts[path] != before.get(path)]
    return changes + [kind(name=path, op="remove") for path in before if path not in texts]
