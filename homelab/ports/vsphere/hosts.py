"""A host itself: services, software packages, reboot."""

from homelab.ports.vsphere.session import Session


def start_service(session: Session, key: str) -> None:
    """Start a service, `TSM-SSH` for example."""
    session.managers.serviceSystem.StartService(key)


def stop_service(session: Session, key: str) -> None:
    """Stop a service."""
    session.managers.serviceSystem.StopService(key)


def installed_vibs(session: Session) -> tuple[str, ...]:
    """The names of the installed software packages (6.5 and later)."""
    return tuple(package.name for package in session.managers.imageConfigManager.FetchSoftwarePackages())


def reboot(session: Session) -> None:
    """Begin a clean reboot, which keeps the configuration; the session dies with it."""
    session.host_system.RebootHost_Task(force=True)
