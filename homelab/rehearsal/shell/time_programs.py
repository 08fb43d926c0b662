"""What the ESXi shell sets the time with before 7.0: /etc/ntp.conf, chkconfig and ntpd's own script.

/etc/ntp.conf is a text file before 7.0, which ntpd and hostd read; later releases make it of their own store.
"""

from homelab.rehearsal.host.host import Host
from homelab.rehearsal.shell.call import Answer, Call

NTP_CONF = "/etc/ntp.conf"
HEAD = "restrict default kod nomodify notrap nopeer noquery\nrestrict 127.0.0.1\n"


def is_text(host: Host) -> bool:
    """Whether a person edits /etc/ntp.conf on this release."""
    return int(host.version.split(".")[0]) < 7


def ntp_conf(host: Host) -> str:
    """The text of /etc/ntp.conf."""
    servers = "".join(f"server {server}\n" for server in host.settings.ntp_servers)
    return host.edited_files.get(NTP_CONF, f"{HEAD}{servers}driftfile /etc/ntp.drift\n")


def edit(host: Host, text: str) -> None:
    """Somebody wrote /etc/ntp.conf."""
    words = [line.split() for line in text.splitlines()]
    with host.lock:
        host.edited_files[NTP_CONF] = text
        host.settings.ntp_servers = [line[1] for line in words if line[:1] == ["server"] and len(line) > 1]
        host.touch()


def chkconfig(call: Call) -> Answer:
    """Whether a service starts with the host: `chkconfig ntpd on`."""
    if len(call.arguments) != 2 or call.arguments[0] != "ntpd" or call.arguments[1] not in ("on", "off"):
        return Answer(err="chkconfig: only `ntpd on` and `ntpd off` are simulated\n", status=1)
    call.host.services.set("ntpd", policy=call.arguments[1])
    return Answer()


def ntpd(call: Call) -> Answer:
    """`/etc/init.d/ntpd start`, `stop`, `restart` or `status`."""
    verb = call.arguments[0] if len(call.arguments) == 1 else ""
    services = call.host.services
    if call.argv[0] != "/etc/init.d/ntpd" or verb not in ("start", "stop", "restart", "status"):
        return Answer(err=f"sh: {call.argv[0]}: not found\n", status=127)
    if verb == "status":
        runs = services["ntpd"].running
        return Answer(f"ntpd is {'' if runs else 'not '}running\n", status=0 if runs else 3)
    if verb in ("stop", "restart"):
        services.set("ntpd", running=False)
    if verb in ("start", "restart"):
        services.set("ntpd", running=True)
    return Answer(f"{verb.capitalize()}ing ntpd\n" if verb != "stop" else "Stopping ntpd\n")
