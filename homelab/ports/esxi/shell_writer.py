"""Writes to a host in its own shell, where no licence forbids them."""

import io
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from threading import Event

from homelab.errors import HostFault, Unreachable
from homelab.ports import ssh
from homelab.ports.esxi.shell import keep_configuration, parse_table
from homelab.ports.host_writer import NfsMount, Option, Progress, check_no_vmkernel
from homelab.ports.sftp import RemoteFiles
from homelab.ports.vsphere.storage import check_own_probe, check_same_mount, mount_refused

VOLUMES = "/vmfs/volumes"
NTP_CONF = "/etc/ntp.conf"


class ShellWriter:
    """A `HostWriter` on one SSH connection. What it configures is kept at once: nobody shuts down cleanly for it."""

    def __init__(self, shell: ssh.Shell, version: str) -> None:
        self.shell, self.version = shell, version

    def _esxcli(self, *words: str) -> None:
        self.shell.must(["esxcli", *words], writes=True)

    def mount_nfs(self, mount: NfsMount) -> None:
        """`esxcli storage nfs add`, or `nfs41 add`."""
        space, host = ("nfs", "--host") if mount.version == "3" else ("nfs41", "--hosts")
        words = ["storage", space, "add", host, mount.server, "--share", mount.share]
        words += ["--volume-name", mount.datastore, *([] if mount.writable else ["--readonly"])]
        try:
            self._esxcli(*words)
        except HostFault as fault:
            raise mount_refused(fault, self.shell.login.address, mount) from fault
        keep_configuration(self.shell)

    def unmount(self, mount: NfsMount) -> None:
        """`esxcli storage nfs remove`, or `nfs41 remove`."""
        space, host = ("nfs", "Host") if mount.version == "3" else ("nfs41", "Host(s)")
        rows = parse_table(self.shell.must(["esxcli", "storage", space, "list"]))
        row = next((row for row in rows if row["Volume Name"] == mount.datastore), None)
        if row is None:
            return
        check_same_mount(self.shell.login.where, mount, (row[host], row["Share"]))
        self._esxcli("storage", space, "remove", "--volume-name", mount.datastore)
        keep_configuration(self.shell)

    def probe(self, datastore: str) -> None:
        """`touch`, `cat` and `rm`."""
        name = f".homelab-probe-{self.shell.login.name}"
        path = f"{VOLUMES}/{datastore}/{name}"
        there = self.shell.run(["cat", path])
        if there.status == 0:
            check_own_probe(self.shell.login.where, datastore, name, there.stdout.encode())
        self.shell.must(["touch", path], writes=True)
        self.shell.must(["cat", path])
        self.shell.must(["rm", path], writes=True)

    def make_folder(self, datastore: str, path: str) -> None:
        """`mkdir -p`."""
        self.shell.must(["mkdir", "-p", f"{VOLUMES}/{datastore}/{path}"], writes=True)

    def add_coredump_file(self, datastore: str, name: str) -> None:
        """`esxcli system coredump file`; by its path, for `--smart` would take any file that is there."""
        chosen = self.shell.must(["esxcli", "system", "coredump", "file", "get"])
        if re.search(r"(?m)^ *(Active|Configured): *\S", chosen):
            return
        listed = self.shell.must(["esxcli", "system", "coredump", "file", "list"])
        paths = [row["Path"] for row in parse_table(listed)]
        if ours := next((path for path in paths if _is_dump_file(path, name)), None):
            self._esxcli("system", "coredump", "file", "set", "--path", ours)
        else:
            words = ["system", "coredump", "file", "add", "--datastore", datastore, "--file", name]
            self._esxcli(*words, "--enable=true")

    def set_options(self, options: Mapping[str, Option]) -> None:
        """`vim-cmd hostsvc/advopt/update`."""
        for key, value in options.items():
            kind = "bool" if isinstance(value, bool) else "long" if isinstance(value, int) else "string"
            text = str(value).lower() if isinstance(value, bool) else str(value)
            self.shell.must(["vim-cmd", "hostsvc/advopt/update", key, kind, text], writes=True)
        keep_configuration(self.shell)

    def set_names(self, hostname: str, domain: str, nameservers: Sequence[str]) -> None:
        """`esxcli system hostname set`, `network ip dns`; servers that are right already are not taken away first."""
        self._esxcli("system", "hostname", "set", "--host", hostname, "--domain", domain)
        listed = self.shell.must(["esxcli", "network", "ip", "dns", "server", "list"]).partition(":")[2]
        if [server.strip() for server in listed.split(",") if server.strip()] != list(nameservers):
            self._esxcli("network", "ip", "dns", "server", "remove", "--all")
            for server in nameservers:
                self._esxcli("network", "ip", "dns", "server", "add", "--server", server)
        keep_configuration(self.shell)

    def set_hostname(self, hostname: str) -> None:
        """`esxcli system hostname set`."""
        self._esxcli("system", "hostname", "set", "--host", hostname)
        keep_configuration(self.shell)

    def set_time_servers(self, servers: Sequence[str]) -> None:
        """`esxcli system ntp set`; before 7.0, which has no such command, /etc/ntp.conf and ntpd's own script."""
        self._esxcli("network", "firewall", "ruleset", "set", "--ruleset-id", "ntpClient", "--enabled", "true")
        if int(self.version.split(".")[0]) >= 7:
            self._esxcli("system", "ntp", "set", *(f"--server={server}" for server in servers), "--enabled=true")
        else:
            text = with_servers(self.shell.must(["cat", NTP_CONF]), servers).encode()
            RemoteFiles(self.shell, Event()).write(NTP_CONF, io.BytesIO(text), len(text), mode=None)
            self.shell.must(["chkconfig", "ntpd", "on"], writes=True)
            self.shell.must(["/etc/init.d/ntpd", "restart"], writes=True)
        keep_configuration(self.shell)

    def set_ssh_policy(self, *, on: bool) -> None:
        """`vim-cmd hostsvc/enable_ssh`, or `disable_ssh`."""
        self.shell.must(["vim-cmd", f"hostsvc/{'enable' if on else 'disable'}_ssh"], writes=True)
        keep_configuration(self.shell)

    def add_port_group(self, name: str, switch: str, vlan: int) -> None:
        """`esxcli network vswitch standard portgroup add`."""
        self._esxcli("network", "vswitch", "standard", "portgroup", "add", "-p", name, "-v", switch)
        if vlan:
            self.set_vlan(name, switch, vlan)
        keep_configuration(self.shell)

    def set_vlan(self, name: str, switch: str, vlan: int) -> None:
        """`esxcli network vswitch standard portgroup set`, which leaves all other settings."""
        listed = self.shell.must(["esxcli", "network", "ip", "interface", "list"])
        check_no_vmkernel(self.shell.login.where, name, _interfaces_on(listed, name))
        self._esxcli("network", "vswitch", "standard", "portgroup", "set", "-p", name, "--vlan-id", str(vlan))
        keep_configuration(self.shell)

    def enter_maintenance(self, seconds: float, progress: Progress) -> None:
        """`esxcli system maintenanceMode set`."""
        words = ["esxcli", "system", "maintenanceMode", "set", "--enable=true", f"--timeout={int(seconds)}"]
        self.shell.must(words, writes=True, seconds=seconds + self.shell.login.timeout)

    def exit_maintenance(self, seconds: float, progress: Progress) -> None:
        """`esxcli system maintenanceMode set`."""
        words = ["esxcli", "system", "maintenanceMode", "set", "--enable=false"]
        self.shell.must(words, writes=True, seconds=seconds + self.shell.login.timeout)

    def reboot(self) -> None:
        """`reboot`; the channel may drop before it answers, which is success (esxi-facts, The driver fix)."""
        with suppress(Unreachable):
            self.shell.run(["reboot"], writes=True)


def with_servers(text: str, servers: Sequence[str]) -> str:
    """An ntp.conf that asks these servers and no others; its other lines stay. Pure."""
    kept = [line for line in text.splitlines() if line.split()[:1] not in (["server"], ["pool"], ["peer"])]
    return "".join(f"{line}\n" for line in [*kept, *(f"server {server}" for server in servers)])


def _is_dump_file(path: str, name: str) -> bool:
    """Whether a path is that of the dump file of this very name: that of brix1 begins as that of brix10 does."""
    return path.rpartition("/")[2] in (name, f"{name}.dumpfile")


def _interfaces_on(listed: str, port_group: str) -> list[str]:
    """The vmkernel NICs on a port group, from blocks of `Key: value` lines (esxi-recordings)."""
    found, name = [], ""
    for line in listed.splitlines():
        key, _, value = (part.strip() for part in line.partition(":"))
        name = value if key == "Name" else name
        if key == "Portgroup" and value == port_group:
            found.append(name)
    return found
