"""The JSON that commands print, as models: what docs/reference/stability.md promises, and `homelab schema` prints.

A reader has to pass over keys that it does not know: versions to come may add some. Sizes are in bytes unless a name
ends in `_mib`, times are RFC 3339. What nobody could tell is null.
"""

from typing import Any

from pydantic import BaseModel, TypeAdapter

from homelab.output.shapes.files import (
    Backup,
    Bundle,
    Devices,
    Faults,
    KickstartChecked,
    Kubeconfig,
    NewInventory,
    PageReady,
    RehearsalReady,
    StickBuilt,
    StickMended,
    StickVerified,
    StickWritten,
    Trust,
    Versions,
)
from homelab.output.shapes.looks import ImageList, LbConfig, LbStatus, Status, VmList
from homelab.output.shapes.runs import Checks, Event, Plan

DIALECT = "https://json-schema.org/draft/2020-12/schema"

# Document -> its shape, and the commands that print it.
DOCUMENTS: dict[str, tuple[type[BaseModel], tuple[str, ...]]] = {
    "plan": (Plan, ("plan",)),
    "event": (
        Event,
        (
            "bootstrap", "driver-fix", "vm create", "vm destroy", "vm rebuild", "vm move", "image prune", "down", "up",
            "destroy", "lb drain", "lb ready", "kubernetes upgrade", "usb install", "rehearse",
        ),
    ),
    "checks": (Checks, ("verify", "doctor")),
    "status": (Status, ("status",)),
    "vm-list": (VmList, ("vm list",)),
    "image-list": (ImageList, ("image list",)),
    "lb-status": (LbStatus, ("lb status",)),
    "lb-config": (LbConfig, ("lb config",)),
    "trust": (Trust, ("trust",)),
    "kubeconfig": (Kubeconfig, ("kubernetes kubeconfig",)),
    "backup": (Backup, ("kubernetes backup",)),
    "bundle": (Bundle, ("kubernetes bundle",)),
    "init": (NewInventory, ("init",)),
    "usb-build": (StickBuilt, ("usb build",)),
    "usb-verify": (StickVerified, ("usb verify",)),
    "usb-lint": (KickstartChecked, ("usb lint",)),
    "usb-write": (StickWritten, ("usb write",)),
    "usb-devices": (Devices, ("usb write",)),
    "driver-fix-stick": (StickMended, ("driver-fix",)),
    "rehearsal-serve": (RehearsalReady, ("rehearsal serve",)),
    "status-serve": (PageReady, ("status",)),
    "rehearsal-fault": (Faults, ("rehearsal fault",)),
    "version": (Versions, ()),
}  # fmt: skip


def output_schema(name: str) -> dict[str, Any]:
    """The JSON Schema of a document; further keys are allowed, for versions to come may add some."""
    made = TypeAdapter(DOCUMENTS[name][0]).json_schema(by_alias=True, mode="validation")
    return {"$schema": DIALECT, **_plain(made)}


def _plain(form: Any) -> Any:
    if isinstance(form, list):
        return [_plain(item) for item in form]
    if not isinstance(form, dict):
        return form
    closed = form.get("additionalProperties") is False
    kept = {key: value for key, value in form.items() if not (closed and key == "additionalProperties")}
    return {key: _plain(value) for key, value in kept.items() if key != "title" or not isinstance(value, str)}
