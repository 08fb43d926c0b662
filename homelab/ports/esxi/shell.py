"""The ESXi shell over SSH: the few commands that the steps need, switched on over the API and left as found."""

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from homelab.errors import HomelabError, HostFault
from homelab.formats.boot.driver_map import Claim, found_claims
from homelab.lab import EsxiHost
from homelab.ports import ssh
from homelab.ports.files.home import HomeFiles
from homelab.ports.files.ssh_notes import forget_ssh, note_ssh
from homelab.ports.vsphere.hosts import start_service, stop_service
from homelab.ports.vsphere.session import open_session

SERVICE = "TSM-SSH"
START_SECONDS = 15.0


def login_of(host: EsxiHost) -> ssh.Login:
    """How the shell of a host is reached."""
    return ssh.Login(
        host.name, str(host.address), host.ssh_port, host.user, host.api_timeout, host.password.get_secret_value()
    )


@contextmanager
def esxi_shell(
    host: EsxiHost,
    running: bool,
    files: HomeFiles,
    report: Callable[[str], None],
    *,
    ours: bool = False,
    boot_time: datetime | None = None,
    stop: threading.Event | None = None,
) -> Iterator[ssh.Shell]:
    """A shell on the host, whose SSH is left as it was found.

    SSH that was not `running` is started over the API, and stopped at the end however that comes; so is SSH that runs
    and is `ours`, left on by a run that was killed. A note, for the boot of `boot_time`, is written before it is
    started and dropped after it is stopped: where we are killed in between, the next run knows whose it is.
    """
    ours = ours or not running
    if ours and boot_time is not None:
        note_ssh(files, host.name, boot_time)
    try:
        if not running:
            with open_session(host, files, report) as session:
                start_service(session, SERVICE)
        # The service is started before its port listens.
        ssh.await_port(login_of(host), START_SECONDS, stop)
        with ssh.connect(login_of(host), files, report) as shell:
            yield shell
    finally:
        if ours:
            switch_off(host, files, report)


def switch_off(host: EsxiHost, files: HomeFiles, report: Callable[[str], None]) -> None:
    """Switch SSH off and drop the note. What keeps us from it is told, and the note stays for the next run.

    It raises nothing: what went wrong before, or went well, is what matters to the caller.
    """
    try:
        with open_session(host, files, report) as session:
            stop_service(session, SERVICE)
        forget_ssh(files, host.name)
    except HomelabError as error:
        report(f"{host.name}: SSH stays on for now, the next run switches it off ({error.what})")


@dataclass(frozen=True)
class BootLook:
    """What only the shell tells about the next boot: which drivers claim what, and whether the boot medium is there.

    `bank` is where the link /bootbank leads; `bank_read` whether the boot loader's own file can be read in it.
    """

    claims: tuple[Claim, ...]
    bank: str
    bank_read: bool

    @property
    def medium_problem(self) -> str | None:
        """Why nothing that is kept now outlives a reboot; None when the boot medium is there."""
        if not self.bank.startswith("/vmfs/volumes/"):
            return f"/bootbank lies in memory ({self.bank or 'no link'})"
        return None if self.bank_read else f"/bootbank ({self.bank}) cannot be read"


def look_at_boot(shell: ssh.Shell) -> BootLook:
    """Read the drivers' maps and the boot bank; writes nothing.

    A host that lost its boot stick goes on from memory. Did it come too late at the boot, the link leads into /tmp
    (Broadcom KB 301134, `ls -l /`); did it die since, the link leads to a volume that is gone ("Bootbank cannot be
    found at path '/bootbank'", KB 318611). auto-backup.sh says nothing in either case.
    """
    links = shell.must(["ls", "-l", "/"])
    found = re.search(r"(?m)\sbootbank -> (\S+)\s*$", links)
    boot_cfg = shell.run(["cat", "/bootbank/boot.cfg"])
    # Its status tells of every file that could not be read; what is not found is claimed by nobody.
    maps = shell.run(["grep", "-ri", "regtype=", "/etc/vmware"])
    return BootLook(
        found_claims(maps.stdout), found[1] if found else "", boot_cfg.status == 0 and bool(boot_cfg.stdout.strip())
    )


def kernel_setting(shell: ssh.Shell, name: str) -> str:
    """The configured value of a VMkernel boot setting, in lower case."""
    rows = parse_table(shell.must(["esxcli", "system", "settings", "kernel", "list", "-o", name]))
    return rows[0]["Configured"].lower() if rows else ""


def set_kernel_setting(shell: ssh.Shell, name: str, value: str) -> None:
    """Set a VMkernel boot setting; it acts at the next boot."""
    shell.must(["esxcli", "system", "settings", "kernel", "set", "-s", name, "-v", value], writes=True)


def modules(shell: ssh.Shell) -> dict[str, bool]:
    """Which kernel modules are enabled for the next boot."""
    rows = parse_table(shell.must(["esxcli", "system", "module", "list"]))
    return {row["Name"]: row["Is Enabled"].lower() == "true" for row in rows}


def set_module_enabled(shell: ssh.Shell, module: str, enabled: bool) -> None:
    """Enable or disable a kernel module for the next boot, and read it back. Raises HostFault when it did not take."""
    value = "true" if enabled else "false"
    shell.must(["esxcli", "system", "module", "set", f"--enabled={value}", f"--module={module}"], writes=True)
    if modules(shell).get(module) is not enabled:
        raise HostFault(
            f"module {module} was set to enabled={value}, and reading back shows that it is not",
            where=shell.login.where,
            advice="Nothing was rebooted; look at `esxcli system module list` on the host",
        )


def keep_configuration(shell: ssh.Shell) -> None:
    """Write the configuration to the boot medium now, or a hard power-off would lose it."""
    shell.must(["/sbin/auto-backup.sh"], writes=True)


def backup_path(shell: ssh.Shell) -> str:
    """Have the host make a copy of its configuration; the path at its web server where it can be fetched."""
    said = shell.must(["vim-cmd", "hostsvc/firmware/backup_config"])
    found = re.search(r"https?://[^/\s]+(/\S+)", said)
    if found is None:
        raise HostFault(
            f"the host does not say where the copy of its configuration is: {said.strip() or 'nothing'}",
            where=shell.login.where,
            advice="Run `vim-cmd hostsvc/firmware/backup_config` there by hand",
        )
    return found[1]


def parse_table(text: str) -> list[dict[str, str]]:
    """Rows of an esxcli table, cut at the dash row's columns; the last column runs to the end of the line."""
    lines = [line for line in text.splitlines() if line.strip()]
    dashes = next((i for i, line in enumerate(lines) if set(line.strip()) <= {"-", " "}), None)
    if not dashes:
        return []
    starts = [i for i, char in enumerate(lines[dashes]) if char == "-" and (i == 0 or lines[dashes][i - 1] == " ")]
    ends: list[int | None] = [*starts[1:], None]
    names = [lines[dashes - 1][a:b].strip() for a, b in zip(starts, ends, strict=True)]
    return [
        {name: line[a:b].strip() for name, a, b in zip(names, starts, ends, strict=True)}
        for line in lines[dashes + 1 :]
    ]
