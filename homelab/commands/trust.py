"""The command `trust`: what is pinned for a machine, shown or forgotten."""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address

from homelab.commands.options import Options
from homelab.commands.wanted_lab import vault_of
from homelab.errors import DONE, UsageError
from homelab.formats.near import did_you_mean
from homelab.formats.trust.known_hosts import known_host_name
from homelab.formats.trust.pins import ever_at, named
from homelab.inventory import read_lab
from homelab.lab import Machine, machines, meant
from homelab.ports.files.data import data_folder
from homelab.ports.files.home import HomeFiles, home_now


def trust(options: Options, host: str, *, forget: bool) -> int:
    """Show or forget what is pinned for a machine: by its name, or by an address that was ever pinned."""
    files = HomeFiles(home_now(options.inventories, data_folder("inventory")))
    nameless = _address(host) is not None and not any(source.exists() for source in options.inventories)
    known = [] if nameless else machines(read_lab(options.inventories, vault_of(options)).lab)
    host = meant(host, [machine.name for machine in known]) or host
    found = trusted(files, known, host)
    if forget:
        return _forget(options, files, host, found)
    pins = files.trust.pins()
    certificate = pins[found.names[0]].certificate if found.names else "none"
    keys = files.trust.host_keys_of(found.ssh_names)
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
    if not found.names and not files.trust.mentions(found.ssh_names):
        options.ui.say(f"{host}: nothing is pinned; it is met for the first time at the next contact")
        return DONE
    for sentence in files.close_up():
        options.ui.note(sentence)
    with files.alone(f"trust {host} --forget", options.ui.warn):
        files.trust.forget_pins(found.names)
        files.trust.forget_host_keys(found.ssh_names)
    options.ui.say(f"{host}{found.other_names(host)}: forgotten; it is met for the first time at the next contact")
    return DONE


def trusted(files: HomeFiles, known: Sequence[Machine], host: str) -> Trusted:
    """What belongs to a name of the inventory, to an address, or to a name that only the pins know. UsageError if none.

    `known` are the machines of the inventory.
    """
    pins, address = files.trust.pins(), _address(host)
    found = [machine for machine in known if host in (machine.name, machine.address)]
    names = [name for machine in found for name in named(pins, machine.name, machine.place)]
    ssh_names = {known_host_name(machine.address, machine.ssh_port) for machine in found}
    if address is not None:
        names += ever_at(pins, host)
        ssh_names |= {known_host_name(host, 22), *files.trust.host_key_names(host)}
    elif not found and host in pins:
        names.append(host)
        for place in pins[host].addresses[:1]:
            ssh_names |= files.trust.host_key_names(place.rpartition(":")[0])
    if not found and not names and not files.trust.mentions(ssh_names):
        names = sorted({machine.name for machine in known} | set(pins))
        raise UsageError(
            f"neither the inventory nor the pins know {host}",
            where="command line",
            advice=f"{did_you_mean([host], names)}Known: {', '.join(names) or 'none'}",
        )
    return Trusted(tuple(sorted(dict.fromkeys(names), key=lambda name: name != host)), frozenset(ssh_names))


def _address(text: str) -> IPv4Address | None:
    try:
        return IPv4Address(text)
    except AddressValueError:
        return None
