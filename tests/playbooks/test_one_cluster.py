"""Whether there is a cluster already: what leaves a trace, who answers, and what is made of both."""

import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from homelab.errors import HostFault
from homelab.ports.ansible.inventory import Vault
from homelab.ports.ansible.play import Play, run_play
from homelab.ports.guest.remote import look
from homelab.rehearsal.guests.roots import ensure_root
from homelab.rehearsal.soap.certificate import self_signed
from tests.helpers.apart import NAMESPACES
from tests.helpers.checkout import HELPERS, ROOT

from .conftest import PLAYBOOKS, FakeModule, library, load

BODY = HELPERS / "one_cluster_guest.py"
CA = "/etc/kubernetes/pki/ca.crt"
ADDRESSES = {"cp1": "192.168.2.21:6443", "cp2": "192.168.2.22:6443", "api_vip": "192.168.2.100:6443"}
REFUSED = dict.fromkeys(ADDRESSES, ("refused", "it refuses connections"))

judge = load(PLAYBOOKS / "filter_plugins" / "cluster.py")


# -- traces


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = library("cluster_traces")
    monkeypatch.setattr(module, "ROOT", tmp_path)
    return module


def lay(root: Path, path: str, text: str = "x") -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


# What kubeadm's packages bring, what a disk of its own has, and what the kubelet passes over.
@pytest.mark.parametrize("path", ["etc/kubernetes/manifests", "var/lib/etcd/lost+found", "var/lib/kubelet/pki"])
def test_a_machine_that_was_only_prepared_bears_no_trace(machine: ModuleType, tmp_path: Path, path: str) -> None:
    (tmp_path / path).mkdir(parents=True)
    lay(tmp_path, "etc/kubernetes/manifests/.kubelet-keep")
    assert machine.look() == {"traces": [], "ca": "", "begun": "", "receipts": []}


@pytest.mark.parametrize(
    "path",
    [
        "etc/kubernetes/pki/ca.crt",
        "etc/kubernetes/pki/sa.key",
        "etc/kubernetes/manifests/etcd.yaml",
        "etc/kubernetes/kubelet.conf",
        "var/lib/etcd/member/wal/0.wal",
        "var/lib/kubelet/config.yaml",
        "var/lib/rancher/k3s/server/token",
    ],
)
def test_what_a_member_of_a_cluster_has_on_its_disk_is_a_trace(machine: ModuleType, tmp_path: Path, path: str) -> None:
    lay(tmp_path, path)
    assert len(machine.look()["traces"]) == 1


def test_a_ca_that_cannot_be_read_is_a_trace(machine: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "etc/kubernetes/pki/ca.crt").mkdir(parents=True)
    assert machine.look()["traces"] == [CA]
    assert machine.look()["ca"] == ""


@pytest.mark.parametrize("note", ["", "{", "[]", '{"ca"', "\xff"])
def test_a_note_of_a_beginning_that_makes_no_sense_is_none(machine: ModuleType, tmp_path: Path, note: str) -> None:
    lay(tmp_path, "var/lib/homelab/begun/cluster.json", note)
    assert machine.look()["begun"] == ""


def test_the_laptop_and_the_playbooks_look_for_the_same_traces(machine: ModuleType) -> None:
    assert (look.TRACES, look.NO_TRACE) == (machine.TRACES, machine.NO_TRACE)


# -- answers


@pytest.fixture
def answers() -> ModuleType:
    return library("api_answers")


@contextmanager
def serving(*sent: bytes | None, certificate: tuple[bytes, bytes] | None = None) -> Iterator[str]:
    """A server on loopback that gives each caller the next answer, over TLS with a certificate; None says nothing."""
    done = threading.Event()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            for answer in sent:
                caller, _ = server.accept()
                try:
                    with context.wrap_socket(caller, server_side=True) if certificate else caller as connection:
                        if answer:
                            connection.recv(4096)
                            connection.sendall(answer)
                        elif answer is None:
                            done.wait(10)
                except OSError:
                    continue

        if certificate:
            with memory_file(b"".join(certificate)) as path:
                context.load_cert_chain(path)
        threading.Thread(target=serve, daemon=True).start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        done.set()


@contextmanager
def memory_file(content: bytes) -> Iterator[str]:
    with os.fdopen(os.memfd_create("certificate"), "wb") as file:
        file.write(content)
        file.flush()
        yield f"/proc/self/fd/{file.fileno()}"


def http(status: int) -> bytes:
    return f"HTTP/1.1 {status} So\r\nContent-Length: 0\r\n\r\n".encode()


