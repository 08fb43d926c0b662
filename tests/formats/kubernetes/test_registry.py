"""What a registry answers, in the forms of the OCI image specification and of Docker's before it."""

import json

import pytest

from homelab.formats.kubernetes.registry import Manifest, manifest_of

ONE, TWO, THREE = ("1" * 64, "2" * 64, "3" * 64)


def index(*platforms: tuple[str, str, str]) -> bytes:
    rows = [
        {"digest": f"sha256:{digest}", "size": 1, "platform": {"os": os, "architecture": architecture}}
        for digest, os, architecture in platforms
    ]
    return json.dumps({"schemaVersion": 2, "manifests": rows}).encode()


def test_the_manifest_of_the_guests_architecture_is_taken() -> None:
    text = index((ONE, "linux", "arm64"), (TWO, "windows", "amd64"), (THREE, "linux", "amd64"))
    assert manifest_of(text, "amd64") == THREE


def test_a_manifest_names_its_config_and_its_layers_in_order() -> None:
    layers = [{"digest": f"sha256:{digest}"} for digest in (THREE, TWO)]
    text = json.dumps({"config": {"digest": f"sha256:{ONE}"}, "layers": layers}).encode()
    assert manifest_of(text, "amd64") == Manifest(ONE, (THREE, TWO))


@pytest.mark.parametrize(
    "text",
    [
        index((ONE, "linux", "arm64")),
        index(("../../etc/passwd", "linux", "amd64")),
        b"[]",
        b"{}",
        b"<html>Log in to this network</html>",
        b'{"config": {"digest": "sha256:short"}, "layers": [{}]}',
        b'{"config": 7, "layers": 8}',
        b'{"manifests": 5}',
        b'{"manifests": [5]}',
    ],
)
def test_any_other_answer_is_a_mistake(text: bytes) -> None:
    with pytest.raises(ValueError):
        manifest_of(text, "amd64")
