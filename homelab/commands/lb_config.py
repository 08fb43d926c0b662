"""The command `lb config`: what would be laid down on each balancer, from the inventory alone; it asks no host."""

from collections.abc import Sequence

from homelab.commands.lab_run import limit_of
from homelab.commands.options import Options
from homelab.commands.wanted_lab import lab_of, vault_of
from homelab.errors import DONE
from homelab.lab import LoadBalancer
from homelab.steps.guests.balancer_kinds import texts_of


def lb_config(options: Options) -> int:
    """Print the configuration of every balancer that was chosen."""
    vault = vault_of(options)
    lab, limit = lab_of(options, vault), limit_of(options, vault)
    chosen = [vm for vm in lab.load_balancers if limit is None or vm.name in limit]
    made = {vm.name: texts_of(lab, vm) for vm in chosen}
    if options.ui.json:
        options.ui.document({"balancers": [{"name": name, "files": texts} for name, texts in made.items()]})
        return DONE
    _show(options, made)
    _say_what_is_unknown(options, chosen)
    return DONE


def _show(options: Options, made: dict[str, dict[str, str]]) -> None:
    for name, texts in made.items():
        for path, text in texts.items():
            options.ui.say(f"# {name}: {path}")
            options.ui.say(f"{text}\n", file=True)


def _say_what_is_unknown(options: Options, chosen: Sequence[LoadBalancer]) -> None:
    if not chosen:
        options.ui.note("no balancer: the inventory's group load_balancers has none, or --limit left them out")
    if unknown := [vm.name for vm in chosen if vm.interface is None]:
        options.ui.note(f"the interface is looked up on {', '.join(unknown)}; keepalived_interface names it")
