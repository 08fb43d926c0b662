"""Image archives: read back by tar and gzip, which are not ours."""

import gzip
import hashlib
import io
import json
import subprocess
import tarfile
from pathlib import Path

from homelab.formats.kubernetes.image_archive import Entry, Layer, image_config, write_image, write_layer

PROGRAM = b"\x7fELF" + bytes(range(256)) * 999


def layer_of(*entries: Entry) -> tuple[bytes, Layer]:
    out = io.BytesIO()
    layer = write_layer(out, entries)
    return out.getvalue(), layer


def sample() -> tuple[bytes, Layer]:
    return layer_of(
        Entry("lib64", link="usr/lib64"),
        Entry("usr/local/bin/kube-proxy", io.BytesIO(PROGRAM), len(PROGRAM)),
        Entry("usr/local/bin/other", io.BytesIO(b"other"), 5, 0o644),
    )


def test_a_layer_is_known_by_the_digests_of_what_tar_reads(tmp_path: Path) -> None:
    packed, layer = sample()
    assert layer.digest == hashlib.sha256(packed).hexdigest()
    assert layer.diff_id == hashlib.sha256(gzip.decompress(packed)).hexdigest()
    (tmp_path / "layer.tar.gz").write_bytes(packed)
    listed = subprocess.run(
        ["tar", "--list", "--verbose", "--numeric-owner", "-zf", tmp_path / "layer.tar.gz"],
        capture_output=True,
        text=True,
        check=True,
    )
    rows = [line.split(maxsplit=5) for line in listed.stdout.splitlines()]
    assert [(row[0], row[1], row[5]) for row in rows] == [
        ("lrwxrwxrwx", "0/0", "lib64 -> usr/lib64"),
        ("drwxr-xr-x", "0/0", "usr/"),
        ("drwxr-xr-x", "0/0", "usr/local/"),
        ("drwxr-xr-x", "0/0", "usr/local/bin/"),
        ("-rwxr-xr-x", "0/0", "usr/local/bin/kube-proxy"),
        ("-rw-r--r--", "0/0", "usr/local/bin/other"),
    ]


def test_the_same_content_is_the_same_archive_at_any_time() -> None:
    packed, _ = sample()
    assert sample()[0] == packed
    assert packed[4:8] == bytes(4)  # RFC 1952: the time
    with tarfile.open(fileobj=io.BytesIO(packed)) as layer:
        assert {member.mtime for member in layer} == {0}


def test_an_archive_says_its_name_its_config_and_its_layers() -> None:
    packed, layer = sample()
    out = io.BytesIO()
    config = image_config("amd64", [layer], ["/usr/local/bin/kube-proxy"])
    write_image(out, "registry.k8s.io/kube-proxy:v1.36.3", config, {layer.digest: (io.BytesIO(packed), len(packed))})
    out.seek(0)
    with tarfile.open(fileobj=out, mode="r:") as archive:
        files = {member.name: archive.extractfile(member).read() for member in archive}  # type: ignore[union-attr]
    [manifest] = json.loads(files["manifest.json"])
    assert manifest["RepoTags"] == ["registry.k8s.io/kube-proxy:v1.36.3"]
    read = json.loads(files[manifest["Config"]])
    assert (read["os"], read["architecture"]) == ("linux", "amd64")
    plain = [hashlib.sha256(gzip.decompress(files[name])).hexdigest() for name in manifest["Layers"]]
    assert read["rootfs"]["diff_ids"] == [f"sha256:{digest}" for digest in plain]
    assert manifest["Config"] == f"{hashlib.sha256(files[manifest['Config']]).hexdigest()}.json"
