"""The playbooks' folder, the roles' templates as Ansible renders them, and the modules without a guest."""

import importlib.util
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from tests.helpers.checkout import ROOT

PLAYBOOKS = ROOT / "playbooks"

Render = Callable[..., str]


class Ended(Exception):
    """A module has ended, and not well."""


class FakeModule:
    """The part of AnsibleModule that our modules use."""

    def __init__(self, check_mode: bool, **params: Any) -> None:
        self.params = params
        self.check_mode = check_mode
        self.answer: dict[str, Any] = {}
        self.warnings: list[str] = []

    def exit_json(self, **answer: Any) -> None:
        self.answer = answer

    def warn(self, text: str) -> None:
        self.warnings.append(text)

    def fail_json(self, msg: str) -> None:
        raise Ended(msg)

    def run_command(self, words: list[str]) -> tuple[int, str, str]:
        answer = subprocess.run(words, capture_output=True, text=True, timeout=20)
        return answer.returncode, answer.stdout, answer.stderr


def load(path: Path) -> ModuleType:
    """A Python file of the playbooks, which are no package, as a module."""
    spec = importlib.util.spec_from_file_location(f"playbooks_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def library(name: str) -> ModuleType:
    """One of the playbooks' own modules."""
    return load(PLAYBOOKS / "library" / f"{name}.py")


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
