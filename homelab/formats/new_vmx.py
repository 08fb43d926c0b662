"""The .vmx that we write ourselves, for a VM such as the API makes: the same devices at the same places. Pure."""

from collections.abc import Mapping

from homelab.formats.vmx import render_vmx, spaced_uuid

# Without them a VM has no slots for PCI Express, which vmxnet3 and pvscsi sit in; every .vmx of ESXi has these.
BRIDGES = {"pciBridge0.present": "TRUE"} | {
    f"pciBridge{number}.{key}": value
    for number in (4, 5, 6, 7)
    for key, value in (("present", "TRUE"), ("virtualDev", "pcieRootPort"), ("functions", "8"))
}
# The drive with the seed: the first place of the first IDE controller, as the API is asked for it.
DRIVE = "ide0:0"


def vmx_of(
    *,
    name: str,
    cpus: int,
    memory_mib: int,
    disk: str,
    seed: str | None,
    network: str,
    mac: str | None,
    settings: Mapping[str, str],
    instance_uuid: str | None,
) -> str:
    """The text for a new VM; `disk` and `seed` are names of files beside it; without a seed there is no drive.

    `settings` are marks and whatever else the VM's configuration is to say.

    It has neither `uuid.bios` nor `uuid.location`: the host writes them at the first start, and so asks nobody whether
    the VM was moved or copied.
    """
    values = {
        "config.version": "8",
        "virtualHW.version": "13",
        "displayName": name,
        "guestOS": "otherlinux-64",
        "numvcpus": str(cpus),
        "memSize": str(memory_mib),
        "nvram": f"{name}.nvram",
        "vmci0.present": "TRUE",
        "floppy0.present": "FALSE",
        **BRIDGES,
        "scsi0.present": "TRUE",
        "scsi0.virtualDev": "pvscsi",
        "scsi0:0.present": "TRUE",
        "scsi0:0.deviceType": "scsi-hardDisk",
        "scsi0:0.fileName": disk,
        **_drive(seed),
        "ethernet0.present": "TRUE",
        "ethernet0.virtualDev": "vmxnet3",
        **nic_on(network),
        **_address(mac),
        "ethernet0.startConnected": "TRUE",
    }
    if instance_uuid:
        values["vc.uuid"] = spaced_uuid(instance_uuid)
    return render_vmx({**values, **settings})


def nic_on(network: str, number: int = 0) -> dict[str, str]:
    """The port group of a NIC."""
    return {f"ethernet{number}.networkName": network}


def sizes(cpus: int | None, memory_mib: int | None) -> dict[str, str]:
    """CPUs and memory, each where it is told."""
    return ({} if cpus is None else {"numvcpus": str(cpus)}) | (
        {} if memory_mib is None else {"memSize": str(memory_mib)}
    )


def emptied(drive: str) -> dict[str, str]:
    """A CD-ROM drive (`ide0:0`) with nothing in it."""
    return {
        f"{drive}.deviceType": "atapi-cdrom",
        f"{drive}.fileName": "emptyBackingString",
        f"{drive}.clientDevice": "TRUE",
        f"{drive}.startConnected": "FALSE",
    }


def _drive(seed: str | None) -> dict[str, str]:
    if seed is None:
        return {}
    values = {"present": "TRUE", "deviceType": "cdrom-image", "fileName": seed, "startConnected": "TRUE"}
    return {f"{DRIVE}.{key}": value for key, value in values.items()}


def _address(mac: str | None) -> dict[str, str]:
    if mac is None:
        return {"ethernet0.addressType": "generated"}
    return {"ethernet0.addressType": "static", "ethernet0.address": mac}
