"""What AWX needs: assets that refer to nothing that is not there, no secret in them, and an image's build context."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.helpers.checkout import ROOT

ASSETS = json.loads((ROOT / "docs" / "how-to" / "awx" / "assets.json").read_text(encoding="utf-8"))
# What every AWX has.
GIVEN = [
    {"name": "Default", "type": "organization"},
    {"name": "Machine", "kind": "ssh", "type": "credential_type"},
]
KEYS = {"name", "type", "kind", "organization", "credential_type", "inventory"}


def references(value: Any) -> Iterator[dict[str, Any]]:
    """Every natural key that something refers to, the way awxkit tells them: a name and a type."""
    if isinstance(value, dict):
        if {"name", "type"} <= value.keys() <= KEYS:
            yield value
        for name, inner in value.items():
            if name not in ("natural_key", "inputs", "spec"):
                yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


def test_whatever_an_asset_refers_to_is_there() -> None:
    keys = [asset["natural_key"] for assets in ASSETS.values() for asset in assets]
    found = [one for assets in ASSETS.values() for asset in assets for one in references(asset)]
    assert len(found) > 20
    assert [one for one in found if one not in [*keys, *GIVEN]] == []


def test_the_job_templates_name_playbooks_that_exist() -> None:
    for template in ASSETS["job_templates"]:
        assert (ROOT / template["playbook"]).is_file()


def test_no_asset_brings_a_secret_and_the_sample_takes_the_password_by_the_same_name() -> None:
    (kind,) = ASSETS["credential_types"]
    secret = {field["id"] for field in kind["inputs"]["fields"] if field.get("secret")}
    assert all(secret.isdisjoint(credential["inputs"]) for credential in ASSETS["credentials"])
    (variable,) = kind["injectors"]["extra_vars"]
    sample = yaml.safe_load((ROOT / "inventory" / "group_vars" / "esxi" / "esxi.yml").read_text())
    assert sample["ansible_password"] == f"{{{{ {variable} }}}}"


@pytest.mark.thorough
@pytest.mark.timeout(180)
def test_the_image_has_a_build_context_with_wheel_and_collection(tmp_path: Path) -> None:
    made = subprocess.run(
        [ROOT / "scripts" / "execution-environment", tmp_path], env=dict(os.environ), capture_output=True, text=True
    )
    assert made.returncode == 0, made.stdout + made.stderr
    brought = sorted(path.name for path in (tmp_path / "_build" / "homelab").iterdir())
    assert [name.rsplit("-", 1)[0] for name in brought][-1:] == ["homelab-lab"]
    assert any(name.endswith(".whl") for name in brought)
    (recipe,) = (path for name in ("Containerfile", "Dockerfile") if (path := tmp_path / name).exists())
    assert "pip install --no-cache-dir /tmp/homelab/*.whl" in recipe.read_text()
