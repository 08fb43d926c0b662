"""The simulated classes fit vSphere's own definitions: no name and no parameter is invented or forgotten."""

import inspect
from typing import Any

import pytest
from pyVmomi import VmomiSupport

from homelab.rehearsal.soap import face, wire

CLASSES = face._classes()


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_a_class_fits_its_definition(name: str) -> None:
    kind: Any = VmomiSupport.GetWsdlType(wire.NAMESPACE, name)
    properties = {info.name for info in kind._GetPropertyList()}
    for member, value in [one for part in (CLASSES[name], *CLASSES[name].PARTS) for one in inspect.getmembers(part)]:
        if member.startswith("_"):
            continue
        if isinstance(value, property):
            assert member in properties
        elif inspect.isfunction(value):
            info = wire.method_info(kind, member)
            assert info is not None, member
            wanted = [parameter.name for parameter in info.params]
            assert list(inspect.signature(value).parameters)[1:] == wanted, member
