"""The properties of managed objects, read by their paths."""

import functools
import re
from typing import Any

from pyVmomi import VmomiSupport

from homelab.rehearsal.soap.managed import Managed
from homelab.rehearsal.soap.wire import fault

SCALARS = (int, float, str)
STEP = re.compile(r"(\w+)(?:\[(.+)\])?")


def read(target: Managed, path: str, made: dict[str, Any] | None = None) -> Any:
    """The value of a path such as `config.product.version`, of the type that vSphere declares; None when it is unset.

    InvalidProperty when the type has no such path. What it has and the rehearsal does not fill is unset.
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
        value = _whole(target, step[1], made) if index == 0 else getattr(value, step[1], None)
        kind = info.type
        if isinstance(value, list) and issubclass(kind, list):
            value = kind(value)
        if step[2] is not None:
            value, kind = _element(value, step[2]), kind.Item
        if hasattr(type(value), "_GetPropertyInfo"):
            kind = type(value)
    return _declared(value, kind)


def _whole(target: Managed, name: str, made: dict[str, Any] | None) -> Any:
    """A whole property of an object."""
    if made is not None and name in made:
        return made[name]
    filled = isinstance(getattr(target.holder(name), name, None), property)
    value = getattr(target._part(name), name) if filled else target._unfilled(name)
    if made is not None:
        made[name] = value
    return value


def _declared(value: Any, kind: Any) -> Any:
    """A number or text as the type of its property: a long as a long, a state as its enum."""
    if value is None or type(value) is kind or not issubclass(kind, SCALARS):
        return value
    return kind(value)


def known(target: Managed) -> list[str]:
    """The properties that the rehearsal has, in vSphere's order."""
    names = [info.name for info in type(target._ref)._GetPropertyList()]
    return [name for name in names if isinstance(getattr(target.holder(name), name, None), property)]


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
