"""The esxcli commands about datastores, each named after its path; parameters are its options."""

from homelab.rehearsal.host import Host
from homelab.rehearsal.refusals import AlreadyExists, NasRefused, ResourceInUse
from homelab.rehearsal.shell.answers import Failure, table
from homelab.rehearsal.shell.layouts import Output

VOLUMES = "/vmfs/volumes"
HARDWARE = "Not Supported"
NO_ANSWER = "Unknown"
# Recorded, with the two spaces and the words that follow without any.
SYSINFO = "Unable to complete Sysinfo operation.  Please see the VMkernel log file for more details.: Sysinfo error: "
SYSINFO_END = "See VMkernel log for details."


def storage_nfs_list(host: Host) -> Output:
    """The NFSv3 mounts."""
    columns = ("Volume Name", "Host", "Share", "Accessible", "Mounted", "Read-Only", "isPE", "Hardware Acceleration")
    rows = tuple(
        (
            mount.name,
            mount.server,
            mount.share,
            host.accessible(mount),
            True,
            mount.access_mode == "readOnly",
            False,
            HARDWARE,
        )
        for mount in host.mounts.values()
        if mount.kind == "NFS"
    )
    return table("NASVolume", columns, rows)


def storage_nfs41_list(host: Host) -> Output:
    """The NFS 4.1 mounts; one whose server is away counts as not mounted."""
    columns = (
        "Volume Name",
        "Host(s)",
        "Share",
        "Accessible",
        "Mounted",
        "Read-Only",
        "Security",
        "isPE",
        "Hardware Acceleration",
    )
    rows = tuple(
        (
            mount.name,
            mount.server,
            mount.share,
            host.accessible(mount),
            host.accessible(mount),
            mount.access_mode == "readOnly",
            "AUTH_SYS",
            False,
            HARDWARE if host.accessible(mount) else NO_ANSWER,
        )
        for mount in host.mounts.values()
        if mount.kind != "NFS"
    )
    return table("NFS41Volume", columns, rows)


def storage_nfs_add(host: Host, host_: str, share: str, volume_name: str, readonly: bool = False) -> Output:
    """Mount an export."""
    try:
        host.mount_nas(host_, share, volume_name, read_only=readonly)
    except AlreadyExists as refusal:
        raise Failure(f"Unable to create new NAS volume.  {refusal.message}") from refusal
    except NasRefused as refusal:
        raise Failure(f"{SYSINFO}{refusal.message}{SYSINFO_END}") from refusal
    return None


def storage_nfs_remove(host: Host, volume_name: str) -> Output:
    """Unmount a datastore."""
    try:
        host.unmount_nas(volume_name)
    except ResourceInUse as refusal:
        raise Failure(f"Error performing operation: {refusal.message}") from refusal
    return None


def storage_filesystem_list(host: Host) -> Output:
    """Every mounted volume; the boot medium's own are not simulated."""
    columns = ("Mount Point", "Volume Name", "UUID", "Mounted", "Type", "Size", "Free")
    rows = []
    for mount in host.mounts.values():
        size, free = host.volumes.space(mount.volume) if host.accessible(mount) else (0, 0)
        uuid = mount.volume.directory
        rows.append((f"{VOLUMES}/{uuid}", mount.name, uuid, host.accessible(mount), mount.kind, size, free))
    return table("FilesystemVolume", columns, tuple(rows))
