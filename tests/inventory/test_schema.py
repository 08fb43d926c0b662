"""The schema for editors, judged by a stranger's validator (jsonschema, which ansible-lint brings)."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from homelab.inventory.reader import KNOWN
from homelab.inventory.schema import FILE, inventory_schema, modeline, schema_text
from tests.helpers.checkout import ROOT

jsonschema = pytest.importorskip("jsonschema")
SAMPLE = ROOT / "inventory"
FILES = sorted(path for path in SAMPLE.rglob("*.yml"))
SCHEMA = inventory_schema()


def wrong(document: Any) -> list[str]:
    validator = jsonschema.Draft7Validator(SCHEMA, format_checker=jsonschema.FormatChecker(["ipv4"]))
    return ["/".join(map(str, error.absolute_path)) for error in validator.iter_errors(document)]


def test_it_is_a_schema() -> None:
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    assert set(SCHEMA["properties"]) >= KNOWN


def test_the_one_that_travels_with_the_sample_is_this_one() -> None:
    assert (SAMPLE / FILE).read_text() == schema_text(), "homelab schema > inventory/.schema.json"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(SAMPLE).as_posix())
def test_a_file_of_the_sample_names_it_and_holds_to_it(path: Path) -> None:
    name = path.relative_to(SAMPLE).as_posix()
    first = path.read_text().partition("\n")[0]
    assert first == modeline(name)
    assert (path.parent / first.partition("=")[2]).resolve() == SAMPLE / FILE
    assert wrong(yaml.safe_load(path.read_text())) == []


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("lab_domian: x", ""),
        ("api_vip: 192.168.2.300", "api_vip"),
        ("kubernetes_version: 1.30", "kubernetes_version"),
        ("load_balancer_kind: haproxi", "load_balancer_kind"),
        ("vm_cpus: yes", "vm_cpus"),
        ("load_balancer_pools: [{name: web, port: 80}]", "load_balancer_pools"),
        ("all: {children: {esxi: {hosts: {brix1: {esxi_vlan: 5000}}}}}", "all/children/esxi/hosts/brix1/esxi_vlan"),
        ("esxi: {host: {brix1: {}}}", "esxi"),
    ],
)
def test_a_mistake_is_marked_where_it_stands(text: str, path: str) -> None:
    assert wrong(yaml.safe_load(text)) == [path]


@pytest.mark.parametrize(
    "text",
    [
        'api_vip: "{{ my_vip }}"',
        "somebody_elses: [1, 2]",
        "all:\n",
        "esxi: {hosts: {brix1:, brix2: {}}}",
        "my_group: {hosts: {brix1: {}}}",
        "nfs_export: /mnt/My Pool/lab",
    ],
)
def test_what_is_right_is_not_marked(text: str) -> None:
    assert wrong(yaml.safe_load(text)) == []


def test_editors_know_its_patterns() -> None:
    """ECMA 262 has no inline flags; editors run these patterns in JavaScript."""
    assert not re.search(r"\(\?[a-zA-Z]", schema_text())
