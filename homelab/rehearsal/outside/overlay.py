"""The overlay inventory: what must differ from the user's lab in a rehearsal, and only that."""

import json
import os
import secrets
import socket
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from homelab.rehearsal.kubernetes.bundles import Kubernetes

GROUPS = ("esxi", "vcenter", "nfs", "control_plane", "load_balancers", "workers")
GUEST_GROUPS = ("control_plane", "load_balancers", "workers")
# Short, because nothing real is waited for; long enough for five guests that boot at once on two cores.
DEADLINES = {"esxi_reboot_timeout": 60, "esxi_api_timeout": 10}
GUEST_TIMEOUT = 180


@dataclass(frozen=True)
class Overlay:
    """What goes into the overlay.

    `groups` is GROUP -> names; `image` is a path and its SHA-256; `ports` is HOST -> the ports of its API and its shell
    on the loopback, empty where the rehearsal has a network of its own.
    """

    home: Path
    groups: Mapping[str, Sequence[str]]
    image: tuple[Path, str]
    kubernetes: Kubernetes
    passwords: Mapping[str, str] = field(repr=False)
    ports: Mapping[str, tuple[int, int]]

    @property
    def folder(self) -> Path:
        """The overlay inventory itself."""
        return self.home / "inventory"

    def password_file(self, host: str) -> Path:
        """Where a host's password stands for scripts."""
        return self.home / "passwords" / host

    def write(self) -> None:
        """Write groups, one file of variables a host, and the passwords; all 0600 in folders of 0700."""
        hosts = {group: {"hosts": dict.fromkeys(names)} for group, names in self.groups.items() if names}
        _write(self.folder / "hosts.yml", {"all": {"children": hosts}})
        for group, names in self.groups.items():
            for name in names:
                _write(self.folder / "host_vars" / f"{name}.yml", self._variables(group, name))
        for host, password in self.passwords.items():
            _write_text(self.password_file(host), password + "\n")

    def _variables(self, group: str, name: str) -> dict[str, Any]:
        path, digest = self.image
        variables: dict[str, Any] = {
            "image_source": str(path),
            "image_sha256": digest,
            "guest_authorized_keys": [],
            "guest_authorized_key_files": [],
            "guest_timeout": GUEST_TIMEOUT,
            "kubernetes_bundle": str(self.kubernetes.bundle),
        }
        if self.kubernetes.ignored_preflight_errors:
            variables["kubernetes_ignored_preflight_errors"] = list(self.kubernetes.ignored_preflight_errors)
        if name in self.passwords:
            variables["ansible_password"] = self.passwords[name]
        if group == "esxi":
            variables |= DEADLINES
        if group == "nfs":
            # The simulated NAS answers as one does; nobody can log in there to set it up.
            variables["nfs_managed"] = False
        if name in self.ports:
            api, shell = self.ports[name]
            variables |= {"ansible_host": "127.0.0.1", "vsphere_port": api, "ansible_port": shell}
        if group in GUEST_GROUPS:
            known = self.home / "known_hosts"
            variables["ansible_ssh_private_key_file"] = str(self.home / "id_ed25519")
            variables["ansible_ssh_common_args"] = f"-o UserKnownHostsFile={known} -o StrictHostKeyChecking=yes"
        return variables


def new_passwords(groups: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """A fresh password for every host that has one."""
    return {name: secrets.token_urlsafe(12) for group in ("esxi", "vcenter") for name in groups.get(group, ())}


def free_ports(names: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Two ports of the loopback for each name that nobody listens on now."""
    with ExitStack() as held:
        taken = [
            held.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1] for _ in range(2 * len(names))
        ]
    return {name: (taken[2 * n], taken[2 * n + 1]) for n, name in enumerate(names)}


def _write(path: Path, data: Any) -> None:
    # JSON is YAML, and leaves no doubt about what is text.
    _write_text(path, json.dumps(data, indent=2) + "\n")


def _write_text(path: Path, text: str) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
