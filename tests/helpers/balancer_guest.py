"""What the test of the balancers' roles does inside namespaces of its own: `story WORK CACHE SUITE KIND`.

Before that, and outside, because there is no way to Debian's mirror from inside: `root CACHE SUITE`.

The guest is a Debian of its own kind, with an nginx that its owner uses. API servers and clients are this machine.
"""

import json
import re
import shutil
import subprocess
import sys
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import yaml

from homelab.rehearsal.guests import roots
from homelab.rehearsal.soap.certificate import self_signed
from tests.helpers import checker_server
from tests.helpers.apart import surroundings
from tests.helpers.checker_client import NAME, asked
from tests.helpers.checkout import ROOT
from tests.helpers.guest_bodies import GuestLan, until

PACKAGES = (
    *roots.GUEST_PACKAGES,
    *("iproute2", "procps", "kmod", "curl", "nftables", "nginx", "libnginx-mod-stream", "haproxy", "keepalived"),
)
# A service that the small root does not have.
MISSING = {"containerd.service"}
# The owner's own, which runs.
OWNED = {"nginx.service"}
VIP, PORT, WEB = "192.0.2.10", 6443, 8000
SERVERS = {"cp1": "192.0.2.21", "cp2": "192.0.2.22"}
ROLES = {"haproxy": "haproxy, keepalived", "nginx": "nginx, checker", "nftables": "nftables, checker"}
PROGRAM = "/usr/local/lib/homelab-checker/checker.py"
PLAY = """
- name: Balance
  hosts: lb
  become: true
  gather_facts: false
  roles: [{roles}]
"""


def make_root(cache: Path, suite: str) -> Path:
    """The guest's root, made once; from now on this process knows no other."""
    roots.SUITE = suite
    roots.PACKAGES = PACKAGES
    roots.DISABLED = tuple(unit for unit in roots.DISABLED if unit not in MISSING | OWNED)
    return roots.ensure_root(cache, lambda _: None).path


