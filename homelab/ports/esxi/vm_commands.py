"""The commands of an ESXi host's shell that make and change VMs, as lists of arguments. Pure."""

import re

VOLUMES = "/vmfs/volumes"


def volume_path(datastore_path: str) -> str:
    """`[DATASTORE] a/b` as a path of the shell; ValueError for anything else."""
    found = re.fullmatch(r"\[([^\]/]+)\] (\S.*)", datastore_path)
    if found is None or ".." in found[2].split("/"):
        raise ValueError(f"no datastore path: {datastore_path!r}")
    return f"{VOLUMES}/{found[1]}/{found[2]}"


def clone_disk(source: str, target: str) -> list[str]:
    """A thin copy of a disk; vmkfstools refuses one that is there."""
    return ["vmkfstools", "-i", volume_path(source), volume_path(target), "-d", "thin"]


def rename_disk(source: str, target: str) -> list[str]:
    """Give a disk another name, descriptor and data; vmkfstools refuses one that is there."""
    return ["vmkfstools", "-E", volume_path(source), volume_path(target)]


def extend_disk(path: str, size_gib: int) -> list[str]:
    """Grow a disk, without zeroing."""
    return ["vmkfstools", "-X", f"{size_gib}G", volume_path(path)]


def delete_disk(path: str) -> list[str]:
    """Delete a disk, descriptor and data."""
    return ["vmkfstools", "-U", volume_path(path)]


def register(vmx: str) -> list[str]:
    """Take a .vmx into the inventory; prints the new VM's number."""
    return ["vim-cmd", "solo/registervm", volume_path(vmx)]


def of_vm(verb: str, number: str, *words: str) -> list[str]:
    """Something about a VM by its number, which is its id in the API too: `power.on`, `reload`."""
    if not number.isdecimal():
        raise ValueError(f"no number of a VM: {number!r}")
    return ["vim-cmd", f"vmsvc/{verb}", number, *words]


def start_with_host(number: str, order: int, seconds: int, stop_action: str) -> list[str]:
    """Put a VM among those that start with the host; a number below 0 would be taken for an option."""
    words = ["powerOn", str(seconds), str(order), stop_action, "systemDefault", "no"]
    return _autostart_entry(number, *words, options_end=order < 0)


def start_no_more(number: str) -> list[str]:
    """Take a VM out of those that start and stop with the host."""
    words = ["none", "systemDefault", "-1", "none", "systemDefault", "systemDefault"]
    return _autostart_entry(number, *words, options_end=True)


def enable_autostart() -> list[str]:
    """Let VMs start with the host at all."""
    return ["vim-cmd", "hostsvc/autostartmanager/enable_autostart", "true"]


def _autostart_entry(number: str, *words: str, options_end: bool) -> list[str]:
    """VMId StartAction StartDelay StartOrder StopAction StopDelay WaitForHeartbeat."""
    if not number.isdecimal():
        raise ValueError(f"no number of a VM: {number!r}")
    end = ["--"] if options_end else []
    return ["vim-cmd", "hostsvc/autostartmanager/update_autostartentry", *end, number, *words]


def disconnect(number: str, key: int) -> list[str]:
    """Disconnect a device of a VM that runs, by its key."""
    return of_vm("device.connection", number, str(key), "0")
