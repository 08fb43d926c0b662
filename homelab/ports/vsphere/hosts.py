"""A host itself: services, software packages, configuration, reboot."""

from urllib.parse import urlsplit

from homelab.ports.vsphere.esxcli import esxcli
from homelab.ports.vsphere.session import Session, parsed
from homelab.ports.vsphere.storage import download


def start_service(session: Session, key: str) -> None:
    """Start a service, `TSM-SSH` for example."""
    session.managers.serviceSystem.StartService(key)


def stop_service(session: Session, key: str) -> None:
    """Stop a service."""
    session.managers.serviceSystem.StopService(key)


def installed_vibs(session: Session) -> tuple[str, ...]:
    """The names of the installed software packages (6.5 and later)."""
    with parsed(session.where, "its packages"):
        return tuple(package.name for package in session.managers.imageConfigManager.FetchSoftwarePackages())


def configuration_backup(session: Session) -> bytes:
    """The host's configuration as a gzip tar, as `vim-cmd hostsvc/firmware/restore_config` takes it."""
    # The host in the URL is `*` and the scheme plain HTTP: only the path counts (esxi-facts, the driver fix).
    with parsed(session.where, "where the copy of its configuration is"):
        path = urlsplit(session.managers.firmwareSystem.BackupFirmwareConfiguration()).path
        if not path.startswith("/"):
            raise ValueError("no path")
    return download(session, path)


def reboot(session: Session) -> None:
    """Begin a clean reboot, which keeps the configuration; the session dies with it."""
    session.host_system.RebootHost_Task(force=True)


def installation_id(session: Session) -> str:
    """What `esxcli system uuid get` answers: made once by the installer, and copied with the stick."""
    rows = esxcli(session, "system uuid get")
    return next((value for row in rows for value in row.values()), "")
