"""The commands: a list of steps, a wanted lab, and an exit code. No machinery of their own."""

import os
import sys
from collections.abc import Sequence
from ipaddress import AddressValueError, IPv4Address

from homelab.data import data_folder
from homelab.errors import UsageError
from homelab.inventory import read_lab
from homelab.lab import EsxiHost, Lab, Vcenter, Vm, lone_host
from homelab.options import Options
from homelab.ports.files import HomeFiles, home_of
from homelab.run import CHANGES, DONE, FAILED, HANDED_OVER, Choice, Run, lab_of, vault_of
from homelab.step import HandOver
from homelab.steps import all_steps
from homelab.steps.driver_fix import DriverFix
from homelab.steps.reboot import Reboot


def plan(options: Options) -> int:
    """What bootstrap would change, and why."""
    run = Run(options, all_steps())
    found = run.runner.plan()
    if options.ui.json:
        options.ui.document(found.document())
    run.show_plan(found)
    if found.failures:
        return FAILED
    if found.of(HandOver):
        return HANDED_OVER
    return DONE if found.empty else CHANGES


def bootstrap(options: Options, choice: Choice, *, wait: float) -> int:
    """The whole job, again and again; ends with verify. `wait` in seconds, for hosts that need a person."""
    return Run(options, all_steps(wait=wait), choice).carry_out(verify=True)


def driver_fix(options: Options, hosts: Sequence[str], *, force: bool, undo: bool) -> int:
    """The NIC driver of one or more hosts, one after another; a host is a name of the inventory or an address."""
    lab, names = chosen_hosts(options, hosts)
    steps = (DriverFix(force=force, undo=undo), Reboot(undo=undo, logs=False))
    run = Run(options, steps, lab=lab, one_after_another=names)
    run.runner.graph = {node: edges for node, edges in run.runner.graph.items() if node.target in names}
    return run.carry_out(verify=False)


def chosen_hosts(options: Options, hosts: Sequence[str]) -> tuple[Lab, list[str]]:
    """The lab with the hosts that are meant, and their names in it; an address may be one that no inventory knows."""
    addresses = {host: address for host in hosts if (address := _address(host))}
    nameless = len(addresses) == len(hosts) and not any(source.exists() for source in options.inventories)
    lab = None if nameless else lab_of(options, vault_of(options))
    known = {str(host.address): host.name for host in lab.esxi} if lab else {}
    names = list(dict.fromkeys(known.get(host, host) for host in hosts))
    unknown = [name for name in names if name not in known.values() and name not in addresses]
    if unknown:
        raise UsageError(
            f"no ESXi host of the inventory is called {', '.join(unknown)}",
            where="command line",
            advice=f"Known hosts: {', '.join(sorted(known.values()))}",
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
    if password is None and sys.stdin.isatty():
        password = options.ui.ask_secret(f"Password of {user} at {address}: ")
    if not password:
        raise UsageError(
            f"{address} is not in the inventory, and there is no password for it",
            where="command line",
            advice="Set VMWARE_USER and VMWARE_PASSWORD, or run it on a terminal, which asks",
        )
    return user, password


def verify(options: Options) -> int:
    """Smoke tests, and the plan must be empty."""
    return Run(options, all_steps()).verify_only()


def doctor(options: Options) -> int:
    """Preflight: this machine, then every host, NAS, image and address; changes nothing."""
    return Run(options, all_steps()).doctor()


def trust(options: Options, host: str, *, forget: bool) -> int:
    """Show or forget what is pinned for one host or guest."""
    lab = read_lab(options.inventories).lab
    machines: tuple[EsxiHost | Vcenter | Vm, ...] = (*lab.esxi, *lab.vcenter, *lab.vms)
    addresses = {machine.name: str(machine.address) for machine in machines}
    if host not in addresses:
        raise UsageError(
            f"the inventory has no host {host}", where="command line", advice=f"Known: {', '.join(sorted(addresses))}"
        )
    files = HomeFiles(home_of(options.inventories, data_folder("inventory")))
    names = {name: key for name, key in files.host_keys().items() if addresses[host] == name.strip("[").split("]")[0]}
    if forget:
        files.set_pin(host, None)
        for name in names:
            files.set_host_key(name, None)
        options.ui.say(f"{host}: forgotten; it is met for the first time at the next contact")
        return DONE
    pin = files.pins().get(host, {}).get("certificate", "none")
    if options.ui.json:
        options.ui.document({"host": host, "certificate": pin, "host_keys": list(names.values())})
    else:
        options.ui.say(f"{host}: certificate {pin}; SSH host keys: {', '.join(names.values()) or 'none'}")
    return DONE
