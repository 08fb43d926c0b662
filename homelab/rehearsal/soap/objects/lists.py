"""Views on objects that a client names one by one."""

from collections.abc import Iterator
from typing import Any

from homelab.rehearsal.soap.managed import Managed


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
