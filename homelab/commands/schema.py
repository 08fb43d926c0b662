"""The command `schema`: the JSON Schema of the inventory's variables, for editors."""

from homelab.commands.options import Options
from homelab.errors import DONE
from homelab.inventory.schema import INDENT, inventory_schema


def schema(options: Options) -> int:
    """Print it."""
    options.ui.document(inventory_schema(), indent=INDENT)
    return DONE
