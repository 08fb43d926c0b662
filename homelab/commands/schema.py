"""The command `schema`: the JSON Schema of the inventory's variables, for editors."""

from homelab.commands.options import Options
from homelab.errors import DONE
from homelab.inventory.schema import schema_text


def schema(options: Options) -> int:
    """Print it."""
    for line in schema_text().splitlines():
        options.ui.say(line)
    return DONE
