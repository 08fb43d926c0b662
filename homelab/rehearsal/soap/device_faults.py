"""What a host says no with to a change of a device."""

from typing import Any

from homelab.rehearsal.soap.wire import fault


def bad(name: str, where: str) -> Any:
    """A fault about the change that is being made; whoever carries out the list puts its index in."""
    return fault(name, f"Invalid configuration for device '0' ({where}).", property=where, deviceIndex=0)


def bad_operation(operation: str, more: str = "") -> Any:
    """What a host says to a change that a device does not take; its words are in vmware/govmomi#2910."""
    text = f"Invalid operation for device '0'.{more}"
    return fault("InvalidDeviceOperation", text, property="virtualDeviceSpec.device", deviceIndex=0, badOp=operation)