def ask(answers: ModuleType, address: str, authority: str = "", seconds: float = 3) -> tuple[str, str]:
    module = FakeModule(False, addresses={"cp2": address}, authority=authority, seconds=seconds)
    answers.run(module)
    [answer] = module.answer["answers"]
    assert (answer["name"], answer["address"]) == ("cp2", address)
    return answer["kind"], answer["said"]


@pytest.fixture(scope="module")
def certificate() -> tuple[bytes, bytes]:
    return self_signed("kubernetes.test", "127.0.0.1")


@pytest.mark.parametrize("status", [200, 401, 403, 500, 503])
def test_whatever_a_server_says_it_is_there(answers: ModuleType, certificate: tuple[bytes, bytes], status: int) -> None:
    with serving(http(status), certificate=certificate) as address:
        assert ask(answers, address) == ("other", f"HTTP {status} at /readyz")


def test_a_server_that_ends_after_the_handshake_is_there(answers: ModuleType, certificate: tuple[bytes, bytes]) -> None:
    with serving(b"", certificate=certificate) as address:
        assert ask(answers, address)[0] == "other"


@pytest.mark.parametrize(
    ("sent", "kind", "said"),
    [
        (http(200), "other", "speaks no TLS"),
        (None, "other", "says nothing within 1 s"),
        (b"", "closed", "closes them without a word"),
    ],
    ids=["plain HTTP", "mute", "a balancer without servers"],
)
def test_who_takes_a_connection_and_speaks_no_tls(
    answers: ModuleType, sent: bytes | None, kind: str, said: str
) -> None:
    with serving(sent) as address:
        found = ask(answers, address, seconds=1)
    assert found[0] == kind
    assert said in found[1]


def test_nobody_refuses(answers: ModuleType) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
    assert ask(answers, address)[0] == "refused"


def test_a_server_of_our_own_authority_is_told_apart(
    answers: ModuleType, certificate: tuple[bytes, bytes], tmp_path: Path
) -> None:
    ours, nothing = tmp_path / "ours.crt", tmp_path / "nothing.crt"
    ours.write_bytes(certificate[0])
    nothing.write_text("no certificate")
    other = tmp_path / "other.crt"
    other.write_bytes(self_signed("other.test", "127.0.0.1")[0])
    for authority, kind in ((ours, "ours"), (other, "other"), (nothing, "other"), (tmp_path / "missing", "other")):
        with serving(http(403), http(403), certificate=certificate) as address:
            assert ask(answers, address, str(authority)) == (kind, "HTTP 403 at /readyz")
    # A balancer of layer 7 whose servers are all away.
    for authority, kind in ((ours, "unserved"), (other, "other")):
        with serving(http(503), http(503), certificate=certificate) as address:
            assert ask(answers, address, str(authority)) == (kind, "HTTP 503 at /readyz")


ROUTES = """
import importlib.util, json, sys
spec = importlib.util.spec_from_file_location("api_answers", sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
print(json.dumps([module.ask(address, address + ":6443", "", 6.0)["kind"] for address in sys.argv[2:]]))
"""


