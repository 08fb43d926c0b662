"""What the test of the role one_cluster does in namespaces of its own: `python one_cluster_guest.py BODY WORK CACHE`.

Two control planes, plain `ansible-playbook`, and whoever answers at the API's address.
"""

import hashlib
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path

import yaml

from homelab.formats.guest.cloud_init import first_boot, seed
from homelab.formats.guest.seed_iso import seed_iso
from homelab.formats.trust.ssh_key import new_key
from homelab.lab import ControlPlane
from homelab.rehearsal.kubernetes import make_bundle
from homelab.rehearsal.soap.certificate import self_signed
from homelab.rehearsal.state.machines import GuestSpec
from tests.helpers.apart import surroundings
from tests.helpers.checkout import ROOT
from tests.helpers.guest_bodies import MAC, NETWORK, GuestLan, until

VIP, ADDRESSES = "192.0.2.10", {"cp1": "192.0.2.42", "cp2": "192.0.2.43"}
BUNDLE = "B\u00fcndel 1.tar.gz"
PKI, MANIFEST = "/etc/kubernetes/pki", "/etc/kubernetes/manifests/kube-apiserver.yaml"
# What runs on a guest by itself, and Ansible's own.
RESTLESS = (
    "var/log",
    "var/lib/systemd",
    "var/lib/private",
    "var/cache",
    "var/tmp",
    "tmp",
    "run",
    "home",
    "root",
    "var/lib/cloud",
)


