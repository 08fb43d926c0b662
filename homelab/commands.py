"""The commands: a list of steps, a wanted lab, and an exit code. No machinery of their own."""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address

from homelab.data import data_folder
from homelab.errors import UsageError
from homelab.inventory import read_lab
from homelab.lab import Lab, Machine, lone_host, machines
from homelab.options import Options
from homelab.ports.files import HomeFiles, home_of
from homelab.render.known_hosts import known_host_name
from homelab.render.pins import ever_at, named
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
    steps = (DriverFix(force=force, undo=undo, asked=True), Reboot(undo=undo, logs=False))
    run = Run(options, steps, lab=lab, one_after_another=names)
    run.runner.graph = {node: edges for node, edges in run.runner.graph.items() if node.target in names}
    return run.carry_out(verify=False, command=" ".join(("driver-fix", *hosts)))


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
    """Show or forget what is pinned for a machine: by its name, or by an address that was ever pinned."""
    files = HomeFiles(home_of(options.inventories, data_folder("inventory")))
    nameless = _address(host) is not None and not any(source.exists() for source in options.inventories)
    found = trusted(files, [] if nameless else machines(read_lab(options.inventories, vault_of(options)).lab), host)
    if forget:
        return _forget(options, files, host, found)
    pins = files.pins()
    certificate = pins[found.names[0]].certificate if found.names else "none"
    keys = files.host_keys_of(found.ssh_names)
    if options.ui.json:
        fields = {"host": host, "certificate": certificate, "host_keys": keys, "pinned_as": found.names}
        options.ui.document(fields)
        return DONE
    options.ui.say(
        f"{host}: certificate {certificate}{found.other_names(host)}; SSH host keys: {', '.join(keys) or 'none'}"
    )
    return DONE


@dataclass(frozen=True)
class Trusted:
    """The names under which a machine's certificates are pinned, its own first, and its names in known_hosts."""

    names: tuple[str, ...]
    ssh_names: frozenset[str]

    def other_names(self, host: str) -> str:
        """The names beside the one that was asked for, to be put behind it."""
        others = [name for name in self.names if name != host]
        return f" (pinned as {', '.join(others)})" if others else ""


def _forget(options: Options, files: HomeFiles, host: str, found: Trusted) -> int:
    if not found.names and not files.mentions(found.ssh_names):
        options.ui.say(f"{host}: nothing is pinned; it is met for the first time at the next contact")
        return DONE
    for sentence in files.close_up():
        options.ui.note(sentence)
    with files.alone(f"trust {host} --forget", options.ui.warn):
        files.forget_pins(found.names)
        files.forget_host_keys(found.ssh_names)
    options.ui.say(f"{host}{found.other_names(host)}: forgotten; it is met for the first time at the next contact")
    return DONE


def trusted(files: HomeFiles, known: Sequence[Machine], host: str) -> Trusted:
    """What belongs to a name of the inventory, to an address, or to a name that only the pins know. UsageError if none.

    `known` are the machines of the inventory.
    """
    pins, address = files.pins(), _address(host)
    meant = [machine for machine in known if host in (machine.name, machine.address)]
    names = [name for machine in meant for name in named(pins, machine.name, machine.place)]
    ssh_names = {known_host_name(machine.address, machine.ssh_port) for machine in meant}
    if address is not None:
        names += ever_at(pins, host)
        ssh_names |= {known_host_name(host, 22), *files.host_key_names(host)}
    elif not meant and host in pins:
        names.append(host)
        for place in pins[host].addresses[:1]:
            ssh_names |= files.host_key_names(place.rpartition(":")[0])
    if not meant and not names and not files.mentions(ssh_names):
        raise UsageError(
            f"neither the inventory nor the pins know {host}",
            where="command line",
            advice=f"Known: {', '.join(sorted({machine.name for machine in known} | set(pins))) or 'none'}",
        )
    return Trusted(tuple(sorted(dict.fromkeys(names), key=lambda name: name != host)), frozenset(ssh_names))
