"""The first boot of a guest: NoCloud's three files. Pure.

Nothing in them needs a network that answers: a guest may have no way out. Packages are the roles' business.
"""

from dataclasses import dataclass
from typing import Any

import yaml

from homelab.formats.trust.ssh_key import HostKey
from homelab.lab import Lab, Vm


@dataclass(frozen=True)
class FirstBoot:
    """All that a guest's seed says but its secrets: who it is, its network, and who may log in. `prefix` in bits."""

    lab: str
    name: str
    domain: str
    mac: str
    address: str
    prefix: int
    gateway: str
    nameservers: tuple[str, ...]
    ntp_servers: tuple[str, ...]
    user: str
    authorized_keys: tuple[str, ...]

    @property
    def fqdn(self) -> str:
        """The name with its domain."""
        return f"{self.name}.{self.domain}"


def first_boot(lab: Lab, vm: Vm, mac: str) -> FirstBoot:
    """What the inventory wants one VM to be told."""
    return FirstBoot(
        lab=lab.name,
        name=vm.short_name,
        domain=lab.domain,
        mac=mac.lower(),
        address=str(vm.address),
        prefix=lab.network.prefixlen,
        gateway=str(lab.gateway),
        nameservers=tuple(map(str, lab.nameservers)),
        ntp_servers=lab.ntp_servers,
        user=lab.guests.user,
        authorized_keys=lab.guests.authorized_keys,
    )


def seed(boot: FirstBoot, host_key: HostKey, token: str) -> dict[str, str]:
    """Return `meta-data`, `user-data` and `network-config` by name, as seed_iso and NoCloud take them.

    `token` is a short word that stays with one creation of the VM: cloud-init does its work again when it changes, and
    only then. `user-data` holds the private host key: keep the result out of logs and of files that others read.
    """
    return {
        "meta-data": _dump(meta_data(boot, token)),
        "user-data": "#cloud-config\n" + _dump(user_data(boot, host_key)),
        "network-config": _dump(network_config(boot)),
    }


def meta_data(boot: FirstBoot, token: str) -> dict[str, Any]:
    """Return who the guest is; `instance-id` is LAB-NAME-TOKEN."""
    return {"instance-id": f"{boot.lab}-{boot.name}-{token}", "local-hostname": boot.name}


def user_data(boot: FirstBoot, host_key: HostKey) -> dict[str, Any]:
    """Return the one user, the one host key and the names; see cloud-init's module reference for the words."""
    return {
        "hostname": boot.name,
        "fqdn": boot.fqdn,
        # The node name is the short one, on every distribution.
        "prefer_fqdn_over_hostname": False,
        # Debian's images would write /etc/hosts anew at each boot, over the roles' lines and with 127.0.1.1.
        "manage_etc_hosts": False,
        "write_files": _files(boot),
        "users": [
            {
                "name": boot.user,
                "shell": "/bin/bash",
                "lock_passwd": True,
                "sudo": "ALL=(ALL) NOPASSWD:ALL",
                "ssh_authorized_keys": list(boot.authorized_keys),
            }
        ],
        "disable_root": True,
        "ssh_pwauth": False,
        "ssh_deletekeys": True,
        "ssh_keys": {"ed25519_private": host_key.private, "ed25519_public": host_key.public},
        "package_update": False,
        "package_upgrade": False,
    }


def _files(boot: FirstBoot) -> list[dict[str, Any]]:
    # kubeadm and kubelet look their own name up, and must find the LAN's address without any name server.
    hosts = {"path": "/etc/hosts", "append": True, "content": f"{boot.address} {boot.fqdn} {boot.name}\n"}
    if not boot.ntp_servers:
        return [hosts]
    # Not cloud-init's own module: that would fetch a package where the image has no client that it knows.
    servers = f"[Time]\nNTP={' '.join(boot.ntp_servers)}\n"
    return [hosts, {"path": "/etc/systemd/timesyncd.conf.d/homelab.conf", "content": servers}]


def network_config(boot: FirstBoot) -> dict[str, Any]:
    """Return the one interface, found by its MAC whatever its name, with its fixed IPv4 address (version 2)."""
    return {
        "version": 2,
        "ethernets": {
            "lan": {
                "match": {"macaddress": boot.mac},
                "dhcp4": False,
                "dhcp6": False,
                "addresses": [f"{boot.address}/{boot.prefix}"],
                # Not "default": cloud-init of Debian 12 and 13 fails on that word unless netplan renders it.
                "routes": [{"to": "0.0.0.0/0", "via": boot.gateway}],
                **_nameservers(boot),
            }
        },
    }


def _nameservers(boot: FirstBoot) -> dict[str, Any]:
    # cloud-init 25.1 stumbles over an empty list of addresses.
    names = list(boot.nameservers)
    return {"nameservers": {"addresses": names, "search": [boot.domain]}} if names else {}


def _dump(document: dict[str, Any]) -> str:
    # An endless line: a folded key or host line is still YAML, but nobody can read it.
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=1 << 20)