class Cluster(GuestLan):
    """Two control planes, cp1 and cp2, of one lab."""

    def __init__(self, work: Path, cache: Path) -> None:
        super().__init__(work, cache)
        # A path with blanks and letters that are not ASCII, as laptops have them.
        self.folder = work / "mein Labor \u00fc"
        self.folder.mkdir()
        (self.folder / BUNDLE).symlink_to(make_bundle(cache, "1.36.3"))
        login = new_key("login")
        self._write("id", login.private)
        keys = self.lab.guests.model_copy(update={"authorized_keys": (login.public,)})
        lab = self.lab.model_copy(update={"guests": keys})
        self.specs: dict[str, GuestSpec] = {}
        known = ""
        for name, address in ADDRESSES.items():
            host_key, mac, iso = new_key(name), MAC[:-1] + name[-1], work / f"{name}.iso"
            vm = ControlPlane(name=name, address=IPv4Address(address))
            iso.write_bytes(seed_iso(seed(first_boot(lab, vm, mac), host_key, name)))
            self.specs[name] = replace(self.spec, name=name, disk=work / f"{name}.d", mac=mac, seed=iso)
            known += f"{address} {host_key.public}\n"
        self._write("known_hosts", known)

    def on(self, name: str, *words: str) -> "subprocess.CompletedProcess[str]":
        """A command on a guest, as root."""
        self.vm = self.vm.model_copy(update={"address": IPv4Address(ADDRESSES[name])})
        return self.ssh("sudo", *words)

    def must(self, name: str, *words: str) -> str:
        done = self.on(name, *words)
        assert done.returncode == 0, (name, words, done.stdout, done.stderr)
        return done.stdout.strip()

    def play(self, playbook: str, *more: str) -> "subprocess.CompletedProcess[str]":
        """Run a playbook as a person does, who has no homelab command."""
        keys = f"-o UserKnownHostsFile={self.work}/known_hosts -o StrictHostKeyChecking=yes -o ConnectTimeout=3"
        known = {"ansible_ssh_common_args": keys, "ansible_ssh_private_key_file": str(self.work / "id")}
        hosts = {name: {"ansible_host": address} for name, address in ADDRESSES.items()}
        lab = {"lab_name": "lan", "lab_domain": "lab.example", "lab_network": str(NETWORK), "api_vip": VIP}
        groups = {"control_plane": {"hosts": hosts}}
        variables = {**lab, **known, "kubernetes_version": "1.36.3", "kubernetes_bundle": BUNDLE}
        inventory = self.folder / "hosts.yml"
        inventory.write_text(yaml.safe_dump({"all": {"vars": variables, "children": groups}}))
        command = [sys.executable, "-m", "ansible", "playbook", "-i", str(inventory), f"playbooks/{playbook}", *more]
        # A server that is dead need not be asked twenty times.
        command += ["-e", "control_plane_patience=5"]
        return subprocess.run(command, cwd=ROOT, env=surroundings(), capture_output=True, text=True, check=False)

    def refused(self, playbook: str, *sentences: str, limit: str = "cp1,cp2") -> None:
        """The playbook stops with all these words, and no control plane is another one afterwards."""
        before = self.files()
        done = self.play(playbook, "--limit", limit)
        said = " ".join((done.stdout + done.stderr).split())
        assert done.returncode != 0, said
        for sentence in sentences:
            assert sentence in said, (sentence, said)
        assert self.files() == before, set(before.items() ^ self.files().items())

    def done(self, playbook: str, *more: str) -> str:
        done = self.play(playbook, *more)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def files(self) -> dict[str, str]:
        """What both guests ever wrote, by path and digest."""
        found = {}
        for name, spec in self.specs.items():
            for path in sorted((spec.disk / "upper").rglob("*")):
                relative = str(path.relative_to(spec.disk / "upper"))
                if path.is_file() and not relative.startswith(RESTLESS):
                    found[f"{name} {relative}"] = hashlib.sha256(path.read_bytes()).hexdigest()
        return found

    @contextmanager
    def answering(self, status: int) -> Iterator[None]:
        """Somebody at the API's address who answers with this status, whatever is asked."""
        certificate = self.work / "stranger.pem"
        certificate.write_bytes(b"".join(self_signed("kubernetes", VIP)))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        with self.at_the_address() as server:

            def serve() -> None:
                while True:
                    try:
                        with context.wrap_socket(server.accept()[0], server_side=True) as caller:
                            caller.recv(4096)
                            caller.sendall(f"HTTP/1.1 {status} So\r\nContent-Length: 0\r\n\r\n".encode())
                    except OSError:
                        if server.fileno() < 0:
                            return

            threading.Thread(target=serve, daemon=True).start()
            yield

    @contextmanager
    def balancing(self) -> Iterator[None]:
        """A balancer at the API's address with one server, cp1; while that is away, connections are closed."""
        with self.at_the_address() as server:

            def serve() -> None:
                while True:
                    try:
                        caller, _ = server.accept()
                    except OSError:
                        return
                    try:
                        there = socket.create_connection((ADDRESSES["cp1"], 6443), 2)
                    except OSError:
                        caller.close()
                        continue
                    for one, other in ((caller, there), (there, caller)):
                        threading.Thread(target=copy, args=(one, other), daemon=True).start()

            threading.Thread(target=serve, daemon=True).start()
            yield

    @contextmanager
    def at_the_address(self) -> Iterator[socket.socket]:
        self.network.add_address(IPv4Address(VIP))
        try:
            with socket.create_server((VIP, 6443)) as server:
                yield server
                # Or a thread that waits for a caller would hold the port.
                server.shutdown(socket.SHUT_RDWR)
        finally:
            self.network.remove_address(IPv4Address(VIP))


def copy(one: socket.socket, other: socket.socket) -> None:
    try:
        while data := one.recv(65536):
            other.sendall(data)
        other.shutdown(socket.SHUT_WR)
    except OSError:
        other.close()


def traces(lab: Cluster) -> None:
    """Traces on the other control plane: nothing at all is changed, not even a program is brought."""
    lab.must("cp2", "mkdir", "-p", PKI, "/etc/kubernetes/manifests", "/var/lib/etcd/member")
    lab.must("cp2", "cp", "/etc/hostname", f"{PKI}/ca.crt")
    lab.must("cp2", "cp", "/etc/hostname", "/etc/kubernetes/manifests/etcd.yaml")
    bears = f"cp2 bears {PKI}/ca.crt, /etc/kubernetes/manifests/etcd.yaml, /var/lib/etcd/member"
    lab.refused("cluster_ca.yml", bears, "kubeadm reset -f")
    lab.refused("kubernetes.yml", f"{bears} of a cluster that homelab did not begin", "Nothing was changed there")