class Balancer(GuestLan):
    """The guest as a balancer that has the address, and API servers on this side."""

    def __init__(self, work: Path, cache: Path, suite: str, kind: str) -> None:
        make_root(cache, suite)
        super().__init__(work, cache)
        self.kind = kind
        certificate, key = self_signed(NAME, VIP)
        self.ca_file, self.pair = work / "ca.crt", work / "pair.pem"
        self.ca_file.write_bytes(certificate)
        self.pair.write_bytes(certificate + key)
        shutil.copytree(ROOT / "playbooks", work / "playbooks")
        (work / "playbooks" / "balance.yml").write_text(PLAY.format(roles=ROLES[kind]))
        self.servers: dict[str, subprocess.Popen[bytes]] = {}
        self.web: dict[str, subprocess.Popen[bytes]] = {}
        for name, address in SERVERS.items():
            self.network.add_address(IPv4Address(address))
            self.start(name)
            self.start_web(name)
        self.guests.power_on(self.spec)
        # With HAProxy it is keepalived that has it.
        if kind != "haproxy":
            self.answer("sudo", "ip", "address", "add", f"{VIP}/24", "dev", self.interface())

    def start(self, name: str) -> None:
        """One API server."""
        words = [checker_server.__name__, name, SERVERS[name], str(PORT), str(self.pair)]
        self.servers[name] = subprocess.Popen([sys.executable, "-m", *words], cwd=ROOT)

    def interface(self) -> str:
        found = json.loads(self.answer("ip", "-json", "-4", "address"))
        mine = [link for link in found if any(one["local"] == str(self.vm.address) for one in link["addr_info"])]
        return str(mine[0]["ifname"])

    def play(self, weights: tuple[int, int], *more: str) -> tuple[int, str]:
        """Run the roles; how many tasks changed something, and the output."""
        keys = f"-o UserKnownHostsFile={self.work}/known_hosts -o StrictHostKeyChecking=yes"
        host = {"ansible_host": str(self.vm.address), "ansible_user": "homelab", "ansible_ssh_common_args": keys}
        host["ansible_ssh_private_key_file"] = str(self.work / "id")
        inventory = self.work / "hosts.yml"
        inventory.write_text(yaml.safe_dump({"all": {"hosts": {"lb": {**host, **self.values(weights)}}}}))
        command = [sys.executable, "-m", "ansible", "playbook", "-i", str(inventory), "balance.yml", *more]
        done = subprocess.run(
            command, cwd=self.work / "playbooks", env=surroundings(), capture_output=True, text=True, check=False
        )
        recap = re.search(r"^lb\s+:.*changed=(\d+).*failed=0", done.stdout, re.MULTILINE)
        assert done.returncode == 0, done.stdout + done.stderr + self.journal()
        assert recap is not None, done.stdout
        return int(recap[1]), done.stdout

    def values(self, weights: tuple[int, int]) -> dict[str, Any]:
        """What goes into the roles."""
        named = zip(SERVERS.items(), weights, strict=True)
        servers = [{"name": name, "address": it, "port": PORT, "weight": weight} for (name, it), weight in named]
        pool = {"name": "api", "address": VIP, "port": PORT, "servers": servers, "layer": 4, "check": "readyz"}
        pools = [{**pool, "algorithm": "weighted"}]
        if self.kind == "haproxy":
            address = {"keepalived_virtual_address": VIP, "keepalived_prefix_length": 24, "keepalived_peers": []}
            own = {"keepalived_address": str(self.vm.address), "keepalived_interface": self.interface()}
            return {"haproxy_pools": pools, "haproxy_ca": self.ca_file.read_text(), **address, **own}
        ours = {"checker_kind": self.kind, "checker_ca": self.ca_file.read_text()}
        if self.kind == "nginx":
            members = [{"name": name, "address": address, "port": WEB} for name, address in SERVERS.items()]
            site = {"name": "site", "address": VIP, "port": 443, "servers": members, "layer": 7, "tls": True}
            pools.append({**site, "algorithm": "roundrobin", "check": "/"})
            ours["nginx_certificate_file"] = str(self.pair)
        return {**ours, "checker_pools": pools, f"{self.kind}_pools": pools}

    def start_web(self, name: str) -> None:
        """A member of the pool at layer 7, which answers its name."""
        folder = self.work / f"web-{name}"
        folder.mkdir(exist_ok=True)
        (folder / "index.html").write_text(name)
        words = ["-m", "http.server", "--bind", SERVERS[name], "--directory", str(folder), str(WEB)]
        self.web[name] = subprocess.Popen([sys.executable, *words], stderr=subprocess.DEVNULL)

    def web_answers(self, count: int = 6) -> set[str]:
        """Who answers requests at layer 7, over TLS that ends at the balancer."""
        words = ["curl", "-sS", "--cacert", str(self.ca_file), "--resolve", f"{NAME}:443:{VIP}", f"https://{NAME}/"]
        return {subprocess.run(words, capture_output=True, text=True, timeout=20).stdout for _ in range(count)}

    def journal(self) -> str:
        """The services' last words."""
        units = [f"--unit={name}" for name in ("homelab-checker", "homelab-nginx", "haproxy", "keepalived")]
        return self.ssh("sudo", "journalctl", "--no-pager", "--lines=60", *units).stdout

    def state(self) -> dict[str, Any]:
        """What the checker tells."""
        told = json.loads(self.answer("sudo", PROGRAM, "status"))
        assert isinstance(told, dict)
        return told

    def told(self) -> dict[str, str]:
        """The servers' states."""
        return {name: server["state"] for name, server in self.state()["pools"]["api"]["servers"].items()}

    def answers(self, count: int = 10) -> list[str]:
        """Who answers so many requests."""
        return [asked(VIP, PORT, self.ca_file) for _ in range(count)]


def at_layer_7(lan: Balancer) -> None:
    """TLS ends there; a dead member is marked; the key is nginx's alone; another certificate is shown at once."""
    until(lambda: lan.web_answers() == {"cp1", "cp2"}, 5)
    lan.web["cp1"].kill()
    until(lambda: lan.state()["pools"]["site"]["servers"]["cp1"]["state"] == "down", 5)
    assert lan.web_answers() == {"cp2"}
    assert "192.0.2.21:8000 max_fails=1 fail_timeout=1s down;" in lan.answer("cat", "/run/homelab-checker/nginx.conf")
    lan.start_web("cp1")
    until(lambda: lan.web_answers() == {"cp1", "cp2"}, 5)
    for path in ("/etc/homelab-nginx/certificate.pem", "/run/homelab-nginx/certificate.pem"):
        assert lan.ssh("cat", path).returncode != 0
        assert lan.ssh("sudo", "-u", "homelab-checker", "cat", path).returncode != 0
    before, (certificate, key) = lan.pair.read_bytes(), self_signed(NAME, VIP)
    for shown, knows in ((certificate + key, {""}), (before, {"cp1", "cp2"})):
        lan.pair.write_bytes(shown)
        changed, said = lan.play((1, 1), "--diff")
        assert changed > 0, said
        assert "PRIVATE KEY" not in said
        assert lan.web_answers() == knows


