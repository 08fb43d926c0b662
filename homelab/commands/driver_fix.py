"""The command `driver-fix`: the NIC driver of one or more hosts, one after another."""

import os
from collections.abc import Sequence
from ipaddress import AddressValueError, IPv4Address

from homelab.commands.options import Options
from homelab.commands.wanted_lab import lab_of, vault_of
from homelab.errors import UsageError
from homelab.formats.near import known_names
from homelab.lab import Lab, lone_host, meant


def driver_fix(options: Options, hosts: Sequence[str], *, force: bool, undo: bool) -> int:
    """Fix hosts that were named; a host is a name of the inventory or an address."""
    lab, names = chosen_hosts(options, hosts)
    # Only now: a name that is not there should be told at once.
    from homelab.commands.carry_out import carry_out
    from homelab.commands.lab_run import open_run
    from homelab.steps.hosts.driver_fix import DriverFix
    from homelab.steps.hosts.reboot import Reboot

    steps = (DriverFix(force=force, undo=undo, hosts=names), Reboot(undo=undo, logs=False, hosts=names))
    run = open_run(options, steps, lab=lab)
    return carry_out(run, " ".join(("driver-fix", *hosts)))


def chosen_hosts(options: Options, hosts: Sequence[str]) -> tuple[Lab, list[str]]:
    """The lab with the hosts that are meant, and their names in it; an address may be one that no inventory knows."""
    addresses = {host: address for host in hosts if (address := _address(host))}
    nameless = len(addresses) == len(hosts) and not any(source.exists() for source in options.inventories)
    lab = None if nameless else lab_of(options, vault_of(options))
    known = {str(host.address): host.name for host in lab.esxi} if lab else {}
    names = list(dict.fromkeys(known.get(host) or meant(host, known.values()) or host for host in hosts))
    unknown = [name for name in names if name not in known.values() and name not in addresses]
    if unknown:
        raise UsageError(
            f"no ESXi host of the inventory is called {', '.join(unknown)}",
            where="command line",
            advice=known_names(unknown, sorted(known.values()), "hosts"),
        )
    for name in names:
        if name in addresses and name not in known.values():
            lone = lone_host(addresses[name], *_credentials(options, name))
            lab = lab.model_copy(update={"esxi": (*lab.esxi, *lone.esxi)}) if lab else lone
    assert lab is not None
    return lab, names


def _address(text: str) -> IPv4Address | None:
    try:
        return IPv4Address(text)
    except AddressValueError:
        return None


def _credentials(options: Options, address: str) -> tuple[str, str]:
    """From the environment, the password else by a prompt."""
    user, password = os.environ.get("VMWARE_USER", "root"), os.environ.get("VMWARE_PASSWORD")
    if password is None and options.ui.there:
        password = options.ui.ask_secret(f"Password of {user} at {address}: ")
    if not password:
        raise UsageError(
            f"{address} is not in the inventory, and there is no password for it",
            where="command line",
            advice="Set VMWARE_USER and VMWARE_PASSWORD, or run it on a terminal, which asks",
        )
    return user, password
