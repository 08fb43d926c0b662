"""Names of the inventory for the shell's completion. Quick, and never an error on the terminal."""

from collections.abc import Callable, Sequence
from typing import Any

import click
from click.shell_completion import CompletionItem

from homelab.cli.sources import inventories

VMS = ("control_plane", "load_balancers", "workers")
EVERYBODY = ("esxi", "vcenter", "nfs", *VMS)
Complete = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def names_of(*groups: str) -> Complete:
    """Complete the names of these groups' machines, each once on a line."""

    def complete(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
        found = _groups(context)
        typed = context.params.get(parameter.name or "") or ()
        names = [name for group in groups for name in found.get(group, ()) if name not in typed]
        return _beginning(names, incomplete)

    return complete


def pattern(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the last word of a pattern of Ansible's: `esxi,!br` -> `esxi,!brix1`."""
    found = _groups(context)
    head, word = _cut(incomplete)
    names = dict.fromkeys([*found, *(name for names in found.values() for name in names)])
    return [CompletionItem(head + item.value) for item in _beginning(list(names), word)]


def _cut(text: str) -> tuple[str, str]:
    start = max(text.rfind(sign) for sign in ",:!&") + 1
    return text[:start], text[start:]


def _beginning(names: Sequence[str], incomplete: str) -> list[CompletionItem]:
    lower = incomplete.lower()
    return [CompletionItem(name) for name in dict.fromkeys(names) if name.lower().startswith(lower)]


def _groups(context: click.Context) -> dict[str, list[str]]:
    try:
        from homelab.ports.ansible.quick_names import group_names

        return group_names(inventories(_named(context)))
    except Exception:
        # Somebody is typing: nothing is said in the middle of their line.
        return {}


def _named(context: click.Context | None) -> Sequence[str]:
    """The inventories that stand on the line so far, before or after the command."""
    while context:
        given: Any = context.params.get("inventory")
        if given:
            return tuple(given)
        context = context.parent
    return ()
