"""A backup as a control plane makes it: the very script that runs there, against a real etcd; etcdutl reads it."""

import json
import os
import shutil
import socket
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import pytest

from homelab.formats.kubernetes.backup import ORIGINALS, NoBackup, read_backup
from homelab.ports.guest.backup import MARK, SCRIPT
from homelab.ports.guest.remote import backup
from tests.helpers.api_server import program
from tests.helpers.cluster_pki import Authority

NAMES = ("etcd", "etcdctl", "etcdutl")
LACKS = [name for name in NAMES if program(name) is None]
pytestmark = [
    pytest.mark.thorough,
    pytest.mark.timeout(300),
    pytest.mark.skipif(bool(LACKS), reason=f"{LACKS} was never built here (homelab kubernetes bundle)"),
]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@dataclass(frozen=True)
class Node:
    """A control plane with etcd and its own /etc/kubernetes below `root`."""

    root: Path
    port: int

    @property
    def kubernetes(self) -> Path:
        return self.root / "etc/kubernetes"

    def etcdctl(self, *words: str) -> str:
        pki = self.kubernetes / "pki"
        flags = [f"--endpoints=https://127.0.0.1:{self.port}", f"--cacert={pki}/etcd/ca.crt"]
        flags += [f"--cert={pki}/apiserver-etcd-client.crt", f"--key={pki}/apiserver-etcd-client.key"]
        command = [str(program("etcdctl")), *flags, *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout

    def script(self) -> "subprocess.CompletedProcess[bytes]":
        text = SCRIPT.read_text(encoding="utf-8")
        for old, new in (('"/etc/kubernetes', f'"{self.kubernetes}'), (str(backup.PORT), str(self.port))):
            assert old in text
            text = text.replace(old, new)
        return subprocess.run([sys.executable, "-"], input=text.encode(), capture_output=True, timeout=120, check=False)


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    node = Node(tmp_path_factory.mktemp("node"), free_port())
    pki = node.kubernetes / "pki"
    (pki / "etcd").mkdir(parents=True)
    for name in ORIGINALS:
        (node.root / name).write_text("-")
    (node.kubernetes / "tmp").mkdir()
    (node.kubernetes / "tmp/kubeadm-backup-etcd").write_text("old")
    authority = Authority(pki / "etcd", "ca")
    pair = authority.signs("client.pem", [("CN", "kube-apiserver-etcd-client")])
    for end in ("crt", "key"):
        shutil.copy(pair, pki / f"apiserver-etcd-client.{end}")
    server = authority.signs("server.pem", [("CN", "cp1")], ["127.0.0.1"])
    url, peers = f"https://127.0.0.1:{node.port}", f"http://127.0.0.1:{free_port()}"
    flags = [f"--data-dir={node.root}/data", f"--listen-client-urls={url}", f"--advertise-client-urls={url}"]
    flags += [f"--listen-peer-urls={peers}", f"--cert-file={server}", f"--key-file={server}", "--log-level=error"]
    flags += [f"--trusted-ca-file={authority.file}", "--client-cert-auth", f"--initial-cluster=default={peers}"]
    # kubeadm's etcd/server.crt is for both sides; the gateway shows it to etcd itself.
    flags += [f"--client-cert-file={pair}", f"--client-key-file={pair}"]
    flags += [f"--initial-advertise-peer-urls={peers}"]
    with subprocess.Popen([str(program("etcd")), *flags]) as serving:
        try:
            deadline = time.monotonic() + 60
            while socket.socket().connect_ex(("127.0.0.1", node.port)):
                assert time.monotonic() < deadline, "etcd did not start"
            # More than one piece of the gateway's, and nothing that shrinks.
            for number in range(20):
                node.etcdctl("put", f"/registry/configmaps/{number}", os.urandom(16384).hex())
            yield node
        finally:
            serving.kill()


def test_a_snapshot_is_whole_and_etcdutl_restores_it(node: Node, tmp_path: Path) -> None:
    done = node.script()
    assert done.returncode == 0, done.stderr.decode()
    before, mark, data = done.stdout.partition(MARK)
    assert (before, mark) == (b"", MARK)
    found = read_backup(data)
    assert found.revision == 21
    with tarfile.open(fileobj=BytesIO(data)) as tar:
        assert not [name for name in tar.getnames() if name.startswith("etc/kubernetes/tmp")]
        tar.extractall(tmp_path, filter="data")
    assert (tmp_path / "etc/kubernetes/pki/sa.key").read_text() == "-"
    etcdutl, snapshot = str(program("etcdutl")), str(tmp_path / "snapshot.db")
    told = subprocess.run(
        [etcdutl, "snapshot", "status", snapshot, "--write-out=json"], capture_output=True, text=True, check=True
    )
    assert json.loads(told.stdout)["revision"] == 21
    # As docs/how-to/back-up-and-restore.md has it.
    peer = "https://192.168.2.21:2380"
    restored = [etcdutl, "snapshot", "restore", snapshot, "--data-dir", f"{tmp_path}/restored", "--name", "cp1"]
    restored += ["--initial-cluster", f"cp1={peer}", "--initial-advertise-peer-urls", peer]
    subprocess.run([*restored, "--bump-revision", "1000000000", "--mark-compacted"], capture_output=True, check=True)
    assert (tmp_path / "restored/member/snap/db").stat().st_size > 20 * 32768


def test_what_is_cut_or_changed_is_no_backup(node: Node) -> None:
    data = node.script().stdout.partition(MARK)[2]
    read_backup(data)
    with pytest.raises(NoBackup):
        read_backup(data[:-20])
    with pytest.raises(NoBackup):
        read_backup(data[: len(data) // 2])
    changed = bytearray(data)
    changed[len(data) // 2] ^= 1
    with pytest.raises(NoBackup):
        read_backup(bytes(changed))


def test_a_node_without_an_etcd_says_so_and_prints_no_backup(node: Node) -> None:
    away = Node(node.root, free_port())
    done = away.script()
    assert done.returncode == 1
    assert done.stdout == b""
    assert b"refused" in done.stderr
