"""A bundle of what the community publishes, from a server of the same layout."""

import gzip
import hashlib
import json
import platform
import re
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, dataclass
from pathlib import Path

import pytest

from homelab.errors import HomelabError, Unreachable
from homelab.ports.kubernetes.from_community import Servers
from homelab.ports.kubernetes.make import bundle_there, chosen_way, make_bundle
from tests.helpers.kubernetes_servers import VERSION, Served, community

NOBODY = Servers(*["http://127.0.0.1:9/{}"] * 4)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with community(tmp_path / "served") as running:
        yield running


def make(served: Served, tmp_path: Path, note: Callable[[str], None] = print) -> Path:
    return make_bundle(tmp_path / "cache", VERSION, "community", note, served.servers)


@dataclass(frozen=True)
class Made:
    """A bundle, what was said while it was made, and what was asked for when it was wanted once more."""

    bundle: Path
    said: list[str]
    asked_again: list[str]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("made")
    said: list[str] = []
    with community(folder / "served") as running:
        bundle = make(running, folder, said.append)
        was = bundle.stat()
        running.asked.clear()
        assert make(running, folder) == bundle == bundle_there(folder / "cache", VERSION, "auto")
        assert bundle.stat() == was
    return Made(bundle, said, running.asked)


def files_of(bundle: Path) -> dict[str, bytes]:
    with tarfile.open(bundle, mode="r:") as archive:
        return {member.name: archive.extractfile(member).read() for member in archive}  # type: ignore[union-attr]


def test_a_bundle_holds_what_its_list_says_and_the_list_comes_first(made: Made) -> None:
    files = files_of(made.bundle)
    names = [name.removeprefix("kubernetes-bundle/") for name in files]
    assert names == [
        "bundle.json",
        *("bin/kubeadm", "bin/kubelet", "bin/kubectl", "bin/etcdctl", "bin/etcdutl"),
        *("cni/bridge", "cni/host-local", "cni/portmap", "cni/loopback"),
        *("images/kube-apiserver.tar", "images/kube-controller-manager.tar", "images/kube-scheduler.tar"),
        *("images/kube-proxy.tar", "images/coredns.tar", "images/pause.tar", "images/etcd.tar"),
    ]
    content = json.loads(files["kubernetes-bundle/bundle.json"])
    assert (content["kubernetes_version"], content["architecture"]) == ("1.36.3", "amd64")
    assert content["made"] == {"from": "community"}
    assert content["images"]["images/coredns.tar"] == "registry.k8s.io/coredns/coredns:v1.14.2"
    assert content["components"] == {
        "kubernetes": "1.36.3",
        "cni-plugins": "1.9.1",
        "etcd": "3.6.8",
        "coredns": "1.14.2",
        "pause": "3.10.2",
    }
    assert content["files"] == {
        name: hashlib.sha256(files[f"kubernetes-bundle/{name}"]).hexdigest() for name in names[1:]
    }


def test_an_image_keeps_its_config_and_its_layers(made: Made, tmp_path: Path) -> None:
    files = files_of(made.bundle)
    path = tmp_path / "etcd.tar"
    path.write_bytes(files["kubernetes-bundle/images/etcd.tar"])
    inside = files_of(path)
    [manifest] = json.loads(inside["manifest.json"])
    assert manifest["RepoTags"] == ["registry.k8s.io/etcd:3.6.8-0"]
    assert json.loads(inside[manifest["Config"]])["name"] == "etcd"
    layers = [gzip.decompress(inside[name]) for name in manifest["Layers"]]
    assert layers == [b"etcd, layer 1", b"etcd, layer 2"]


def test_programs_may_be_run(made: Made) -> None:
    with tarfile.open(made.bundle) as archive:
        modes = {member.name.split("/", 1)[1]: member.mode for member in archive}
    assert {name for name, mode in modes.items() if mode == 0o755} == {
        name for name in modes if name[:3] in ("bin", "cni")
    }


@pytest.mark.parametrize(
    "path",
    [
        "dl/release/*/bin/linux/amd64/kubelet",
        "etcd/*/*.gz",
        "cni/*/*.tgz",
        "registry.k8s.io/v2/pause/manifests/sha256:*",
        "registry.k8s.io/v2/pause/blobs/sha256:*",
    ],
)
def test_what_is_not_what_was_published_is_refused_and_not_kept(served: Served, tmp_path: Path, path: str) -> None:
    broken = sorted(served.folder.glob(path))[0]
    broken.write_bytes(broken.read_bytes() + b"!")
    with pytest.raises(HomelabError, match="SHA-256") as refused:
        make(served, tmp_path)
    assert broken.name in refused.value.where
    assert bundle_there(tmp_path / "cache", VERSION, "auto") is None


