"""The list of a VM's snapshots as it lies beside its .vmx, NAME.vmsd, there and back. Pure.

The entries are those of VMware's KB 337269; a real NAME-SnapshotN.vmsn is binary, here it is the .vmx of then.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from homelab.rehearsal.state.vm import Snapshot, Vm
from homelab.rehearsal.vms.vmx import Values, quote

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


def vmsd_of(vm: Vm) -> str:
    """The datastore path of the list."""
    return vm.vmx_path.removesuffix(".vmx") + ".vmsd"


def vmsn_of(vm: Vm, uid: int) -> str:
    """The datastore path of what one snapshot keeps."""
    return f"{vm.vmx_path.removesuffix('.vmx')}-Snapshot{uid}.vmsn"


def render_vmsd(vm: Vm) -> str:
    """The text of the list."""
    values = {
        ".encoding": "UTF-8",
        "snapshot.lastUID": str(vm.last_snapshot),
        "snapshot.current": str(vm.current_snapshot),
        "snapshot.numSnapshots": str(len(vm.snapshots)),
    }
    for index, one in enumerate(vm.snapshots.values()):
        made = (one.made - EPOCH) // MICROSECOND
        values |= {
            f"snapshot{index}.uid": str(one.uid),
            f"snapshot{index}.filename": vmsn_of(vm, one.uid).rpartition("/")[2],
            f"snapshot{index}.parent": str(one.parent),
            f"snapshot{index}.displayName": one.name,
            f"snapshot{index}.description": one.description,
            f"snapshot{index}.createTimeHigh": str(made >> 32),
            f"snapshot{index}.createTimeLow": str(made & 0xFFFFFFFF),
        }
    return "".join(f"{key} = {quote(value)}\n" for key, value in values.items())


def take_vmsd(vm: Vm, text: str, read: Callable[[str], str]) -> None:
    """Give a VM the snapshots of a list; `read` reads the file of a datastore path."""
    values = Values(text, vmsd_of(vm)).rest()
    vm.last_snapshot = int(values.get("snapshot.lastUID", 0))
    vm.current_snapshot = int(values.get("snapshot.current", 0))
    for index in range(int(values.get("snapshot.numSnapshots", 0))):
        said = {key.partition(".")[2]: value for key, value in values.items() if key.startswith(f"snapshot{index}.")}
        uid, made = int(said["uid"]), (int(said["createTimeHigh"]) << 32) + int(said["createTimeLow"])
        vm.snapshots[uid] = Snapshot(
            uid,
            said.get("displayName", ""),
            said.get("description", ""),
            EPOCH + made * MICROSECOND,
            read(vmsn_of(vm, uid)),
            int(said.get("parent", 0)),
        )
