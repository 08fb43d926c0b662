"""Core dumps of a host: a file on VMFS, by esxcli over 443, for the vSphere API has no call for it."""

from homelab.errors import HostFault
from homelab.ports.vsphere.esxcli import esxcli
from homelab.ports.vsphere.session import Session


def dump_file(session: Session) -> str:
    """The path of the file that is in use for core dumps or configured for it; empty when there is none."""
    rows = esxcli(session, "system coredump file get")
    return next((path for row in rows for key in ("Active", "Configured") if (path := row.get(key))), "")


def add_coredump_file(session: Session, datastore: str, name: str) -> None:
    """Make a dump file on a VMFS datastore and use it; nothing happens where another one was chosen, in use or not.

    It is chosen by its path: `--smart` would take any that lies on the host. Raises HostFault.
    """
    if dump_file(session):
        return
    path = _path_of(session, name)
    if path is None:
        esxcli(session, "system coredump file add", writes=True, datastore=datastore, file=name)
        path = _path_of(session, name)
    if path is None:
        raise HostFault(
            f"the file {name} for core dumps was made on {datastore}, and the host does not list it",
            where=session.where,
            advice="Look at `esxcli system coredump file list` there, and run again",
        )
    esxcli(session, "system coredump file set", writes=True, enable=True, path=path)


def _path_of(session: Session, name: str) -> str | None:
    """The path of exactly this file; that of brix1 begins as that of brix10 does."""
    paths = (row.get("Path", "") for row in esxcli(session, "system coredump file list"))
    return next((path for path in paths if path.rpartition("/")[2] == f"{name}.dumpfile"), None)
