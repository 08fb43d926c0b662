"""The first boot of a guest: NoCloud's three files. Pure.

Nothing in them needs a network that answers: a guest may have no way out. Packages are the roles' business.
"""

from collections.abc import Sequence
from typing import Any

import yaml

from homelab.lab import Lab, Vm
from homelab.render.ssh_key import HostKey


def seed(vm: Vm, lab: Lab, mac: str, authorized_keys: Sequence[str], host_key: HostKey, token: str) -> dict[str, str]:
    """Return `meta-data`, `user-data` and `network-config` by name, as seed_iso and NoCloud take them.

    `token` is a short word that stays with one creation of the VM: cloud-init does its work again when it changes, and
    only then. `user-data` holds the private host key: keep the result out of logs and of files that others read.
    """
    return {
        "meta-data": _dump(meta_data(vm, lab, token)),
        "user-data": "#cloud-config\n" + _dump(user_data(vm, lab, authorized_keys, host_key)),
        "network-config": _dump(network_config(vm, lab, mac)),
    }


def meta_data(vm: Vm, lab: Lab, token: str) -> dict[str, Any]:
    """Return who the guest is; `instance-id` is LAB-NAME-TOKEN."""
    return {"instance-id": f"{lab.name}-{vm.name}-{token}", "local-hostname": vm.name}


def user_data(vm: Vm, lab: Lab, authorized_keys: Sequence[str], host_key: HostKey) -> dict[str, Any]:
    """Return the one user, the one host key and the names; see cloud-init's module reference for the words."""
    fqdn = f"{vm.name}.{lab.domain}"
    return {
        "hostname": vm.name,
        "fqdn": fqdn,
        # The node name is the short one, on every distribution.
        "prefer_fqdn_over_hostname": False,
        # Debian's images would write /etc/hosts anew at each boot, over the roles' lines and with 127.0.1.1.
        "manage_etc_hosts": False,
        # kubeadm and kubelet look their own name up, and must find the LAN's address without any name server.
        "write_files": [{"path": "/etc/hosts", "append": True, "content": f"{vm.address} {fqdn} {vm.name}\n"}],
        "users": [
            {
                "name": lab.guests.user,
                "shell": "/bin/bash",
                "lock_passwd": True,
                "sudo": "ALL=(ALL) NOPASSWD:ALL",
                "ssh_authorized_keys": list(authorized_keys),
            }
        ],
        "disable_root": True,
        "ssh_pwauth": False,
        "ssh_deletekeys": True,
        "ssh_keys": {"ed25519_private": host_key.private, "ed25519_public": host_key.public},
        "package_update": False,
        "package_upgrade": False,
    }


def network_config(vm: Vm, lab: Lab, mac: str) -> dict[str, Any]:
    """Return the one interface, found by its MAC whatever its name, with its fixed IPv4 address (version 2)."""
    return {
        "version": 2,
        "ethernets": {
            "lan": {
                "match": {"macaddress": mac.lower()},
                "dhcp4": False,
                "dhcp6": False,
                "addresses": [f"{vm.address}/{lab.network.prefixlen}"],
                # Not "default": cloud-init of Debian 12 and 13 fails on that word unless netplan renders it.
                "routes": [{"to": "0.0.0.0/0", "via": str(lab.gateway)}],
                **_nameservers(lab),
            }
        },
    }


def _nameservers(lab: Lab) -> dict[str, Any]:
    # cloud-init 25.1 stumbles over an empty list of addresses.
    addresses = [str(address) for address in lab.nameservers]
    return {"nameservers": {"addresses": addresses, "search": [lab.domain]}} if addresses else {}


def _dump(document: dict[str, Any]) -> str:
    # An endless line: a folded key or host line is still YAML, but nobody can read it.
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=1 << 20)
