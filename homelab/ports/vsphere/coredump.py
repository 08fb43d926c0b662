"""Core dumps of a host: a file on VMFS, by esxcli over 443, for the vSphere API has no call for it."""

from homelab.ports.vsphere.esxcli import esxcli
from homelab.ports.vsphere.session import Session


def add_coredump_file(session: Session, datastore: str, name: str) -> None:
    """Make a dump file on a VMFS datastore and use it; nothing is made where one is active already."""
    active = esxcli(session, "system coredump file get")
    if any(row.get("Active") for row in active):
        return
    there = [row for row in esxcli(session, "system coredump file list") if name in row.get("Path", "")]
    if not there:
        esxcli(session, "system coredump file add", writes=True, datastore=datastore, file=name)
    esxcli(session, "system coredump file set", writes=True, enable=True, smart=True)
