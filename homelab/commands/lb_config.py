"""The command `lb config`: what would be laid down on each balancer, from the inventory alone; it asks no host."""

from collections.abc import Sequence

from homelab.commands.lab_run import limit_of
from homelab.commands.options import Options
from homelab.commands.wanted_lab import lab_of, vault_of
from homelab.errors import DONE, UsageError
from homelab.formats.balancer import haproxy as haproxy_format
from homelab.formats.balancer import keepalived as keepalived_format
from homelab.lab import Lab, LoadBalancer
from homelab.steps.guests.role_values import haproxy, keepalived


def lb_config(options: Options) -> int:
    """Print the configuration of every balancer that was chosen."""
    vault = vault_of(options)
    lab, limit = lab_of(options, vault), limit_of(options, vault)
    chosen = [vm for vm in lab.load_balancers if limit is None or vm.name in limit]
    made = {vm.name: files(lab, vm) for vm in chosen}
    if options.ui.json:
        options.ui.document({"balancers": [{"name": name, "files": texts} for name, texts in made.items()]})
        return DONE
    _show(options, made)
    _say_what_is_unknown(options, chosen)
    return DONE


def files(lab: Lab, balancer: LoadBalancer) -> dict[str, str]:
    """The paths of a balancer's configuration files to their texts. UsageError for a kind that is not laid down."""
    if balancer.kind != "haproxy":
        raise UsageError(
            f"{balancer.name} wants {balancer.kind} at layer {balancer.layer}",
            where="inventory",
            advice="Supported is load_balancer_kind haproxy, at layer 4 and 7",
        )
    return {
        # The CA is a file of its own.
        haproxy_format.PATH: haproxy_format.haproxy_cfg(haproxy(lab, balancer, ca="")),
        keepalived_format.PATH: keepalived_format.keepalived_conf(keepalived(lab, balancer)),
    }


def _show(options: Options, made: dict[str, dict[str, str]]) -> None:
    for name, texts in made.items():
        for path, text in texts.items():
            options.ui.say(f"# {name}: {path}")
            for line in text.splitlines():
                options.ui.say(line)
            options.ui.say("")


def _say_what_is_unknown(options: Options, chosen: Sequence[LoadBalancer]) -> None:
    if not chosen:
        options.ui.note("no balancer: the inventory's group load_balancers has none, or --limit left them out")
    if unknown := [vm.name for vm in chosen if vm.interface is None]:
        options.ui.note(f"the interface is looked up on {', '.join(unknown)}; keepalived_interface names it")
