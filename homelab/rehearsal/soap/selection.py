"""What a PropertyFilterSpec chooses: objects by traversal, and their properties."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from pyVmomi import VmomiSupport, vmodl

from homelab.rehearsal.soap import properties
from homelab.rehearsal.soap.managed import Managed, data
from homelab.rehearsal.soap.wire import fault

if TYPE_CHECKING:
    from homelab.rehearsal.soap.face import SoapFace
    from homelab.rehearsal.soap.sessions import Caller


def check_paths(spec: Any) -> None:
    """InvalidProperty when a property set asks for something that vSphere does not have."""
    for wanted in spec.propSet:
        for path in () if wanted.all else wanted.pathSet or ():
            try:
                wanted.type._GetPropertyInfo(properties.split_path(path)[0].partition("[")[0])
            except (AttributeError, IndexError):
                raise fault("InvalidProperty", f"{path} is not a property", name=path) from None


def chosen(face: SoapFace, caller: Caller, spec: Any) -> list[Managed]:
    """The objects of a filter, each once; ManagedObjectNotFound when a named one is gone."""
    found: dict[tuple[str, str], Managed] = {}
    for start in spec.objectSet:
        target = face.find(start.obj, caller)
        if target is None:
            if spec.reportMissingObjectsInResults:
                continue
            raise not_found(start.obj)
        named: dict[str, Any] = {}
        _name_selections(start.selectSet, named)
        if not start.skip:
            found[_key(target)] = target
        for item, skip in _traverse(face, caller, target, start.selectSet, named, set()):
            if not skip:
                found[_key(item)] = item
    return [item for item in found.values() if paths_of(item, spec) is not None]


def paths_of(item: Managed, spec: Any) -> list[str] | None:
    """The property paths that a filter wants of an object; None when it wants no object of that type."""
    kind = type(item._ref)
    wanted = [entry for entry in spec.propSet if issubclass(kind, entry.type)]
    if not wanted:
        return None
    paths: list[str] = []
    for entry in wanted:
        paths += properties.known(item) if entry.all else list(entry.pathSet or ())
    return list(dict.fromkeys(paths))


def read_all(item: Managed, spec: Any) -> Iterator[tuple[str, Any]]:
    """The values that are set, by path."""
    made: dict[str, Any] = {}
    unknown = item._host.harm.unknown
    for path in paths_of(item, spec) or ():
        if path in unknown:
            continue
        value = properties.read(item, path, made)
        if value is not None:
            yield path, value


def content(item: Managed, spec: Any) -> Any:
    """The ObjectContent of one object."""
    kind = vmodl.query.PropertyCollector.ObjectContent
    properties = [data(vmodl.DynamicProperty, name=path, val=value) for path, value in read_all(item, spec)]
    return data(kind, obj=item._ref, propSet=properties)


def not_found(target: Any) -> Any:
    """ManagedObjectNotFound, in ESXi's words."""
    message = "The object has already been deleted or has not been completely created"
    return fault("ManagedObjectNotFound", message, obj=target)


def _key(item: Managed) -> tuple[str, str]:
    return type(item).__name__, item._moid


def _name_selections(selections: Iterable[Any], named: dict[str, Any]) -> None:
    for selection in selections or ():
        if isinstance(selection, vmodl.query.PropertyCollector.TraversalSpec):
            if selection.name:
                named[selection.name] = selection
            _name_selections(selection.selectSet, named)


def _traverse(
    face: SoapFace,
    caller: Caller,
    item: Managed,
    selections: Iterable[Any],
    named: dict[str, Any],
    done: set[tuple[str, str, int]],
) -> Iterator[tuple[Managed, bool]]:
    for selection in selections or ():
        rule = selection if isinstance(selection, vmodl.query.PropertyCollector.TraversalSpec) else None
        rule = rule or named.get(selection.name)
        if rule is None:
            raise fault("InvalidArgument", f"No traversal is named {selection.name}", invalidProperty="selectSet")
        # A traversal may name itself: each rule is followed once from each object.
        mark = (*_key(item), id(rule))
        if mark in done or not issubclass(type(item._ref), rule.type):
            continue
        done.add(mark)
        for target in _references(properties.read(item, rule.path)):
            following = face.find(target, caller)
            if following is not None:
                yield following, bool(rule.skip)
                yield from _traverse(face, caller, following, rule.selectSet, named, done)


def _references(value: Any) -> list[Any]:
    items = value if isinstance(value, list) else [value]
    return [item for item in items if isinstance(item, VmomiSupport.ManagedObject)]
