"""The commands `lb drain` and `lb ready`: a server of the pools takes no new connections, or takes them again."""

from typing import Literal

from homelab.commands.carry_out import carry_out
from homelab.commands.lab_run import open_run
from homelab.commands.options import Options
from homelab.commands.wanted_lab import lab_of, vault_of
from homelab.errors import UsageError
from homelab.formats.near import known_names
from homelab.lab import Lab, meant
from homelab.steps.guests.balancers import server_names
from homelab.steps.guests.draining import Drain
from homelab.steps.guests.role_values import pools


def lb_drain(options: Options, name: str, *, force: bool) -> int:
    """Give a server no new connections on any balancer; those it has end by themselves."""
    return _set(options, name, "drain", force=force)


def lb_ready(options: Options, name: str) -> int:
    """Give a server new connections again on every balancer."""
    return _set(options, name, "ready", force=False)


def _set(options: Options, name: str, wanted: Literal["drain", "ready"], *, force: bool) -> int:
    lab = lab_of(options, vault_of(options))
    label, server = named_server(lab, name)
    run = open_run(options, (Drain(server, label, wanted, force=force),), lab=lab)
    return carry_out(run, f"lb {wanted} {name}")


def named_server(lab: Lab, name: str) -> tuple[str, str]:
    """What the balancers call a server, and the inventory's name of it. UsageError when no pool has it."""
    labels = {server.name for vm in lab.load_balancers for pool in pools(lab, vm) for server in pool.servers}
    names = server_names(lab)
    known = {names.get(label, label): label for label in sorted(labels)}
    found = meant(name, known)
    if found is not None:
        return known[found], found
    raise UsageError(
        f"no pool of a balancer has a server that is called {name}",
        where="command line",
        advice=known_names([name], known, "servers"),
    )
