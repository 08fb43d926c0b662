"""The properties of managed objects, read by their paths."""

import functools
import re
from typing import Any

from pyVmomi import VmomiSupport

from homelab.rehearsal.soap.managed import Managed
from homelab.rehearsal.soap.wire import fault

STEP = re.compile(r"(\w+)(?:\[(.+)\])?")


def read(target: Managed, path: str, made: dict[str, Any] | None = None) -> Any:
    """The value of a path such as `config.product.version`; None when it is unset, a fault when it is unknown.

    `made` keeps whole properties from one path to the next: making `config` costs more than all else in a read.
    """
    steps = _steps(path)
    if not steps or not all(steps):
        raise fault("InvalidProperty", name=path)
    kind: Any = type(target._ref)
    value: Any = target
    for index, step in enumerate(steps):
        assert step is not None
        try:
            info = kind._GetPropertyInfo(step[1])
        except AttributeError:
            raise fault("InvalidProperty", f"{path} is not a property", name=path) from None
        if index and issubclass(kind, VmomiSupport.ManagedObject):
            raise fault("InvalidProperty", f"{path} leads into another object", name=path)
        if index == 0 and not isinstance(getattr(type(target), step[1], None), property):
            raise fault("NotSupported", f"{type(target).__name__}.{path} is not part of the rehearsal")
        if index == 0 and made is not None:
            value = made[step[1]] if step[1] in made else made.setdefault(step[1], getattr(value, step[1]))
        else:
            value = None if value is None else getattr(value, step[1])
        if index == 1 and value is None and steps[0] and steps[0][1] in target.partial:
            raise fault("NotSupported", f"{type(target).__name__}.{path} is not part of the rehearsal")
        kind = info.type
        if isinstance(value, list) and issubclass(kind, list):
            value = kind(value)
        if step[2] is not None:
            value, kind = _element(value, step[2]), kind.Item
        elif value is not None and not issubclass(kind, list):
            kind = type(value) if hasattr(type(value), "_GetPropertyInfo") else kind
    return value


def known(target: Managed) -> list[str]:
    """The properties that the rehearsal has, in vSphere's order."""
    names = [info.name for info in type(target._ref)._GetPropertyList()]
    return [name for name in names if isinstance(getattr(type(target), name, None), property)]


def _element(value: Any, key: str) -> Any:
    wanted = key.strip('"')
    return next((item for item in value or () if str(getattr(item, "key", None)) == wanted), None)


@functools.lru_cache(4096)
def _steps(path: str) -> tuple[re.Match[str] | None, ...]:
    """The steps of a path, taken apart; the same few paths are read of every object."""
    return tuple(STEP.fullmatch(part) for part in split_path(path))


def split_path(path: str) -> list[str]:
    """The steps of a property path; dots inside of brackets do not part."""
    return re.findall(r"(?:[^.\[]|\[[^\]]*\])+", path)
