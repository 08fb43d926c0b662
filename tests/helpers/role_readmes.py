"""The README of every role, made of its argument specs: `python -m tests.helpers.role_readmes` writes them anew."""

import json
import textwrap
from pathlib import Path
from typing import Any

import yaml

from tests.helpers.checkout import ROOT

ROLES = ROOT / "playbooks" / "roles"
WIDTH = 120


def readme(role: Path) -> str:
    """What a person reads of a role: what it does, what it takes, which playbook has it."""
    specs = yaml.safe_load((role / "meta" / "argument_specs.yml").read_text(encoding="utf-8"))["argument_specs"]
    platforms = yaml.safe_load((role / "meta" / "main.yml").read_text(encoding="utf-8"))["galaxy_info"]["platforms"]
    parts = [f"# {role.name}"]
    for name, spec in specs.items():
        parts += [] if name == "main" else [f"## `tasks_from: {name}`"]
        parts += [f"{spec['short_description']}.", *_paragraphs(spec.get("description", []))]
        parts += [_table(spec["options"])] if spec.get("options") else []
    systems = ", ".join(f"{one['name']} ({', '.join(one['versions'])})" for one in platforms)
    parts.append(f"Runs on {systems}, with `become`. {_users(role.name)}")
    parts.append(f"Made of meta/argument_specs.yml, which `ansible-doc -t role -r playbooks/roles {role.name}` shows.")
    return "\n\n".join(parts) + "\n"


def _paragraphs(said: str | list[str]) -> list[str]:
    return ["\n".join(textwrap.wrap(text, WIDTH)) for text in ([said] if isinstance(said, str) else said)]


def _table(options: dict[str, Any]) -> str:
    rows = ["| variable | type | default | what it is |", "|---|---|---|---|"]
    for name, option in options.items():
        kind = f"list of {option['elements']}" if option.get("elements") else option.get("type", "str")
        default = (
            "required"
            if option.get("required")
            else f"`{json.dumps(option['default'])}`"
            if "default" in option
            else ""
        )
        said = option.get("description", "")
        text = " ".join(said if isinstance(said, list) else [said]).replace("|", "\\|")
        rows.append(f"| `{name}` | {kind} | {default} | {text} |")
    return "\n".join(rows)


def _users(role: str) -> str:
    found = [path.name for path in sorted((ROOT / "playbooks").glob("*.yml")) if f"role: {role}\n" in path.read_text()]
    if not found:
        return "Other roles call it."
    return f"In {' and '.join(f'`playbooks/{name}`' for name in found)}."


def main() -> None:
    """Write them."""
    for role in sorted(path for path in ROLES.iterdir() if path.is_dir()):
        (role / "README.md").write_text(readme(role), encoding="utf-8")


if __name__ == "__main__":
    main()
