"""What is taken of a device that a client adds or edits, property by property; all else is refused by its path."""

from dataclasses import dataclass, field
from typing import Any

from pyVmomi import vim

from homelab.rehearsal.soap.taken import not_simulated, refuse_rest
from homelab.rehearsal.state.places import DRIVES

KINDS = vim.vm.device
CONNECTION = frozenset(f"connectable.{name}" for name in ("startConnected", "connected", "allowGuestControl"))
PLACE = frozenset({"controllerKey", "unitNumber"})
# A host tells these of a device, and does not look at them in a specification.
TOLD_ONLY = frozenset(
    {
        # "This support can't be toggled", says the API of hotAddRemove.
        *("key", "deviceInfo.label", "deviceInfo.summary", "connectable.status", "device", "hotAddRemove"),
        *("backing.datastore", "backing.network", "backing.parent.datastore"),
    }
)


@dataclass(frozen=True)
class Table:
    """One kind of device. `taken` holds always, `at_birth` when it is added, `same` is what each of its kind has."""

    taken: frozenset[str] = frozenset()
    at_birth: frozenset[str] = frozenset()
    same: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    backings: tuple[Any, ...] = ()


IO = frozenset({"storageIOAllocation.limit", "storageIOAllocation.shares", "shares"})
TABLES = {
    KINDS.VirtualDisk: Table(
        frozenset({"capacityInKB", "capacityInBytes", *IO}),
        PLACE
        | {f"backing.{name}" for name in ("fileName", "thinProvisioned", "eagerlyScrub", "diskMode")}
        | {"backing.parent.fileName"},
        {
            "backing.sharing": ("sharingNone",),
            "backing.split": (False,),
            "backing.writeThrough": (False,),
            "backing.digestEnabled": (False,),
            "backing.parent.diskMode": ("persistent",),
            "backing.parent.thinProvisioned": (True, False),
            "storageIOAllocation.reservation": (0,),
            "nativeUnmanagedLinkedClone": (False,),
        },
        (KINDS.VirtualDisk.FlatVer2BackingInfo,),
    ),
    KINDS.VirtualEthernetCard: Table(
        frozenset({"addressType", "macAddress", "wakeOnLanEnabled", "backing.deviceName", "uptCompatibilityEnabled"})
        | CONNECTION,
        PLACE,
        {
            "backing.useAutoDetect": (False,),
            "backing.inPassthroughMode": (False,),
            "resourceAllocation.reservation": (0,),
            "resourceAllocation.limit": (-1,),
            "resourceAllocation.share.level": ("normal",),
            "resourceAllocation.share.shares": (0, 50),
        },
        (KINDS.VirtualEthernetCard.NetworkBackingInfo,),
    ),
    KINDS.VirtualCdrom: Table(
        CONNECTION | {"backing.fileName", "backing.deviceName"},
        PLACE,
        {"backing.exclusive": (False,), "backing.useAutoDetect": (False,)},
        (
            KINDS.VirtualCdrom.IsoBackingInfo,
            *(getattr(KINDS.VirtualCdrom, f"{name}BackingInfo") for name in DRIVES),
        ),
    ),
    KINDS.VirtualSCSIController: Table(
        at_birth=PLACE | {"busNumber"},
        same={"sharedBus": ("noSharing",), "scsiCtlrUnitNumber": (7,)},
    ),
    KINDS.VirtualSATAController: Table(at_birth=PLACE | {"busNumber"}),
    KINDS.VirtualIDEController: Table(at_birth=PLACE | {"busNumber"}),
}


def check(item: Any, shown: Any) -> None:
    """NotSupported for a change of a device with something that is not taken; `shown` is the device as it is told."""
    device = item.device
    table = next((one for base, one in TABLES.items() if isinstance(device, base)), Table())
    if shown is None and table == Table():
        raise not_simulated(type(device)._wsdlName)
    refuse_rest(item, ("operation", "fileOperation", "device"))
    backing = device.backing
    if table.backings and backing is not None and not isinstance(backing, table.backings):
        raise not_simulated(type(backing)._wsdlName)
    taken = table.taken | TOLD_ONLY | (table.at_birth if shown is None else frozenset())
    refuse_rest(device, taken, now=shown, harmless=table.same)
