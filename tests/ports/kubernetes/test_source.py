"""A bundle from source: what is built, what is kept, and what it becomes."""

import io
import json
import tarfile
from pathlib import Path
from typing import IO

import pytest

from homelab.errors import HomelabError
from homelab.ports.kubernetes.make import make_bundle
from tests.helpers.kubernetes_servers import VERSION
from tests.helpers.toolchain import Toolchain

PROGRAMS = [
    *("kubeadm", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "kubelet", "kubectl"),
    *("etcd", "etcdctl", "etcdutl", "coredns", "bridge", "loopback", "host-local", "portmap", "pause"),
]


@pytest.fixture
def toolchain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Toolchain:
    made = Toolchain(tmp_path / "toolchain")
    monkeypatch.setenv("PATH", made.path)
    return made


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Toolchain]:
    """A bundle, and what it was made with."""
    folder = tmp_path_factory.mktemp("made")
    toolchain = Toolchain(folder / "toolchain")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", toolchain.path)
        return make(folder), toolchain


def make(tmp_path: Path) -> Path:
    return make_bundle(tmp_path / "cache", VERSION, "source", print)


def files_of(archive: IO[bytes]) -> dict[str, bytes]:
    with tarfile.open(fileobj=archive) as files:
        return {one.name: files.extractfile(one).read() for one in files if one.isfile()}  # type: ignore[union-attr]


def image_in(bundle: Path, name: str) -> dict[str, bytes]:
    """The files of an image's one layer, and its config."""
    archive = files_of(io.BytesIO(files_of(io.BytesIO(bundle.read_bytes()))[f"kubernetes-bundle/images/{name}.tar"]))
    [manifest] = json.loads(archive["manifest.json"])
    [layer] = manifest["Layers"]
    return files_of(io.BytesIO(archive[layer])) | {"config": archive[manifest["Config"]]}


def test_all_is_built_once_and_the_versions_are_kubeadm_s(made: tuple[Path, Toolchain]) -> None:
    bundle, toolchain = made
    assert toolchain.built == PROGRAMS
    assert "require go.etcd.io/etcd/server/v3 v3.6.8\n" in toolchain.module("etcd")
    assert "require github.com/coredns/coredns v1.14.2\n" in toolchain.module("coredns")
    assert "replace k8s.io/api => k8s.io/api v0.36.3\n" in toolchain.module("kubernetes")
    content = json.loads(files_of(io.BytesIO(bundle.read_bytes()))["kubernetes-bundle/bundle.json"])
    assert content["components"]["coredns"] == "1.14.2"
    assert content["made"] == {"from": "source", "go": "go1.26.8", "nft": "Debian trixie"}
    assert len(content["files"]) == 5 + 4 + 7
    assert len(content["images"]) == 7


def test_an_image_holds_its_programs_and_no_more(made: tuple[Path, Toolchain]) -> None:
    bundle, _ = made
    assert set(image_in(bundle, "etcd")) == {"usr/local/bin/etcd", "usr/local/bin/etcdctl", "config"}
    pause = image_in(bundle, "pause")
    assert pause["pause"] == b"the program pause\n"
    assert json.loads(pause["config"])["config"]["User"] == "65535:65535"
    proxy = image_in(bundle, "kube-proxy")
    assert set(proxy) == {
        "usr/local/bin/kube-proxy",
        "usr/sbin/nft",
        "etc/protocols",
        "usr/lib/x86_64-linux-gnu/libnftables.so.1",
        "config",
    }
    # nft calls them by these names, and kube-proxy looks for its own elements by them.
    assert b"tcp 6 TCP\n" in proxy["etc/protocols"]
    assert json.loads(proxy["config"])["config"]["Entrypoint"] == ["/usr/local/bin/kube-proxy"]


def test_a_build_that_failed_says_why_and_goes_on_there(toolchain: Toolchain, tmp_path: Path) -> None:
    toolchain.breaks("etcdctl")
    with pytest.raises(HomelabError, match="building etcdctl failed: compile: no space left on device"):
        make(tmp_path)
    toolchain.breaks("")
    toolchain.forget()
    make(tmp_path)
    assert toolchain.built == PROGRAMS[PROGRAMS.index("etcdctl") :]


def test_another_go_builds_anew(toolchain: Toolchain, tmp_path: Path) -> None:
    toolchain.breaks("kube-scheduler")
    for version in ("go1.26.8", "go1.27.0"):
        toolchain.version(version)
        with pytest.raises(HomelabError):
            make(tmp_path)
    assert toolchain.built == PROGRAMS[:4] * 2


def test_a_kubeadm_that_does_not_run_here_is_told(toolchain: Toolchain, tmp_path: Path) -> None:
    (toolchain.folder / "kubeadm").write_bytes(b"\x7fELF of another machine")
    with pytest.raises(HomelabError, match="kubeadm cannot be started") as told:
        make(tmp_path)
    assert "x86-64" in told.value.advice
