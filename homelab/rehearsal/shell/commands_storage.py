"""The esxcli commands about datastores, each named after its path; parameters are its options."""

from homelab.rehearsal.host.host import Host
from homelab.rehearsal.shell.answers import Failure, table
from homelab.rehearsal.shell.layouts import Block, Blocks, Output, Value
from homelab.rehearsal.state.disks import Disk
from homelab.rehearsal.state.refusals import AlreadyExists, NasRefused, ResourceInUse
from homelab.rehearsal.storage.datastores import MIB, VOLUMES

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
            host.datastores.accessible(mount),
            True,
            mount.access_mode == "readOnly",
            False,
            HARDWARE,
        )
        for mount in host.datastores.nas_mounts()
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
            host.datastores.accessible(mount),
            host.datastores.accessible(mount),
            mount.access_mode == "readOnly",
            "AUTH_SYS",
            False,
            HARDWARE if host.datastores.accessible(mount) else NO_ANSWER,
        )
        for mount in host.datastores.nas_mounts()
        if mount.kind != "NFS"
    )
    return table("NFS41Volume", columns, rows)


def storage_nfs_add(host: Host, host_: str, share: str, volume_name: str, readonly: bool = False) -> Output:
    """Mount an export."""
    try:
        host.datastores.mount_nas(host_, share, volume_name, read_only=readonly)
    except AlreadyExists as refusal:
        raise Failure(f"Unable to create new NAS volume.  {refusal.message}") from refusal
    except NasRefused as refusal:
        raise Failure(f"{SYSINFO}{refusal.message}{SYSINFO_END}") from refusal
    return None


def storage_nfs41_add(host: Host, hosts: str, share: str, volume_name: str, readonly: bool = False) -> Output:
    """Mount an export by NFS 4.1."""
    try:
        host.datastores.mount_nas(hosts, share, volume_name, read_only=readonly, kind="NFS41")
    except AlreadyExists as refusal:
        raise Failure(f"Unable to create new NAS volume.  {refusal.message}") from refusal
    except NasRefused as refusal:
        raise Failure(f"{SYSINFO}{refusal.message}{SYSINFO_END}") from refusal
    return None


def storage_nfs41_remove(host: Host, volume_name: str) -> Output:
    """Unmount a datastore of NFS 4.1."""
    return _remove(host, volume_name, "NFS41")


def storage_nfs_remove(host: Host, volume_name: str) -> Output:
    """Unmount a datastore of NFS 3."""
    return _remove(host, volume_name, "NFS")


def _remove(host: Host, name: str, kind: str) -> Output:
    if not any((mount.name, mount.kind) == (name, kind) for mount in host.datastores.nas_mounts()):
        raise Failure(f"Error performing operation: Volume {name} not found")
    try:
        host.datastores.unmount_nas(name)
    except ResourceInUse as refusal:
        raise Failure(f"Error performing operation: {refusal.message}") from refusal
    return None


def storage_filesystem_list(host: Host) -> Output:
    """Every mounted volume; the boot medium's own are not simulated."""
    columns = ("Mount Point", "Volume Name", "UUID", "Mounted", "Type", "Size", "Free")
    rows = []
    for mount in host.datastores.mounts.values():
        mounted, uuid = host.datastores.accessible(mount), mount.volume.directory
        size, free = host.datastores.volumes.space(mount.volume) if mounted else (0, 0)
        rows.append((f"{VOLUMES}/{uuid}", mount.name, uuid, mounted, mount.file_system, size, free))
    return table("FilesystemVolume", columns, tuple(rows))


def storage_vmfs_extent_list(host: Host) -> Output:
    """Which partition of which disk a VMFS lies on."""
    columns = ("Volume Name", "VMFS UUID", "Extent Number", "Device Name", "Partition")
    rows = tuple(
        (mount.name, mount.volume.directory, 0, mount.disk, mount.partition) for mount in host.datastores.vmfs_mounts()
    )
    return table("VMFSExtent", columns, rows)


def storage_core_device_list(host: Host, device: str | None = None) -> Output:
    """The disks, a block each."""
    disks = [disk for disk in host.disks.values() if device in (None, disk.canonical_name)]
    if not disks:
        raise Failure(f"Unable to find device with name {device}")
    blocks = (Block(_device(disk), disk.canonical_name) for disk in disks)
    return Blocks("SCSIDevice", tuple(blocks))


def _device(disk: Disk) -> dict[str, Value]:
    """The recorded fields of a USB stick on a release that knows vVols (6.0 and later)."""
    usb = disk.model.usb
    return {
        "Display Name": disk.display_name,
        "Has Settable Display Name": not usb,
        "Size": disk.model.size // MIB,
        "Device Type": "Direct-Access",
        "Multipath Plugin": "NMP",
        "Devfs Path": disk.device_path,
        "Vendor": disk.model.vendor,
        "Model": disk.model.name[:16],
        "Revision": disk.model.revision[:4],
        "SCSI Level": 2 if usb else 5,
        "Is Pseudo": False,
        "Status": "on",
        "Is RDM Capable": False,
        "Is Local": True,
        "Is Removable": usb,
        "Is SSD": disk.ssd,
        "Is VVOL PE": False,
        "Is Offline": False,
        "Is Perennially Reserved": False,
        "Queue Full Sample Size": 0,
        "Queue Full Threshold": 0,
        "Thin Provisioning Status": "unknown",
        "Attached Filters": "",
        "VAAI Status": "unsupported" if usb else "unknown",
        "Other UIDs": f"vml.{disk.uuid}",
        "Is Shared Clusterwide": False,
        "Is Local SAS Device": False,
        "Is SAS": False,
        "Is USB": usb,
        "Is Boot USB Device": usb and disk.boot,
        "Is Boot Device": disk.boot,
        "Device Max Queue Depth": 1 if usb else 31,
        "No of outstanding IOs with competing worlds": 32,
    }
