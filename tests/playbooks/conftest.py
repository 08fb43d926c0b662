"""The playbooks' folder, and the roles' templates as Ansible renders them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined

CHECKOUT = Path(__file__).parents[2]
PLAYBOOKS = CHECKOUT / "playbooks"

Render = Callable[..., str]


def plain_variables(role: str) -> dict[str, Any]:
    """A role's defaults and vars, without those that are templates themselves."""
    folder = PLAYBOOKS / "roles" / role
    merged: dict[str, Any] = {}
    for part in ("defaults", "vars"):
        merged |= yaml.safe_load((folder / part / "main.yml").read_text(encoding="utf-8"))
    return {name: value for name, value in merged.items() if "{{" not in str(value)}


@pytest.fixture
def render() -> Render:
    """Renders ROLE's TEMPLATE with the role's own values, and those given."""

    def rendered(role: str, template: str, **values: Any) -> str:
        folder = PLAYBOOKS / "roles" / role / "templates"
        # The options that Ansible gives to Jinja.
        environment = Environment(
            loader=FileSystemLoader(folder), undefined=StrictUndefined, trim_blocks=True, keep_trailing_newline=True
        )
        return environment.get_template(template).render(plain_variables(role) | values)

    return rendered
