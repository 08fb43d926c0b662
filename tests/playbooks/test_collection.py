"""The collection homelab.lab: what ansible-doc shows of it, and that it is built whole."""

import json
import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from homelab import __version__
from homelab.steps.product import STEP_NAMES
from tests.helpers.checkout import ROOT
from tests.helpers.role_readmes import ROLES, readme

COLLECTION = ROOT / "playbooks" / "collections" / "ansible_collections" / "homelab" / "lab"
ROLE_NAMES = sorted(path.name for path in ROLES.iterdir() if path.is_dir())
# ensurepip in place of a download that is not there offline; its packages come from where pip finds them.
GET_PIP = "import ensurepip\n\nensurepip.bootstrap()\n"


def ansible(*argv: str, paths: Path, home: Path | None = None, cwd: Path | None = None) -> str:
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(paths), **({"HOME": str(home)} if home else {})}
    done = subprocess.run(argv, env=environment, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def documented(kind: str, name: str) -> dict[str, Any]:
    said = ansible("ansible-doc", "--json", "-t", kind, name, paths=ROOT / "playbooks" / "collections")
    return dict(json.loads(said)[name])


def test_the_collection_has_the_version_of_the_toolkit() -> None:
    assert yaml.safe_load((COLLECTION / "galaxy.yml").read_text())["version"] == __version__


def test_the_module_is_documented_with_the_options_that_it_takes() -> None:
    shown = documented("module", "homelab.lab.step")
    taken = re.findall(r'^    "(\w+)": \{"type"', (COLLECTION / "plugins/action/step.py").read_text(), re.MULTILINE)
    assert set(shown["doc"]["options"]) == set(taken)
    assert {"msg", "changes", "blocked", "hand_overs", "variables"} <= set(shown["return"])
    assert shown["doc"]["has_action"] is True


def test_the_inventory_plugin_is_documented() -> None:
    assert {"lab", "facts", "cache", "keyed_groups"} <= set(
        documented("inventory", "homelab.lab.vms")["doc"]["options"]
    )


def test_every_step_has_its_place_in_site_yml() -> None:
    told = (ROOT / "playbooks" / "hosts_and_vms.yml").read_text() + (ROOT / "playbooks" / "site.yml").read_text()
    assert [name for name in STEP_NAMES if not re.search(rf"\b{name}\b", told)] == []


@pytest.mark.parametrize("role", ROLE_NAMES)
def test_the_readme_of_a_role_is_what_its_specs_say(role: str) -> None:
    written = (ROLES / role / "README.md").read_text(encoding="utf-8")
    assert written == readme(ROLES / role), "write it anew: python -m tests.helpers.role_readmes"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the built collection is installed in."""
    made, paths = tmp_path_factory.mktemp("built"), tmp_path_factory.mktemp("collections")
    ansible(str(ROOT / "scripts" / "collection"), str(made), paths=paths)
    (archive,) = made.glob("homelab-lab-*.tar.gz")
    with tarfile.open(archive) as tar:
        assert not [name for name in tar.getnames() if "__pycache__" in name]
    ansible("ansible-galaxy", "collection", "install", "--offline", "-p", str(paths), str(archive), paths=paths)
    return paths


@pytest.mark.thorough
@pytest.mark.timeout(120)
def test_the_built_collection_shows_every_role_and_finds_its_filters(installed: Path, tmp_path: Path) -> None:
    shown = json.loads(ansible("ansible-doc", "--json", "-t", "role", "--list", "homelab.lab", paths=installed))
    assert sorted(shown) == [f"homelab.lab.{name}" for name in ROLE_NAMES]
    role = installed / "ansible_collections" / "homelab" / "lab" / "roles" / "keepalived"
    looks = [{"ansible.builtin.debug": {"msg": "{{ keepalived_files | map(attribute='content') | join }}"}}]
    (role / "tasks" / "look.yml").write_text(yaml.safe_dump(looks))
    asked = {"ansible.builtin.include_role": {"name": "homelab.lab.keepalived", "tasks_from": "look.yml"}}
    values = {
        "keepalived_virtual_address": "192.168.2.100",
        "keepalived_prefix_length": 24,
        "keepalived_address": "192.168.2.31",
        "keepalived_peers": ["192.168.2.32"],
        "keepalived_interface": "eth0",
    }
    book = [{"hosts": "localhost", "gather_facts": False, "tasks": [asked], "vars": values}]
    (tmp_path / "book.yml").write_text(yaml.safe_dump(book))
    said = ansible("ansible-playbook", "-i", "localhost,", "-c", "local", "book.yml", paths=installed, cwd=tmp_path)
    assert "virtual_router_id 100" in said


@pytest.mark.thorough
@pytest.mark.timeout(600)
def test_ansible_test_finds_nothing(installed: Path, tmp_path: Path) -> None:
    cache = tmp_path / ".ansible" / "test" / "cache"
    cache.mkdir(parents=True)
    for version in ("24_2", "25_0", "25_1"):
        (cache / f"get_pip_{version}.py").write_text(GET_PIP)
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    folder = installed / "ansible_collections" / "homelab" / "lab"
    ansible("ansible-test", "sanity", "--python", python, paths=installed, home=tmp_path, cwd=folder)
