"""The guests' root: a Debian that looks like an ordinary cloud image, made once and kept under its recipe's hash.

The mirror is mmdebstrap's own default for the suite. What a guest needs must be in here, for guests have no way out;
services that a playbook brings into play (haproxy, keepalived, containerd) are installed and stay off.
"""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from homelab.errors import HomelabError

SUITE = "trixie"
# What makes any root a guest: what ENABLED names, SSH, the seed's reader, and what Ansible needs.
GUEST_PACKAGES = (
    *("systemd", "systemd-sysv", "systemd-resolved", "dbus", "openssh-server", "cloud-init", "sudo"),
    *("python3", "python3-apt"),
)
PACKAGES = (
    *GUEST_PACKAGES,
    *("iproute2", "iputils-ping", "procps", "kmod", "ca-certificates", "openssl", "curl", "socat"),
    *(
        "haproxy",
        "nginx",
        "libnginx-mod-stream",
        "keepalived",
        "nftables",
        "iptables",
        "ebtables",
        "conntrack",
        "ethtool",
    ),
    *("containerd", "runc", "containernetworking-plugins"),
)
OPTIONS = (
    "--variant=minbase",
    '--aptopt=Acquire::Languages "none"',
    "--dpkgopt=force-unsafe-io",
    "--dpkgopt=path-exclude=/usr/share/doc/*",
    "--dpkgopt=path-exclude=/usr/share/man/*",
    "--dpkgopt=path-exclude=/usr/share/info/*",
    "--dpkgopt=path-exclude=/usr/share/locale/*",
)
ENABLED = ("systemd-networkd.service", "systemd-resolved.service", "ssh.service")
DISABLED = (
    *("haproxy.service", "nginx.service", "keepalived.service", "containerd.service", "systemd-pstore.service"),
    *("getty@tty1.service", "remote-fs.target"),
    *("apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "fstrim.timer"),
)
# Modules that make no sense in a container (disks, the boot loader, other distributions' services) are left out, as
# images for one purpose do; the others are those that a seed can ask for.
CLOUD_CFG = """\
datasource_list: [NoCloud, ConfigDrive, None]
system_info: {network: {renderers: [networkd]}}
cloud_init_modules: [seed_random, bootcmd, write-files, set_hostname, update_hostname, update_etc_hosts, ca-certs,
  users-groups, ssh]
cloud_config_modules: [locale, set-passwords, ntp, timezone, runcmd]
cloud_final_modules: [package-update-upgrade-install, write-files-deferred, scripts-vendor, scripts-per-once,
  scripts-per-boot, scripts-per-instance, scripts-user, phone-home, final-message, power-state-change]
"""
FILES = {
    "etc/hostname": "localhost\n",
    "etc/machine-id": "",
    "etc/cloud/cloud.cfg.d/95_image.cfg": CLOUD_CFG,
    # Newer than /usr: the first boot need not rebuild what the packages have built already.
    "etc/.updated": "",
    "var/.updated": "",
}
# As the cloud images of Debian and Ubuntu have it. Where there is no such file, no kubelet starts a pod.
LINKS = {"etc/resolv.conf": "../run/systemd/resolve/stub-resolv.conf"}
REMOVED = ("etc/ssh/ssh_host_*", "var/lib/dbus/machine-id", "var/log/*.log", "var/cache/*/*")


@dataclass(frozen=True)
class Root:
    """A root that is there: its id and its folder. Never written to; guests' disks are overlays on it."""

    id: str
    path: Path


def root_id() -> str:
    """The hash of the recipe: 16 hexadecimal digits."""
    recipe = [SUITE, PACKAGES, OPTIONS, ENABLED, DISABLED, FILES, LINKS, REMOVED]
    return hashlib.sha256(json.dumps(recipe).encode()).hexdigest()[:16]


def ensure_root(cache: Path, report: Callable[[str], None]) -> Root:
    """Make the root in CACHE/roots/ID unless it is there; one process makes it, others wait.

    Needs root, and the machine's own network: call it outside of the rehearsal's namespaces.
    Raises HomelabError with mmdebstrap's last words when it cannot be made.
    """
    root = Root(root_id(), cache / "roots" / root_id())
    if root.path.is_dir():
        return root
    root.path.parent.mkdir(parents=True, exist_ok=True)
    with _locked(root.path.with_suffix(".lock"), report):
        if not root.path.is_dir():
            unfinished = root.path.with_suffix(".new")
            shutil.rmtree(unfinished, ignore_errors=True)
            _build(unfinished, report)
            _customize(unfinished)
            unfinished.rename(root.path)
    return root


@contextmanager
def _locked(path: Path, report: Callable[[str], None]) -> Iterator[None]:
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            report("waiting for another process that makes the guests' root")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _build(folder: Path, report: Callable[[str], None]) -> None:
    if os.geteuid() != 0 or shutil.which("mmdebstrap") is None:
        raise HomelabError(
            "the guests' root can be made by root only, and needs mmdebstrap",
            where=str(folder.parent),
            advice="Install mmdebstrap and run as root, or use --guests none",
        )
    command = ["mmdebstrap", *OPTIONS, f"--include={','.join(PACKAGES)}", SUITE, str(folder)]
    last: list[str] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        for line in process.stdout or ():
            if line.startswith("I: "):
                report(f"guests' root: {line[3:].strip()}")
            last = [*last[-4:], line.strip()]
    if process.returncode:
        raise HomelabError(
            f"the guests' root could not be made: {' | '.join(last)}",
            where=str(folder.parent),
            advice="mmdebstrap needs a way to a Debian mirror and Debian's archive keys",
        )


def _customize(root: Path) -> None:
    """What makes the plain system an image: no identity, no host keys, the right services on and off."""
    for pattern in REMOVED:
        for path in root.glob(pattern):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    for name, text in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    for name, target in LINKS.items():
        (root / name).unlink(missing_ok=True)
        (root / name).symlink_to(target)
    for verb, units in (("enable", ENABLED), ("disable", DISABLED)):
        subprocess.run(["systemctl", f"--root={root}", "--quiet", verb, *units], check=True, capture_output=True)
