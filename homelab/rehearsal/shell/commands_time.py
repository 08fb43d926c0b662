"""The esxcli commands about time servers, from 7.0 on; each named after its path."""

from homelab.rehearsal.host.host import Host
from homelab.rehearsal.shell.answers import Failure
from homelab.rehearsal.shell.layouts import Block, Blocks, Output, Value
from homelab.rehearsal.shell.time_programs import is_text


def system_ntp_get(host: Host) -> Output:
    """Whether the host asks for the time, and whom."""
    _must_know(host, "get")
    runs = host.services["ntpd"].running
    servers = tuple(host.settings.ntp_servers)
    fields: dict[str, Value] = {"Enabled": runs, "Loglevel": "warning", "Runtime Enabled": runs, "Servers": servers}
    return Blocks("NTP", (Block(fields),), single=True)


def system_ntp_set(host: Host, server: list[str] | None = None, enabled: bool | None = None) -> Output:
    """Say whom the host asks for the time; start the service for good, or stop it."""
    _must_know(host, "set")
    with host.lock:
        if server is not None:
            host.settings.ntp_servers = list(server)
        if enabled is not None:
            host.services.set("ntpd", running=False)
            host.services.set("ntpd", running=enabled, policy="on" if enabled else "off")
        host.touch()
    return None


def _must_know(host: Host, verb: str) -> None:
    if is_text(host):
        raise Failure(f"Error: Unknown command or namespace system ntp {verb}")
