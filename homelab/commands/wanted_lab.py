"""The lab that a command wants: as the inventory says it, with one vault. Apart, so that it loads no more than that."""

from functools import cache

from homelab.commands.options import Options
from homelab.inventory import read_lab
from homelab.lab import Lab
from homelab.ports.ansible.inventory import Vault


@cache
def vault_of(options: Options) -> Vault:
    """The vault of a command: its password is asked for once, on a terminal only."""
    return Vault(options.ui.ask_secret if options.ui.there else None)


def lab_of(options: Options, vault: Vault) -> Lab:
    """The inventory's lab; what works but is hardly meant is warned of."""
    reading = read_lab(options.inventories, vault)
    for warning in reading.warnings:
        options.ui.warn(str(warning))
    return reading.lab