def by_haproxy(lan: Balancer) -> None:
    """The same with HAProxy, and with keepalived, which has the address."""
    assert lan.play((1, 1))[0] > 0
    until(lambda: sorted(set(lan.answers())) == ["cp1", "cp2"], 10)
    assert lan.play((1, 1))[0] == 0
    for check in (("haproxy", "-c", "-q", "-f", "/etc/haproxy/haproxy.cfg"), ("keepalived", "-t")):
        assert lan.answer("sudo", *check) == ""
    assert lan.play((1, 9))[0] > 0
    until(lambda: lan.answers(20).count("cp1") == 2, 5)
    lan.servers["cp1"].kill()
    until(lambda: set(lan.answers()) == {"cp2"}, 5)
    lan.answer("sudo", "systemctl", "kill", "--signal=KILL", "haproxy")
    until(lambda: set(lan.answers()) == {"cp2"}, 5)
    lan.start("cp1")
    until(lambda: "cp1" in lan.answers(20), 10)
    assert "Welcome to nginx" in lan.answer("curl", "-s", "http://127.0.0.1/")
    restart(lan)


def restart(lan: Balancer) -> None:
    """A restart of the guest brings all of it back."""
    before = lan.guests.init_of("cp1")
    lan.ssh("sudo", "systemctl", "reboot")
    # While it goes down it still has its first process, and answers no more.
    until(lambda: lan.guests.init_of("cp1") not in (None, before))
    if lan.kind != "haproxy":
        lan.answer("sudo", "ip", "address", "replace", f"{VIP}/24", "dev", lan.interface())
    until(lambda: sorted(set(lan.answers(20))) == ["cp1", "cp2"], 20)


def by_checker(lan: Balancer) -> None:
    """Laid down, balancing, run again without a change, changed without loss, and sound after kills."""
    lan.answer("sudo", "nft", "add table ip owner")
    changed, said = lan.play((1, 1))
    assert changed > 0, said
    until(lambda: lan.told() == {"cp1": "up", "cp2": "up"})
    assert sorted(set(lan.answers())) == ["cp1", "cp2"], lan.journal()
    assert lan.play((1, 1))[0] == 0
    receipt = json.loads(lan.answer("cat", "/var/lib/homelab/checker.json"))
    assert receipt["units"] == ["homelab-checker.service"]

    if lan.kind == "nginx":
        at_layer_7(lan)

    # Told beforehand, and then done.
    changed, said = lan.play((1, 9), "--check", "--diff")
    assert changed > 0, said
    assert '"weight": 9' in said
    assert lan.answers(20).count("cp1") == 10
    assert lan.play((1, 9))[0] > 0
    assert lan.answers(20).count("cp1") == 2, lan.journal()
    assert lan.play((1, 9))[0] == 0

    # Drained by a person; dead; nginx and the checker killed.
    lan.answer("sudo", PROGRAM, "drain", "cp2")
    assert lan.told() == {"cp1": "up", "cp2": "drain"}
    until(lambda: set(lan.answers()) == {"cp1"}, 5)
    lan.answer("sudo", PROGRAM, "ready", "cp2")
    lan.servers["cp1"].kill()
    until(lambda: lan.told() == {"cp1": "down", "cp2": "up"}, 5)
    assert set(lan.answers()) == {"cp2"}
    for unit in ("homelab-checker", *(["homelab-nginx"] if lan.kind == "nginx" else [])):
        lan.answer("sudo", "systemctl", "kill", "--signal=KILL", unit)
        until(lambda: lan.ssh("curl", "-fsm1", "http://127.0.0.1:8404/ready").stdout == "ready\n", 5)
    assert set(lan.answers()) == {"cp2"}
    assert lan.told() == {"cp1": "down", "cp2": "up"}
    lan.start("cp1")
    until(lambda: lan.told()["cp1"] == "up", 5)

    # What is the owner's is as it was.
    assert lan.answer("sudo", "nft", "list", "tables").splitlines() == ["table ip owner", "table ip homelab_balancer"]
    assert lan.answer("systemctl", "is-active", "nginx") == "active"
    assert "Welcome to nginx" in lan.answer("curl", "-s", "http://127.0.0.1/")
    assert lan.answer("systemctl", "show", "-P", "StatusText,NRestarts", "homelab-checker").split()[-1] == "1"
    restart(lan)


def main(lan: Balancer) -> None:
    """The story of its kind."""
    version = lan.answer("cat", "/etc/debian_version")
    assert version.startswith({"bookworm": "12.", "trixie": "13."}[roots.SUITE]), version
    (by_haproxy if lan.kind == "haproxy" else by_checker)(lan)
    lan.guests.close()


if __name__ == "__main__":
    what, *words = sys.argv[1:]
    if what == "root":
        make_root(Path(words[0]), words[1])
    else:
        main(Balancer(Path(words[0]), Path(words[1]), words[2], words[3]))
