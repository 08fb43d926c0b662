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
        raise not_simulated(path)


def not_simulated(path: str, value: Any = None) -> Any:
    """The refusal of a property that the rehearsal does not have, or not with that value."""
    shown = f" = {value}" if isinstance(value, bool | int | str) else ""
    return fault("NotSupported", f"{path}{shown} is not part of the rehearsal")


def rest_of(
    spec: Any, taken: Collection[str], *, now: Any = None, harmless: Mapping[str, tuple[Any, ...]] = NOTHING
) -> list[str]:
    """What is set and not taken, each as `HostDnsConfig.address`.

    `taken` are paths (`ip.dhcp`; one takes all that is below it, and a list's elements have the path of the list).
    What says what `now` says, a specification of the same kind, changes nothing; nor do the `harmless` values of a
    path, which clients send unasked.
    """
    found = ((path, value) for path, value, before in said(spec, taken, now) if value != before and path not in taken)
    kind = VmomiSupport.GetWsdlName(type(spec))
    return [f"{kind}.{path}" for path, value in found if value not in harmless.get(path, ())]


def said(spec: Any, whole: Collection[str] = (), now: Any = None, prefix: str = "") -> Iterator[tuple[str, Any, Any]]:
    """The path, the value, and the value of now, of every property that is set; those of `whole` in one piece."""
    for info in spec._GetPropertyList():
        value, path = getattr(spec, info.name), prefix + info.name
        several = isinstance(value, list)
        if value is None or (several and not value):
            continue
        before = getattr(now, info.name, None)
        items, olds = (value, before or []) if several else ([value], [before])
        if path in whole or not isinstance(items[0], vmodl.DynamicData):
            yield path, value, before
            continue
        for number, item in enumerate(items):
            # An object that says nothing but its kind, or that it is one more, says something all the same.
            if (several or type(item) is not info.type or not has_fields(info.type)) and not kept(item):
                yield path, item, None
            yield from said(item, whole, olds[number] if number < len(olds) else None, f"{path}.")


def has_fields(kind: Any) -> bool:
    """Whether a type has more than what all types have."""
    return any(info.name not in ("dynamicType", "dynamicProperty") for info in kind._GetPropertyList())


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