def story(lab: Cluster) -> None:
    """From whoever answers at the API's address to a member that lost its files."""
    # Programs may be brought, but no CA is made.
    for status in (401, 503):
        with lab.answering(status):
            done = lab.play("cluster_ca.yml")
        said = " ".join((done.stdout + done.stderr).split())
        assert f"api_vip answers at {VIP}:6443: HTTP {status} at /readyz" in said, said
        assert lab.on("cp1", "ls", f"{PKI}/ca.crt").returncode != 0

    # A control plane that is off may be a member; one that nobody ever set up is told.
    lab.guests.power_off("cp2")
    lab.refused("cluster_ca.yml", "cp2 could not be looked at")
    untouched = ("-e", '{"one_cluster_untouched": ["cp2"]}')
    lab.done("cluster_ca.yml", *untouched)
    authority = lab.must("cp1", "sha256sum", f"{PKI}/ca.crt")

    # An init that ends half-way, because nobody is at the API's address, is begun again.
    half = lab.play("kubernetes.yml", "--limit", "cp1", *untouched)
    assert half.returncode != 0, half.stdout
    lab.must("cp1", "test", "-e", "/var/lib/homelab/begun/cluster.json")
    with lab.balancing():
        lab.done("kubernetes.yml", "--limit", "cp1", *untouched)
        assert "changed=0 " in lab.done("kubernetes.yml", "--limit", "cp1")
        assert lab.on("cp1", "ls", "/var/lib/homelab/begun/cluster.json").returncode != 0
        lost_files(lab)
        # The CA is lost, its cluster is not.
        lab.must("cp1", "mv", f"{PKI}/ca.crt", "/etc/kept.crt")
        lab.refused("cluster_ca.yml", "cp1 bears /etc/kubernetes/pki/ca.key")
        lab.must("cp1", "mv", "/etc/kept.crt", f"{PKI}/ca.crt")
        assert lab.must("cp1", "sha256sum", f"{PKI}/ca.crt") == authority


def lost_files(lab: Cluster) -> None:
    """What can be made anew is made, what cannot is asked for; no member that was whole is begun again."""
    lab.must("cp1", "rm", "/etc/kubernetes/admin.conf")
    lab.done("kubernetes.yml", "--limit", "cp1")
    assert "cp1" in lab.must("cp1", "kubectl", "--kubeconfig=/etc/kubernetes/admin.conf", "get", "nodes")
    lab.must("cp1", "mv", f"{PKI}/sa.key", "/etc/kept.key")
    lab.refused("kubernetes.yml", f"{PKI}/sa.key is gone there", "None is made anew", limit="cp1")
    lab.must("cp1", "mv", "/etc/kept.key", f"{PKI}/sa.key")

    lab.must("cp1", "systemctl", "stop", "kubelet")
    lab.must("cp1", "mv", MANIFEST, "/etc/kept.yaml")
    lab.refused("kubernetes.yml", "It was whole before, or homelab did not begin it", limit="cp1")
    lab.must("cp1", "mv", "/etc/kept.yaml", MANIFEST)
    # A kubelet that was stopped is started.
    lab.must("cp1", "systemctl", "stop", "kubelet")
    lab.done("kubernetes.yml", "--limit", "cp1")


def main(body: str, lab: Cluster) -> None:
    for spec in lab.specs.values():
        lab.guests.power_on(spec)
    for name in lab.specs:
        until(lambda name=name: lab.on(name, "cloud-init", "status", "--wait").returncode == 0, 90)
    {"traces": traces, "story": story}[body](lab)
    lab.guests.close()


if __name__ == "__main__":
    main(sys.argv[1], Cluster(Path(sys.argv[2]), Path(sys.argv[3])))
