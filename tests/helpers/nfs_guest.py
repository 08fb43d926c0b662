"""What the test of the role nfs_server does inside namespaces of its own: `python nfs_guest.py WORK CACHE`.

The guest is a Debian of its own kind, because an NFS server and its client would make every other guest bigger. Its
kernel has no NFS server, so the role chooses NFS-Ganesha; the client is libnfs, which needs no kernel either.
"""

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import yaml

from homelab.lab import NfsServer
from homelab.ports.files.home import HomeFiles
from homelab.ports.net.nfs import ExportLook, look_at_export
from homelab.rehearsal.guests import guests, roots
from tests.helpers.apart import surroundings
from tests.helpers.checkout import ROOT
from tests.helpers.guest_bodies import GATEWAY, GuestLan, until

PACKAGES = (
    *roots.GUEST_PACKAGES,
    *("iproute2", "procps", "kmod", "rpcbind", "nfs-common", "nfs-ganesha", "nfs-ganesha-vfs", "libnfs-utils"),
)
# Services that the small root does not have.
OFF = {"haproxy.service", "nginx.service", "keepalived.service", "containerd.service"}
EXPORT, STRANGER = "/srv/nfs", "192.0.2.11"


def make_root(cache: Path) -> Path:
    """The guest's root, made once; from now on this process knows no other."""
    roots.PACKAGES = PACKAGES
    roots.DISABLED = (*(unit for unit in roots.DISABLED if unit not in OFF), "nfs-ganesha.service")
    return roots.ensure_root(cache, lambda _: None).path


def allow_handles() -> None:
    """Let guests open files by their handles, as every NFS server does; systemd-nspawn's filter forbids it (EPERM)."""
    plain = guests._nspawn

    def nspawn(guest: guests._Guest, namespace: Path) -> list[str]:
        words = plain(guest, namespace)
        return [f"{word} open_by_handle_at" if word.startswith("--system-call-filter=") else word for word in words]

    guests._nspawn = nspawn


class Nas(GuestLan):
    """The guest as a NAS with a file system of its own at EXPORT: an overlay such as its root cannot be exported."""

    def __init__(self, work: Path, cache: Path) -> None:
        self.root = make_root(cache)
        allow_handles()
        super().__init__(work, cache)
        self.address = str(self.vm.address)
        self.files = HomeFiles(work / "home")
        self.guests.power_on(self.spec)
        layers = {"lowerdir": "/run/nfs/lower", "upperdir": "/run/nfs/upper", "workdir": "/run/nfs/work"}
        options = ",".join(["index=on", "nfs_export=on", *(f"{name}={path}" for name, path in layers.items())])
        self.answer("sudo", "mkdir", "-p", EXPORT, *layers.values())
        self.answer("sudo", "mount", "-t", "overlay", "-o", options, "overlay", EXPORT)

    def play(self, clients: Sequence[str]) -> tuple[int, str]:
        """Run the playbook with these ESXi hosts; how many tasks changed something, and its output."""
        keys = f"-o UserKnownHostsFile={self.work}/known_hosts -o StrictHostKeyChecking=yes"
        nas = {"ansible_host": self.address, "ansible_user": "homelab", "ansible_ssh_common_args": keys}
        nas |= {"ansible_ssh_private_key_file": str(self.work / "id"), "nfs_managed": True, "nfs_export": EXPORT}
        esxi = {f"brix{number}": {"ansible_host": client} for number, client in enumerate(clients, 1)}
        groups: dict[str, Any] = {"nfs": {"hosts": {"nas": nas}}, "esxi": {"hosts": esxi}}
        inventory = self.work / "hosts.yml"
        inventory.write_text(yaml.safe_dump({"all": {"children": groups}}))
        command = [sys.executable, "-m", "ansible", "playbook", "-i", str(inventory), "playbooks/nfs_server.yml"]
        done = subprocess.run(command, cwd=ROOT, env=surroundings(), capture_output=True, text=True, check=False)
        recap = re.search(r"^nas\s+:.*changed=(\d+).*failed=0", done.stdout, re.MULTILINE)
        assert done.returncode == 0, done.stdout + done.stderr + self.log()
        assert recap is not None, done.stdout
        return int(recap[1]), done.stdout

    def log(self) -> str:
        """Ganesha's last words."""
        return self.ssh("sudo", "tail", "-n", "60", "/var/log/ganesha/ganesha.log").stdout

    def look(self, version: str, *hosts: IPv4Address) -> ExportLook:
        """The laptop's look."""
        wanted = NfsServer.model_validate(
            {"name": "nas", "server": self.address, "export": EXPORT, "datastore": "nas", "version": version}
        )
        return look_at_export(wanted, hosts, self.files)

    def client(self, *words: str) -> subprocess.CompletedProcess[str]:
        """A program of libnfs with the gateway's address, as root."""
        return subprocess.run(["chroot", self.root, *words], capture_output=True, text=True, timeout=30, check=False)

    def url(self, name: str, version: int) -> str:
        """A file of the export."""
        return f"nfs://{self.address}{EXPORT}/{name}?version={version}"


def main(nas: Nas) -> None:
    """Laid down, seen, written to, run again without a change, and exported to another host instead."""
    changed, said = nas.play([str(GATEWAY)])
    assert changed > 0, said

    seen = nas.look("3", GATEWAY)
    assert (seen.versions, seen.exported, seen.clients) == (("3", "4.1"), True, (f"{GATEWAY}/32",)), (seen, nas.log())
    assert (seen.problem, seen.doubt) == (None, None), seen
    assert nas.look("4.1", GATEWAY).problem is None
    stranger = nas.look("3", IPv4Address(STRANGER)).problem
    assert stranger is not None
    assert STRANGER in stranger.what

    copied = nas.client("nfs-cp", "/etc/debian_version", nas.url("written", 3))
    assert copied.returncode == 0, (copied, nas.log())
    assert nas.answer("stat", "-c", "%u:%g", f"{EXPORT}/written") == "0:0"
    assert nas.answer("sudo", "cat", f"{EXPORT}/written") == (nas.root / "etc/debian_version").read_text().strip()
    # libnfs speaks no 4.1; ESXi speaks no 4.0.
    assert "MINOR_VERS_MISMATCH" in nas.client("nfs-ls", nas.url("", 4)).stderr

    receipt = json.loads(nas.answer("cat", "/var/lib/homelab/nfs_server.json"))
    assert receipt["units"] == ["nfs-ganesha.service"]
    started = nas.answer("systemctl", "show", "-P", "ExecMainStartTimestampMonotonic", "nfs-ganesha")
    assert nas.play([str(GATEWAY)])[0] == 0

    changed, said = nas.play([STRANGER])
    assert changed > 0, said
    until(lambda: nas.look("3").clients == ())
    assert nas.client("nfs-ls", nas.url("", 3)).returncode != 0
    assert nas.answer("systemctl", "show", "-P", "ExecMainStartTimestampMonotonic", "nfs-ganesha") == started
    nas.guests.close()


if __name__ == "__main__":
    main(Nas(Path(sys.argv[1]), Path(sys.argv[2])))
