"""Views: the objects below another one, or those that a client names one by one."""

from collections.abc import Iterator
from itertools import count
from typing import Any

from homelab.rehearsal.soap.managed import Managed, ref
from homelab.rehearsal.soap.objects.inventory import children_of
from homelab.rehearsal.soap.wire import fault

_numbers = count(1)


class ViewManager(Managed):
    """Makes views."""

    moid = "ViewManager"

    @property
    def viewList(self) -> Any:
        """The session's views."""
        assert self._caller.session is not None
        session = self._caller.session
        lists = [ref("ListView", moid) for moid in session.lists]
        return [*(ref("ContainerView", moid) for moid in session.views), *lists]

    def CreateContainerView(self, container: Any, type: Any, recursive: bool) -> Any:
        """A list of the objects below another."""
        if self._face.find(container, self._caller) is None:
            raise fault("ManagedObjectNotFound", "The container is gone", obj=container)
        assert self._caller.session is not None
        moid = f"session-view-{next(_numbers)}"
        self._caller.session.views[moid] = (container, list(type or ()), recursive)
        return ref("ContainerView", moid)

    def CreateListView(self, obj: Any) -> Any:
        """A list of objects that are named; ManagedObjectNotFound when one of them is not there."""
        assert self._caller.session is not None
        for target in obj or ():
            if self._face.find(target, self._caller) is None:
                raise fault("ManagedObjectNotFound", "The object is gone", obj=target)
        moid = f"session-list-view-{next(_numbers)}"
        self._caller.session.lists[moid] = list(obj or ())
        return ref("ListView", moid)


class ContainerView(Managed):
    """The objects below another one, as they are now."""

    @classmethod
    def ids(cls, face: Any, caller: Any) -> Iterator[str]:
        """The session's views."""
        yield from caller.session.views if caller.session else ()

    @property
    def _made(self) -> tuple[Any, list[Any], bool]:
        assert self._caller.session is not None
        made: tuple[Any, list[Any], bool] = self._caller.session.views[self._moid]
        return made

    @property
    def container(self) -> Any:
        """Where the view begins."""
        return self._made[0]

    @property
    def type(self) -> Any:
        """The types that it lists; all of them when none is named."""
        return self._made[1]

    @property
    def recursive(self) -> bool:
        """Whether it looks below the first level."""
        return self._made[2]

    @property
    def view(self) -> Any:
        """The objects."""
        container, kinds, recursive = self._made
        found: dict[Any, None] = {}
        pending = children_of(self._face, self._caller, container)
        while pending:
            item = pending.pop(0)
            if item not in found:
                found[item] = None
                pending += children_of(self._face, self._caller, item) if recursive else []
        return [item for item in found if not kinds or isinstance(item, tuple(kinds))]

    def DestroyView(self) -> None:
        """Forget the view."""
        assert self._caller.session is not None
        self._caller.session.views.pop(self._moid, None)


class ListView(Managed):
    """The objects that were named."""

    @classmethod
    def ids(cls, face: Any, caller: Any) -> Iterator[str]:
        """The session's lists."""
        yield from caller.session.lists if caller.session else ()

    @property
    def view(self) -> Any:
        """The objects that are still there."""
        return [target for target in self._targets if self._face.find(target, self._caller)]

    def ModifyListView(self, add: Any, remove: Any) -> Any:
        """Add and remove objects; answers with those that could not be found."""
        missing = [target for target in add or () if self._face.find(target, self._caller) is None]
        kept = [target for target in self._targets if target not in list(remove or ())]
        self._set([*kept, *(target for target in add or () if target not in missing and target not in kept)])
        return missing

    def ResetListView(self, obj: Any) -> Any:
        """Name other objects; answers with those that could not be found."""
        self._set([])
        return self.ModifyListView(obj, [])

    def DestroyView(self) -> None:
        """Forget the view."""
        assert self._caller.session is not None
        self._caller.session.lists.pop(self._moid, None)

    @property
    def _targets(self) -> list[Any]:
        assert self._caller.session is not None
        return list(self._caller.session.lists[self._moid])

    def _set(self, targets: list[Any]) -> None:
        assert self._caller.session is not None
        with self._host.lock:
            self._caller.session.lists[self._moid] = targets
            self._host.touch(dirty=False)
