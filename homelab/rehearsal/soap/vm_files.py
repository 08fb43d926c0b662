"""The files of a VM, as `layoutEx` tells them: read from its folder, and from where its disks lie."""

from pathlib import Path
from typing import Any

from pyVmomi import VmomiSupport, vim

from homelab.rehearsal.host.host import Host
from homelab.rehearsal.state.refusals import Refusal
from homelab.rehearsal.state.vm import Vm
from homelab.rehearsal.storage.deltas import delta_of
from homelab.rehearsal.storage.disk_files import SECTOR, flat_of
from homelab.rehearsal.storage.paths import join, split
from homelab.rehearsal.vms.snapshot_files import vmsn_of

LAYOUT = vim.vm.FileLayoutEx
KINDS = {".vmx": "config", ".vmsd": "snapshotList", ".vmsn": "snapshotData"}


def file_layout(host: Host, vm: Vm, snapshots: dict[int, Any]) -> Any:
    """FileLayoutEx of a VM; `snapshots` are references by their uid."""
    keys: dict[str, int] = {}
    infos: list[Any] = []

    def key_of(path: str, kind: str) -> int:
        if path not in keys:
            keys[path] = len(keys)
            infos.append(_file(host, keys[path], path, kind))
        return keys[path]

    def disks_of(one: Vm) -> list[Any]:
        return [_disk(host, disk.key, disk.path, key_of) for disk in one.disks]

    folder = host.datastores.path_of(vm.folder)
    for file in sorted(folder.iterdir()) if folder.is_dir() else ():
        if file.suffix in KINDS:
            key_of(f"{vm.folder}/{file.name}", KINDS[file.suffix])
    disks, kept = disks_of(vm), []
    for uid, reference in snapshots.items():
        then = host.vms.as_it_was(vm, uid)
        data = key_of(vmsn_of(vm, uid), "snapshotData")
        kept.append(LAYOUT.SnapshotLayout(key=reference, dataKey=data, memoryKey=-1, disk=disks_of(then)))
    return LAYOUT(file=infos, disk=disks, snapshot=kept, timestamp=host.now())


def _disk(host: Host, key: int, path: str, key_of: Any) -> Any:
    """A disk's chain, the base first, as real ones are told."""
    units = []
    for one in (*reversed(_parents(host, path)), path):
        file = host.datastores.path_of(one)
        data = delta_of(file) if delta_of(file).is_file() else flat_of(file)
        store, place = split(one)
        extent = join(store, f"{place.rpartition('/')[0]}/{data.name}" if "/" in place else data.name)
        units.append(LAYOUT.DiskUnit(fileKey=[key_of(one, "diskDescriptor"), key_of(extent, "diskExtent")]))
    return LAYOUT.DiskLayout(key=key, chain=units)


def _parents(host: Host, path: str) -> tuple[str, ...]:
    try:
        return host.datastores.parents_of(path)
    except Refusal:
        return ()


def _file(host: Host, key: int, path: str, kind: str) -> Any:
    size = _size(host.datastores.path_of(path))
    return LAYOUT.FileInfo(
        key=key,
        name=path,
        type=kind,
        size=VmomiSupport.long(size),
        uniqueSize=VmomiSupport.long(size),
        accessible=True,
    )


def _size(file: Path) -> int:
    return file.stat().st_blocks * SECTOR if file.is_file() else 0
