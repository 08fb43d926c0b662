"""The reference pages that are made from the code: docs/reference/generated/. `make reference` writes them."""

from collections.abc import Callable
from pathlib import Path

from tools.reference import collection, commands, errors, json_pages, licences, roles, steps, variables

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs" / "reference" / "generated"
RECORD = ROOT / "docs" / "reference" / "promised.json"
MAKERS: dict[str, Callable[[], str]] = {
    "commands.md": commands.page,
    "variables.md": variables.page,
    "steps.md": steps.page,
    "roles.md": lambda: roles.page(ROOT),
    "collection.md": lambda: collection.page(ROOT),
    "errors.md": lambda: errors.page(ROOT / "homelab"),
    "json.md": json_pages.page,
    "licences.md": licences.page,
}


def pages() -> dict[str, str]:
    """Every generated file by its name in the folder."""
    return {name: make() for name, make in MAKERS.items()} | json_pages.schemas()