def test_an_address_that_nobody_has_is_not_routed_and_one_behind_a_firewall_is_unknown() -> None:
    """In a network of its own. The neighbour that was given a MAC answers ARP, as one with a firewall does."""
    if not shutil.which("unshare") or not shutil.which("ip"):
        pytest.skip("needs unshare and ip")
    script = f"""ip link set lo up
ip link add lan0 type veth peer name lan1 && ip link set lan1 up && ip link set lan0 up
ip address add 192.0.2.1/24 dev lan0
ip route add unreachable 198.51.100.7
exec {sys.executable} -c '{ROUTES}' {PLAYBOOKS}/library/api_answers.py 192.0.2.9 203.0.113.1 198.51.100.7"""
    command = ["unshare", "--map-root-user", "--net", "sh", "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    if "Operation not permitted" in done.stderr:
        pytest.skip("no namespaces here")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == ["unrouted", "other", "unrouted"]


def test_a_neighbour_that_answered_arp_is_somebody(
    answers: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The layout of proc(5); firewalld's default answer is "host prohibited", which arrives as EHOSTUNREACH."""
    table = tmp_path / "arp"
    table.write_text(
        "IP address       HW type     Flags       HW address            Mask     Device\n"
        "192.168.2.22     0x1         0x2         00:50:56:00:00:2a     *        eth0\n"
        "192.168.2.23     0x1         0x0         00:00:00:00:00:00     *        eth0\n"
    )
    monkeypatch.setattr(answers, "NEIGHBOURS", table)
    prohibited = OSError(113, "No route to host")
    assert answers.without_connection("192.168.2.22", prohibited)[0] == "other"
    assert answers.without_connection("192.168.2.23", prohibited)[0] == "unrouted"


# -- what is made of both


def member(name: str, *traces: str, **more: Any) -> dict[str, Any]:
    return {"item": name, "traces": list(traces), "ca": "", "begun": "", "receipts": []} | more


def doubts(
    *looks: dict[str, Any], balancers: list[dict[str, Any]] | None = None, makes_ca: bool = False, **answers: Any
) -> list[str]:
    told = REFUSED | answers
    said = [{"name": n, "address": a, "kind": told[n][0], "said": told[n][1]} for n, a in ADDRESSES.items()]
    found = looks or (member("cp1"), member("cp2"))
    return list(judge.cluster_doubts(found, said, balancers or [], "cp1", "api_vip", makes_ca))


def test_a_bare_lab_gives_no_doubt() -> None:
    assert doubts(makes_ca=True) == []
    assert doubts(member("cp1", CA), member("cp2"), cp2=("unrouted", "nobody"), api_vip=("closed", "a word")) == []


@pytest.mark.parametrize("name", ["cp1", "cp2", "api_vip"])
@pytest.mark.parametrize("said", ["HTTP 200 at /readyz", "HTTP 401 at /readyz", "no connection: timed out"])
def test_any_answer_is_a_doubt_that_names_it(name: str, said: str) -> None:
    assert doubts(**{name: ("other", said)}) == [f"{name} answers at {ADDRESSES[name]}: {said}"]


def test_traces_elsewhere_and_machines_that_cannot_be_looked_at_are_doubts() -> None:
    away = {"item": "cp3", "unreachable": True, "msg": "no route to host"}
    found = doubts(member("cp1"), member("cp2", "/var/lib/etcd/member"), away)
    assert found == ["cp2 bears /var/lib/etcd/member", "cp3 could not be looked at (no route to host)"]


def test_a_first_control_plane_that_lost_its_ca_is_a_doubt() -> None:
    assert doubts(member("cp1", "/etc/kubernetes/pki/sa.key"), makes_ca=True)
    assert doubts(member("cp1", CA, "/var/lib/etcd/member"))


def test_what_homelab_noted_as_begun_here_is_its_own() -> None:
    begun = member("cp1", CA, "/var/lib/etcd/member", ca="a", begun="a")
    ours = ("ours", "HTTP 500 at /readyz")
    assert doubts(begun, member("cp2"), cp1=("other", "mute"), api_vip=ours) == []
    assert doubts(begun, member("cp2"), api_vip=("other", "HTTP 200 at /readyz"))
    assert doubts(begun, member("cp2"), cp2=ours)
    assert doubts(begun | {"ca": "another"}, member("cp2"))


@pytest.mark.parametrize(
    ("balancers", "doubt"),
    [
        ([], ""),
        ([{"item": "lb1", "stdout": "2: eth0 inet 192.168.2.100/24\n    server cp2 192.168.2.22:6443 check"}], ""),
        ([{"item": "lb1", "stdout": "2: eth0 inet 192.168.2.100/24\n server cp9 192.168.2.29:6443"}], "192.168.2.29"),
        ([{"item": "lb1", "stdout": " server cp2 192.168.2.22:6443"}], "somebody who is no balancer"),
        ([{"item": "lb1", "unreachable": True}], "lb1 could not be looked at"),
    ],
    ids=["somebody else's", "ours", "with a server that nobody asked", "not where the address is", "silent"],
)
def test_a_balancer_without_servers_is_nobody_if_all_its_servers_were_asked(
    balancers: list[dict[str, Any]], doubt: str
) -> None:
    found = doubts(balancers=balancers, api_vip=("closed", "it takes connections and closes them without a word"))
    assert len(found) == bool(doubt)
    assert doubt in "".join(found)
    # At layer 7 it says so, and nothing is known of one that is not ours.
    found = doubts(balancers=balancers, api_vip=("unserved", "HTTP 503 at /readyz"))
    assert len(found) == bool(doubt or not balancers)
    assert doubt in "".join(found)


@pytest.mark.parametrize(
    ("machine", "cluster", "first", "foreign"),
    [
        (member("cp2"), "a", False, False),
        (member("cp2", CA, ca="b", receipts=["control_plane"]), "a", False, True),
        (member("cp2", CA, ca="a"), "a", False, False),
        (member("cp2", "/var/lib/etcd/member"), "a", False, True),
        (member("cp2", "/var/lib/etcd/member", begun="a"), "a", False, False),
        (member("cp2", CA, ca="b", receipts=["control_plane"]), "", False, False),
        (member("cp1", CA, ca="a"), "", True, False),
        (member("cp1", CA, "/etc/kubernetes/kubelet.conf", ca="a"), "", True, True),
        (member("cp1", CA, "/etc/kubernetes/kubelet.conf", ca="a", receipts=["cluster_ca"]), "", True, False),
    ],
)
def test_whose_cluster_it_is(machine: dict[str, Any], cluster: str, first: bool, foreign: bool) -> None:
    assert bool(judge.foreign_traces(machine, cluster, first)) is foreign


def test_only_what_was_noted_as_begun_is_begun_again() -> None:
    whole_once = member("cp1", CA, "/var/lib/etcd/member", ca="a", receipts=["cluster_ca", "control_plane"])
    assert judge.unfinished_traces(whole_once, True)
    assert not judge.unfinished_traces(whole_once | {"begun": "a"}, True)
    assert judge.unfinished_traces(whole_once | {"begun": "another"}, True)
    assert not judge.unfinished_traces(member("cp1", CA, ca="a"), True)
    # A join would overwrite it.
    assert judge.unfinished_traces(member("cp2", CA, ca="b"), False)


# -- how it is told

PLAY = """
- hosts: cp1
  gather_facts: false
  tasks:
    - name: Look
      ansible.builtin.command: "true"
      delegate_to: "{{ item }}"
      loop: [cp1, cp2]
      ignore_unreachable: true
      register: looked
    - name: It is certain
      ansible.builtin.assert:
        that: looked.results | selectattr('unreachable', 'defined') | length == 0
        fail_msg: cp2 could not be looked at
"""


def test_a_machine_that_may_be_silent_is_told_in_the_words_of_the_play(tmp_path: Path) -> None:
    hosts = {"cp1": {"ansible_connection": "local"}, "cp2": {"ansible_host": "127.0.0.1", "ansible_port": 1}}
    (tmp_path / "hosts.yml").write_text(json.dumps({"all": {"hosts": hosts}}))
    (tmp_path / "play.yml").write_text(PLAY)
    play = Play(tmp_path / "play.yml", "cp1", (), [tmp_path / "hosts.yml"], {}, {}, 60, Vault())
    with pytest.raises(HostFault, match="cp2 could not be looked at"):
        run_play(play, lambda _: None, lambda _: None, threading.Event())


# -- the playbooks by themselves, on real guests


@pytest.fixture
def run_body(tmp_path: Path) -> Callable[[str], None]:
    if os.geteuid() != 0 or not all(map(shutil.which, ("mmdebstrap", "systemd-nspawn", "ssh"))):
        pytest.skip("real guests need root, mmdebstrap, systemd-nspawn and ssh")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "homelab"
    ensure_root(cache, lambda _: None)

    def run(body: str) -> None:
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        words = ["--mount", "--net", "--pid", sys.executable, str(BODY), body, str(tmp_path), str(cache)]
        done = subprocess.run([*NAMESPACES, *words], env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    return run


@pytest.mark.guests
@pytest.mark.timeout(300)
def test_a_cluster_on_another_control_plane_stops_the_playbooks_and_no_file_is_changed(
    run_body: Callable[[str], None],
) -> None:
    run_body("traces")


@pytest.mark.guests
@pytest.mark.thorough
@pytest.mark.timeout(900)
def test_playbooks_begin_no_second_cluster_and_make_nothing_anew_that_is_lost(run_body: Callable[[str], None]) -> None:
    run_body("story")


@pytest.mark.skipif(
    os.geteuid() != 0 or not Path("/etc/haproxy").is_dir(),
    reason="needs root, and HAProxy's folder to lay another over",
)
@pytest.mark.parametrize("name", ["further", "web", "api"])
def test_of_a_balancer_the_servers_of_the_api_are_looked_at(name: str) -> None:
    """Further pools have workers behind them, which are no control planes, and nobody asks them for an API."""
    tasks = yaml.safe_load((PLAYBOOKS / "roles/one_cluster/tasks/begin.yml").read_text(encoding="utf-8"))
    [look] = [task["ansible.builtin.command"]["argv"] for task in tasks if "balancer holds" in task["name"]]
    golden = ROOT / "tests/formats/balancer/golden" / name
    words = ["unshare", "--mount", "sh", "-c", f'mount --bind {golden} /etc/haproxy && exec "$@"', "sh"]
    done = subprocess.run([*words, *look[:-1], "192.0.2.1"], capture_output=True, text=True, timeout=20)
    assert set(judge.SERVER.findall(done.stdout)) == {"192.168.2.21", "192.168.2.22", "192.168.2.23"}
