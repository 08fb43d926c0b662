"""What is planned for a VM that is wanted off, or absent. Pure."""

from collections.abc import Sequence

from homelab.engine.step import Blocked, Planned
from homelab.errors import Refused
from homelab.lab import Vm
from homelab.ports.vsphere import VmLook
from homelab.ports.vsphere.vm_look import ID
from homelab.steps.vms.bases import is_base
from homelab.steps.vms.vm_changes import DestroyVm, ShutDownVm
from homelab.steps.vms.vm_files import remains, strangers
from homelab.steps.vms.vm_folder import FolderLook, Making

SHUT_DOWN_SECONDS = 120.0


def switched_off(vm: Vm, host: str, found: VmLook) -> list[ShutDownVm]:
    """Shut a VM down that is on."""
    return [ShutDownVm(vm.name, host, found.path, SHUT_DOWN_SECONDS)] if found.powered_on else []


def destroyed(
    vm: Vm, host: str, found: VmLook, making: Making | None, folder: FolderLook | None
) -> Sequence[Planned[ShutDownVm | DestroyVm]]:
    """Shut down and destroy a VM that a host has. Raises Refused when it is not surely the one that we made."""
    making = _its_making(vm, host, found, making)
    if alien := _alien(making, found):
        raise _refused(
            vm,
            host,
            f"it has disks that we did not write, or sits on them: {', '.join(alien)}",
            "Delete its snapshots, or take those disks out of the VM (without deleting them), and run again",
        )
    if folder and (doubt := _in_use(vm, host, making, folder)):
        return doubt
    left = strangers(making, folder) if folder else ()
    return [*switched_off(vm, host, found), DestroyVm(vm.name, host, making, True, left, str(vm.address))]


def remains_destroyed(vm: Vm, host: str, making: Making, folder: FolderLook | None) -> Sequence[Planned[DestroyVm]]:
    """Delete what is left of a VM that no host has any more. Raises Refused while other VMs use it."""
    if folder is None or not remains(making, folder):
        return []
    if doubt := _in_use(vm, host, making, folder):
        return doubt
    return [DestroyVm(vm.name, host, making, False, strangers(making, folder), str(vm.address))]


def _in_use(vm: Vm, host: str, making: Making, folder: FolderLook) -> Sequence[Planned[DestroyVm]]:
    """What must come first while VMs may use its files without our knowing. Raises Refused for those that do."""
    if folder.users:
        raise _refused(
            vm,
            host,
            f"other VMs use files in {making.place}: {', '.join(folder.users)}",
            "Give those VMs files of their own first (a linked clone becomes whole when it is cloned), and run again",
        )
    if folder.doubt:
        return [Blocked(vm.name, f"{folder.doubt}: a disk there may sit on the disk of {vm.name}")]
    return []


def in_doubt(vm: Vm, silent: Sequence[str], unread: Sequence[str]) -> Sequence[Planned[DestroyVm]]:
    """What must come first, where a VM that was not found may be there all the same."""
    if unread:
        return [Blocked(vm.name, f"the files of {', '.join(unread)} can be read again: that may be {vm.name}")]
    if silent:
        return [Blocked(vm.name, f"{' and '.join(silent)} can be asked: no other host has {vm.name}")]
    return []


def of_somebody_else(vm: Vm, host: str, making: Making, path: str) -> Refused:
    """Another VM has the name."""
    return _refused(
        vm,
        host,
        f"the VM of that name is not of this lab: {path}; ours would be {making.place}/{making.vmx}, which is gone",
        "Nothing of ours is left to destroy; look after the other one yourself",
    )


def _its_making(vm: Vm, host: str, found: VmLook, making: Making | None) -> Making:
    if ID not in found.marks:
        raise _refused(
            vm,
            host,
            f"{found.path} carries the mark of an earlier version, which does not say which VM it was laid on",
            f"If it is the one, set {ID} to '{found.identity}' in its configuration parameters, and run again",
        )
    if making is None:
        raise _refused(
            vm,
            host,
            f"it lies at {found.path}, where this lab makes no VM",
            "Destroy it yourself in the host's web page, when it is yours",
        )
    return making


def _alien(making: Making, found: VmLook) -> list[str]:
    """The disks in a VM that we did not make for it, and those that they sit on, but for a base of ours."""
    own, used = f"{making.place}/{making.disk}", {disk.path for disk in found.disks}
    files = dict.fromkeys(file for file in found.files if file.endswith(".vmdk") and file != own)
    return [file for file in files if file in used or not is_base(making.lab, making.datastore, file)]


def _refused(vm: Vm, host: str, what: str, advice: str) -> Refused:
    return Refused(f"the VM {vm.name} on {host} is not destroyed: {what}", where=vm.name, advice=advice)
