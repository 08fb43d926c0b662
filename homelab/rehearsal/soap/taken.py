"""What of a specification is taken: whatever else a client sets is refused by its path, and never dropped.

The properties are those of pyVmomi's type table, so what a later release adds is refused until somebody takes it.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from pyVmomi import VmomiSupport, vmodl

from homelab.rehearsal.soap.wire import fault

NOTHING: Mapping[str, tuple[Any, ...]] = {}


def refuse_rest(
    spec: Any, taken: Collection[str], *, now: Any = None, harmless: Mapping[str, tuple[Any, ...]] = NOTHING
) -> None:
    """NotSupported for the first property that is set and not taken: see `rest_of`."""
    for path in rest_of(spec, taken, now=now, harmless=harmless):
        raise fault("NotSupported", f"{path} is not part of the rehearsal")


def rest_of(
    spec: Any, taken: Collection[str], *, now: Any = None, harmless: Mapping[str, tuple[Any, ...]] = NOTHING
) -> list[str]:
    """What is set and not taken, each as `HostDnsConfig.address`.

    `taken` are paths (`ip.dhcp`; one takes all that is below it, and a list's elements have the path of the list).
    What says what `now` says, a specification of the same kind, changes nothing; nor do the `harmless` values of a
    path, which clients send unasked.
    """
    found = ((path, value) for path, value, before in _set(spec, now, "", taken) if value != before)
    kind = VmomiSupport.GetWsdlName(type(spec))
    return [f"{kind}.{path}" for path, value in found if value not in harmless.get(path, ())]


def _set(spec: Any, now: Any, prefix: str, taken: Collection[str]) -> Iterator[tuple[str, Any, Any]]:
    """The path, the value, and the value of now, of every property that is set and not taken."""
    for info in spec._GetPropertyList():
        value, path = getattr(spec, info.name), prefix + info.name
        several = isinstance(value, list)
        if value is None or (several and not value) or path in taken:
            continue
        before = getattr(now, info.name, None)
        items, olds = (value, before or []) if several else ([value], [before])
        if not isinstance(items[0], vmodl.DynamicData):
            yield path, value, before
            continue
        for number, item in enumerate(items):
            # An object that says nothing but its kind says something all the same.
            if type(item) is not (info.type.Item if several else info.type) and not kept(item):
                yield path, item, None
            yield from _set(item, olds[number] if number < len(olds) else None, f"{path}.", taken)


def kept(data: Any) -> dict[str, Any]:
    """What is set of a data object, as a mapping that nests as it does; without objects of which nothing is set."""
    found: dict[str, Any] = {}
    for info in data._GetPropertyList():
        value = getattr(data, info.name)
        if isinstance(value, vmodl.DynamicData):
            value = kept(value) or None
        elif isinstance(value, list):
            value = [kept(item) if isinstance(item, vmodl.DynamicData) else item for item in value] or None
        if value is not None:
            found[info.name] = value
    return found


def built(kind: Any, fields: Mapping[str, Any]) -> Any:
    """The data object of a mapping that `kept` made."""
    made = {}
    for name, value in fields.items():
        declared = kind._GetPropertyInfo(name).type
        made[name] = built(declared, value) if isinstance(value, Mapping) else value
    return kind(**made)
