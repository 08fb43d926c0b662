"""No class does everything: what is more than a few dozen methods is several things, each with a name of its own."""

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from typing import Any

import homelab

MOST = 25


def classes() -> Iterator[type[Any]]:
    for found in pkgutil.walk_packages(homelab.__path__, "homelab."):
        if found.name.endswith("__main__"):
            continue
        module = importlib.import_module(found.name)
        yield from (kind for kind in vars(module).values() if inspect.isclass(kind) and kind.__module__ == found.name)


def is_written(member: object) -> bool:
    """Whether somebody wrote `def` for it: what dataclasses make has no file."""
    member = getattr(member, "fget", None) or getattr(member, "__func__", None) or getattr(member, "func", member)
    return inspect.isfunction(member) and inspect.unwrap(member).__code__.co_filename.endswith(".py")


def methods(kind: type[Any], package: str = "homelab") -> set[str]:
    """The methods and properties of a class, inherited ones too where the package is ours."""
    ours = [one for one in kind.__mro__ if one.__module__.partition(".")[0] == package]
    return {name for one in ours for name, member in vars(one).items() if is_written(member)}


def test_no_class_has_more_than_a_few_dozen_methods() -> None:
    counts = {f"{kind.__module__}.{kind.__qualname__}": len(methods(kind)) for kind in classes()}
    assert {name: count for name, count in counts.items() if count > MOST} == {}


class _Mixin:
    def inherited(self) -> None: ...


class _Sample(_Mixin):
    VALUE = 1

    def own(self) -> None: ...

    @property
    def read(self) -> int:
        return 1

    @classmethod
    def made(cls) -> None: ...


def test_properties_and_what_is_inherited_count() -> None:
    assert methods(_Sample, "tests") == {"inherited", "own", "read", "made"}
