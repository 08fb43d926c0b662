"""The command `schema`: the JSON Schema of the inventory's variables, or of what a command prints."""

from homelab.commands.options import Options
from homelab.errors import DONE, UsageError
from homelab.inventory.schema import INDENT, inventory_schema


def schema(options: Options, document: str | None = None) -> int:
    """Print it."""
    made = inventory_schema() if document is None else _of_output(document)
    options.ui.document(made, indent=INDENT)
    return DONE


def _of_output(document: str) -> dict[str, object]:
    from homelab.formats.near import known_names
    from homelab.output.shapes import DOCUMENTS, output_schema

    if document not in DOCUMENTS:
        raise UsageError(
            f"there is no document {document!r}",
            where="command line",
            advice=f"{known_names([document], DOCUMENTS, 'documents')}",
        )
    return output_schema(document)
