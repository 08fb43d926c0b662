"""A host itself: services, software packages, configuration, reboot."""

from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from pyVmomi import vim

from homelab.ports.vsphere.esxcli import esxcli
from homelab.ports.vsphere.session import Session, parsed
from homelab.ports.vsphere.storage import download

ENTERED, LEFT = "EnteredMaintenanceModeEvent", "ExitMaintenanceModeEvent"


@dataclass(frozen=True)
class HostEvent:
    """Something that happened on a host since its boot; `at` is by the host's own clock."""

    kind: str
    at: datetime


def maintenance_events(session: Session, since: datetime) -> tuple[HostEvent, ...]:
    """Every entering and leaving of maintenance mode since a time; hostd forgets its events with a reboot."""
    spec = vim.event.EventFilterSpec(
        eventTypeId=[f"vim.event.{kind}" for kind in (ENTERED, LEFT)],
        time=vim.event.EventFilterSpec.ByTime(beginTime=since),
    )
    events = session.content.eventManager.QueryEvents(spec)
    return tuple(HostEvent(type(event).__name__.rpartition(".")[2], event.createdTime) for event in events)


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
