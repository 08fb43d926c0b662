"""kubernetes_manifests in an inventory: what cannot be applied is a mistake with its file and line."""

import shutil
from pathlib import Path

import pytest

from homelab.errors import InventoryError, UsageError
from homelab.inventory import read_lab
from homelab.ports.kubernetes.manifest_files import read_manifests
from tests.helpers.checkout import ROOT

PASSWORD = ROOT / "tests" / "inventories" / "password"
CONFIG_MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s}\n"


@pytest.fixture
def inventory(tmp_path: Path) -> Path:
    """The sample, in a folder where manifests lie beside it."""
    shutil.copytree(ROOT / "inventory", tmp_path / "inventory")
    shutil.copytree(PASSWORD, tmp_path / "password")
    (tmp_path / "manifests").mkdir()
    for name in ("b.yaml", "a.yml", "c.json", "README.md", "sub/d.yaml"):
        path = tmp_path / "manifests" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(CONFIG_MAP % path.stem if path.suffix != ".md" else "# Read me\n", encoding="utf-8")
    (tmp_path / "manifests" / "c.json").write_text(
        '{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}}', encoding="utf-8"
    )
    return tmp_path / "inventory"


def mistakes(inventory: Path, names: str) -> list[str]:
    overlay = inventory.parent / "overlay"
    (overlay / "group_vars").mkdir(parents=True, exist_ok=True)
    (overlay / "group_vars" / "all.yml").write_text(f"kubernetes_manifests:\n{names}", encoding="utf-8")
    (overlay / "hosts.yml").write_text("all:\n", encoding="utf-8")
    sources = [inventory, inventory.parent / "password", overlay]
    try:
        reading = read_lab(sources)
    except InventoryError as error:
        return [str(mistake).replace(f"{inventory.parent}/", "") for mistake in error.mistakes]
    assert reading.lab.kubernetes.manifests
    return []


def test_files_and_folders_are_read_in_their_order_as_kubectl_takes_them(inventory: Path) -> None:
    assert mistakes(inventory, "- ../manifests/b.yaml\n") == []
    found = read_manifests(inventory, ["../manifests/sub/d.yaml", "../manifests"])
    assert [one.name for one in found] == ["d", "a", "b", "c"]


def test_every_mistake_has_its_place(inventory: Path) -> None:
    folder = inventory.parent / "manifests"
    (folder / "a.yml").write_text("apiVersion: v1\nkind: ConfigMap\n", encoding="utf-8")
    (folder / "b.yaml").write_text(CONFIG_MAP % "c" + "---\na: [\n", encoding="utf-8")
    (inventory.parent / "empty").mkdir()
    told = mistakes(inventory, "- ../manifests\n- ../nowhere.yaml\n- ../empty\n")
    assert [line.partition("; ")[0] for line in told] == [
        "inventory/../manifests/a.yml:1: this document has no metadata.name",
        "inventory/../manifests/b.yaml:6: this is not YAML: expected the node content, but found '<stream end>'",
        "overlay/group_vars/all.yml:3: kubernetes_manifests[2]: ../nowhere.yaml cannot be read: No such file or "
        "directory",
        "overlay/group_vars/all.yml:4: kubernetes_manifests[3]: ../empty is a folder without YAML or JSON files",
    ]


def test_one_object_in_two_files_is_a_mistake(inventory: Path) -> None:
    [told] = mistakes(inventory, "- ../manifests/a.yml\n- ../manifests\n")
    assert "ConfigMap a is written twice" in told
    with pytest.raises(UsageError, match="written twice"):
        read_manifests(inventory, ["../manifests/a.yml", "../manifests"])


def test_a_name_alone_is_no_list(inventory: Path) -> None:
    [told] = mistakes(inventory, "  ../manifests\n")
    assert "kubernetes_manifests: ../manifests is not a list" in told