def test_a_checksum_that_is_not_told_is_no_checksum(served: Served, tmp_path: Path) -> None:
    served.file("etcd/*/SHA256SUMS").write_text("<html>nothing here</html>\n")
    with pytest.raises(HomelabError, match="SHA-256"):
        make(served, tmp_path)


def test_a_run_that_failed_goes_on_where_it_stopped(served: Served, tmp_path: Path) -> None:
    gone = served.file("registry.k8s.io/v2/etcd/manifests/3.6.8-0")
    content = gone.read_bytes()
    gone.unlink()
    with pytest.raises(HomelabError, match="404"):
        make(served, tmp_path)
    gone.write_bytes(content)
    served.asked.clear()
    make(served, tmp_path)
    assert {re.sub("sha256:.*", "sha256:", path) for path in served.asked} == {
        "/registry.k8s.io/v2/etcd/manifests/3.6.8-0",
        "/registry.k8s.io/v2/etcd/manifests/sha256:",
        "/registry.k8s.io/v2/etcd/blobs/sha256:",
    }


def test_a_run_that_was_killed_leaves_nothing_that_is_taken_for_whole(served: Served, tmp_path: Path) -> None:
    served.stalls = "/kubectl"
    script = "import sys; from pathlib import Path; from homelab.ports.kubernetes import make, from_community as f; "
    script += "make.make_bundle(Path(sys.argv[1]), sys.argv[2], 'community', print, f.Servers(*sys.argv[3:]))"
    with subprocess.Popen([sys.executable, "-c", script, tmp_path / "cache", VERSION, *astuple(served.servers)]) as one:
        assert served.stalled.wait(30)
        one.kill()
    served.stalls = ""
    served.asked.clear()
    files = files_of(make(served, tmp_path))
    assert files["kubernetes-bundle/bin/kubectl"] == b"the program kubectl"
    assert [path for path in served.asked if path.startswith("/dl/")] == [
        f"/dl/release/v{VERSION}/bin/linux/amd64/{name}" for name in ("kubectl.sha256", "kubectl")
    ]


def test_two_at_once_make_it_once(served: Served, tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: make(served, tmp_path), range(2))
    assert first == second
    assert len(served.asked) == len(set(served.asked))


def test_the_second_time_nobody_is_asked(made: Made) -> None:
    assert made.asked_again == []


def test_progress_names_the_parts_and_what_is_left(made: Made) -> None:
    assert made.said[0] == "kubeadm; about 50 s for all that is left"
    assert made.said[-1].startswith("etcd image; about ")


def test_the_community_is_asked_first(served: Served) -> None:
    assert chosen_way(VERSION, "auto", served.servers) == "community"
    assert chosen_way(VERSION, "source", served.servers) == "source"


def test_a_release_that_was_never_made_is_told(served: Served) -> None:
    with pytest.raises(HomelabError, match=r"there is no Kubernetes 1\.36\.99"):
        chosen_way("1.36.99", "auto", served.servers)


def test_without_the_community_go_builds_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    go = tmp_path / "go"
    go.write_text("#!/bin/sh\n")
    go.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert chosen_way(VERSION, "auto", NOBODY) == "source"
    go.unlink()
    with pytest.raises(HomelabError, match="no Go") as neither:
        chosen_way(VERSION, "auto", NOBODY)
    assert "internet" in neither.value.advice
    assert "install Go" in neither.value.advice
    with pytest.raises(HomelabError, match="kubernetes bundle: there is no Go"):
        chosen_way(VERSION, "source", NOBODY)


def test_it_is_made_where_its_own_programs_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    monkeypatch.setattr(platform, "machine", lambda: "arm64")
    with pytest.raises(HomelabError, match="made on Linux x86_64, this is Darwin arm64"):
        chosen_way(VERSION, "source", NOBODY)


def test_a_server_that_does_not_answer_is_named(tmp_path: Path) -> None:
    with pytest.raises(Unreachable) as nobody:
        make_bundle(tmp_path / "cache", VERSION, "community", print, NOBODY)
    assert "127.0.0.1:9" in nobody.value.where
