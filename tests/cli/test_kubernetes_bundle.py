"""`homelab kubernetes bundle` as a person types it; what is in the cache was made from a server on loopback."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from homelab.ports.kubernetes.make import make_bundle
from tests.helpers.checkout import ROOT
from tests.helpers.kubernetes_servers import VERSION, community
from tests.helpers.shapes import printed_fits

SAMPLE = ("-i", str(ROOT / "inventory"))


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache (XDG_CACHE_HOME) with a bundle in it."""
    folder = tmp_path_factory.mktemp("cache")
    with community(tmp_path_factory.mktemp("served")) as served:
        make_bundle(folder / "homelab", VERSION, "community", print, served.servers)
    return folder


def bundle(cache: Path, *argv: str, cwd: Path | None = None) -> "subprocess.CompletedProcess[str]":
    # Nothing here may build, or ask a server: a bundle that is not in the cache is an error.
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache), "https_proxy": "http://127.0.0.1:9"}
    command = [sys.executable, "-m", "homelab", "kubernetes", "bundle", *argv]
    return subprocess.run(command, env=environment, cwd=cwd, capture_output=True, text=True, check=False)


def test_one_that_is_there_is_named_without_any_password(cache: Path) -> None:
    [file] = (cache / "homelab" / "bundles").glob("*.tar")
    done = bundle(cache, *SAMPLE)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{file}: Kubernetes 1.36.3, 0 MB, was there\n"
    assert f"kubernetes_bundle: {file}" in done.stderr


def test_a_script_gets_a_document(cache: Path) -> None:
    [file] = (cache / "homelab" / "bundles").glob("*.tar")
    done = bundle(cache, *SAMPLE, "-o", "json")
    assert printed_fits(["json", "kubernetes", "bundle"], done.stdout) == 1
    assert json.loads(done.stdout) == {
        "bundle": str(file),
        "kubernetes_version": "1.36.3",
        "bytes": file.stat().st_size,
        "made": False,
    }


def test_with_a_version_it_needs_no_inventory_and_is_written_where_it_is_wanted(cache: Path, tmp_path: Path) -> None:
    [file] = (cache / "homelab" / "bundles").glob("*.tar")
    wanted = tmp_path / "mine.tar"
    wanted.write_bytes(file.read_bytes()[:5000])  # another bundle
    done = bundle(cache, "--kubernetes-version", "v1.36.3", "-O", "mine.tar", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert wanted.read_bytes() == file.read_bytes()
    assert done.stdout.startswith("mine.tar: Kubernetes 1.36.3")


@pytest.mark.parametrize(
    ("target", "why"), [("mine.tar", "is no bundle"), (".", "is no file"), ("none/x", "no folder")]
)
def test_nothing_but_a_bundle_is_written_over(cache: Path, tmp_path: Path, target: str, why: str) -> None:
    mine = tmp_path / "mine.tar"
    mine.write_bytes(b"the only copy of my thesis")
    refused = bundle(cache, "--kubernetes-version", "1.36.3", "-O", target, cwd=tmp_path)
    assert (refused.returncode, why in refused.stderr) == (2, True), refused.stderr
    assert mine.read_bytes() == b"the only copy of my thesis"
    assert [path.name for path in tmp_path.iterdir()] == ["mine.tar"]


@pytest.mark.thorough
@pytest.mark.parametrize("version", ["1.36", "latest", "1.36.3-rc.0", "2.0.0"])
def test_a_version_has_three_parts(cache: Path, version: str) -> None:
    done = bundle(cache, "--kubernetes-version", version)
    assert done.returncode == 2
    assert f"no version of Kubernetes: {version}" in done.stderr


def test_an_inventory_without_a_version_is_a_mistake(cache: Path, tmp_path: Path) -> None:
    (tmp_path / "hosts.yml").write_text("all: {hosts: {one: {}}}\n")
    done = bundle(cache, "-i", str(tmp_path / "hosts.yml"))
    assert done.returncode == 2
    assert "kubernetes_version in " in done.stderr
