"""KS.CFG: what the installer of ESXi does on one host, unattended. Pure.

What a script may hold: no line that begins with `include`, which would end it; `%end` is no keyword.
"""

import re
import shlex
from functools import lru_cache

from homelab.errors import UsageError
from homelab.formats.guest.sha512_crypt import salt_for, sha512_crypt
from homelab.lab import EsxiHost, Lab

HOSTD_TRIES = 60
HOSTD_SECONDS = 10
# The NIC that the installer takes unless it is told another one.
FIRST_NIC = "vmnic0"
TIME_SERVER = re.compile(r"^[A-Za-z0-9:][A-Za-z0-9.:-]*$")


def kickstart(lab: Lab, host: EsxiHost, release: tuple[int, int], *, driver_fix: bool) -> str:
    """Return the file for a host of ESXi `release`; it holds the hash of the root password, so it is a secret.

    UsageError when the inventory asks for what a fresh ESXi cannot have.
    """
    if host.user != "root":
        raise UsageError(
            f"a freshly installed {host.name} has the account root only, and the inventory says {host.user}",
            where="ansible_user",
            advice="Write ansible_user: root for the host; make other accounts once it runs",
        )
    password = host.password.get_secret_value()
    crypted = _crypted(password, f"root@{host.short_name}.{lab.domain}")
    lines = [
        f"# {host.name}: ESXi {'.'.join(map(str, release))}, unattended; made by homelab from the inventory",
        "vmaccepteula",
        f"rootpw --iscrypted {crypted}",
        # The installer runs from memory, so the stick may be installed over; the internal disk stays free for VMs.
        "install --firstdisk=usb --overwritevmfs --novmfsondisk",
        _network(lab, host),
        "reboot",
        "",
        "%firstboot --interpreter=busybox",
        *first_boot(lab, host, release, driver_fix=driver_fix),
    ]
    return "\n".join(lines) + "\n"


@lru_cache(8)
def _crypted(password: str, whose: str) -> str:
    """Kept, for it is made to be dear, and a plan is made more than once in a run."""
    return sha512_crypt(password, salt_for(password, whose))


def _network(lab: Lab, host: EsxiHost) -> str:
    options = {
        "bootproto": "static",
        "device": host.management_nic or FIRST_NIC,
        "ip": host.address,
        "netmask": lab.network.netmask,
        "gateway": lab.gateway,
        "nameserver": ",".join(map(str, lab.nameservers)),
        "hostname": f"{host.short_name}.{lab.domain}",
        "vlanid": host.vlan or "",
        "addvmportgroup": 1,
    }
    return " ".join(["network", *(f"--{name}={value}" for name, value in options.items() if value != "")])


def first_boot(lab: Lab, host: EsxiHost, release: tuple[int, int], *, driver_fix: bool) -> list[str]:
    """Return the lines that run once, at the first boot, unless Secure Boot is on. Busybox's ash."""
    return [
        "# hostd answers minutes after the start; esxcli and vim-cmd need it.",
        "tries=0",
        f"until vim-cmd hostsvc/runtimeinfo >/dev/null 2>&1 || [ $tries -ge {HOSTD_TRIES} ]; do",
        "    tries=$((tries + 1))",
        f"    sleep {HOSTD_SECONDS}",
        "done",
        "",
        "# SSH on, and the console silent about it.",
        "vim-cmd hostsvc/enable_ssh",
        "vim-cmd hostsvc/start_ssh",
        "esxcli system settings advanced set --option=/UserVars/SuppressShellWarning --int-value=1",
        *_time(lab, release),
        *(_driver_fix(host) if driver_fix else []),
        "",
        "/sbin/auto-backup.sh",
        *(['[ "$fixed" != yes ] || reboot'] if driver_fix else []),
    ]


def _time(lab: Lab, release: tuple[int, int]) -> list[str]:
    for server in lab.ntp_servers:
        if not TIME_SERVER.match(server):
            raise UsageError(
                f"{server!r} is not the name or address of a time server",
                where="lab_ntp_servers",
                advice="Write names or addresses, one an entry",
            )
    if not lab.ntp_servers:
        return []
    if release >= (7, 0):
        servers = [f"--server={server}" for server in lab.ntp_servers]
        return ["", "# Time.", shlex.join(["esxcli", "system", "ntp", "set", *servers, "--enabled=true"])]
    return [
        "",
        "# Time. Before 7.0 esxcli does not know of it.",
        "{",
        "    echo 'restrict default kod nomodify notrap nopeer noquery'",
        "    echo 'restrict 127.0.0.1'",
        "    echo 'driftfile /etc/ntp.drift'",
        *(f"    echo {shlex.quote(f'server {server}')}" for server in lab.ntp_servers),
        "} >/etc/ntp.conf",
        "chkconfig ntpd on",
        "esxcli network firewall ruleset set --ruleset-id=ntpClient --enabled=true",
        "/etc/init.d/ntpd start",
    ]


def _driver_fix(host: EsxiHost) -> list[str]:
    """Both or neither: once ne1000 is off, preferVmklinux has nothing left to do, and it holds for every device.

    A host on which this did not run, or whose guard did not hold, has both as they were; `homelab driver-fix` then does
    the same two things. ne1000 that is off already is left alone, so the reboot comes once.
    """
    nic = host.management_nic or FIRST_NIC
    return [
        "",
        f"# The NIC driver: ne1000 takes {nic} and does not work with it; e1000e does, if its map names the NIC.",
        f"id=$(lspci -n | grep '\\[{nic}\\]' | sed 's/.*: \\([0-9a-f]*:[0-9a-f]*\\).*/\\1/')",
        'if [ -n "$id" ] && grep -qi "^ *regtype=[^#]*id=$id[ ,]" /etc/vmware/driver.map.d/e1000e.map &&',
        "    esxcli system module list | grep -q '^ne1000 .*true *$'; then",
        "    esxcli system module set --enabled=true --module=e1000e &&",
        "        esxcli system module set --enabled=false --module=ne1000 && fixed=yes",
        "fi",
        '[ "$fixed" != yes ] || esxcli system settings kernel set --setting=preferVmklinux --value=FALSE',
    ]
