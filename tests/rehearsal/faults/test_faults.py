"""Harm on demand: how it is asked for, when it begins, and how the toolkit's own ports meet each of a host's faults."""

import io
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pyVmomi import vim

from homelab.cli import STEPS
from homelab.errors import HomelabError, HostFault, LoginRefused, TrustError, Unreachable, UsageError
from homelab.lab import EsxiHost
from homelab.ports import ssh
from homelab.ports.esxi.shell import login_of
from homelab.ports.files.home import HomeFiles
from homelab.ports.host_writer import NfsMount
from homelab.ports.vsphere import Session, look, open_session
from homelab.ports.vsphere.folders import delete_file
from homelab.ports.vsphere.hosts import reboot, start_service
from homelab.ports.vsphere.storage import make_folder, mount_nfs, probe_writable, upload
from homelab.ports.vsphere.vms import VmSpec, create_vm, power_on
from homelab.rehearsal.faults import control
from homelab.rehearsal.faults.effects import EFFECTS, SimulatedLab
from homelab.rehearsal.faults.schedule import Faults
from homelab.rehearsal.faults.table import FAULTS, FaultRequest, listing, parse, targets
from homelab.rehearsal.guests.network import Loopback
from homelab.rehearsal.nas.nas import Nas
from homelab.rehearsal.outside.overlay import free_ports
from homelab.rehearsal.served_host import ServedHost
from homelab.rehearsal.state.machines import NoMachines
from homelab.rehearsal.state.parts import Timing
from homelab.rehearsal.storage.volumes import Volumes
from tests.helpers.sample import sample_lab

NAMES = [
    "nas-refuses",
    "nas-read-only",
    "nas-squashes-root",
    "nas-vanishes",
    "reboot-hangs",
    "no-network-after-boot",
    "hostd-late",
    "api-mute",
    "api-slow",
    "connection-reset",
    "certificate-changed",
    "host-key-changed",
    "wrong-password",
    "account-locked",
    "free-licence",
    "task-fails",
    "datastore-full",
    "upload-cut",
    "lease-dies",
    "clock-skew",
    "power-on-refused",
    "guest-never-comes",
    "guest-disk-full",
    "api-server-crashes",
    "api-server-hangs",
    "api-server-unready",
    "balancer-dies",
]


def silent(_: object) -> None:
    """Nobody listens."""


def until(condition: Callable[[], bool], seconds: float = 10) -> None:
    deadline, pause = time.monotonic() + seconds, threading.Event()
    while not condition():
        assert time.monotonic() < deadline
        pause.wait(0.02)


class FaultyHosts:
    """Two simulated hosts on the loopback with faults, and the toolkit's ports to meet them with."""

    def __init__(self, folder: Path) -> None:
        ports = free_ports(["a1", "a2"])
        common = {"address": "127.0.0.1", "password": "right", "api_timeout": 1}
        hosts = [{"name": name, "api_port": api, "ssh_port": shell, **common} for name, (api, shell) in ports.items()]
        self.lab = sample_lab(esxi=hosts)
        nas = Nas({"192.168.2.5"}, {"/volume1/homelab"})
        timing = Timing(boot_seconds=0.05, api_delay_seconds=0.05, shut_down_seconds=0.05)
        volumes = Volumes(folder / "volumes", nas)
        self.hosts = {host.name: ServedHost(host, Loopback(), volumes, NoMachines(), timing) for host in self.lab.esxi}
        self.faults = Faults(SimulatedLab(self.lab, self.hosts, nas, Loopback(), None), folder / "logs")
        self.files = HomeFiles(folder / ".homelab")
        self.logs = folder / "logs"
        for served in self.hosts.values():
            served.start()

    def close(self) -> None:
        self.faults.clear()
        for served in self.hosts.values():
            served.stop()

    def fault(self, *texts: str) -> None:
        self.faults.schedule([parse(text, STEPS) for text in texts])

    def host(self, name: str = "a1") -> EsxiHost:
        return self.lab.host(name)

    def session(self, name: str = "a1") -> AbstractContextManager[Session]:
        return open_session(self.host(name), self.files, silent)

    def shell(self, name: str = "a1") -> AbstractContextManager[ssh.Shell]:
        return ssh.connect(login_of(self.host(name)), self.files, silent)

    def open_shell(self, name: str = "a1") -> None:
        with self.session(name) as session:
            start_service(session, "TSM-SSH")
        until(lambda: self.hosts[name].shell.listening)

    def mount(self, name: str = "a1") -> None:
        with self.session(name) as session:
            mount_nfs(session, NfsMount.of(self.lab.nfs[0]))

    def failure(self, kind: type[HomelabError], act: Callable[[Session], Any], name: str = "a1") -> HomelabError:
        with pytest.raises(kind) as caught, self.session(name) as session:
            act(session)
        assert caught.value.advice
        assert caught.value.where
        return caught.value

    def event(self, run: str, **fields: str) -> None:
        path = self.logs / run / "events.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as file:
            file.write(json.dumps(fields) + "\n")


@pytest.fixture
def faulty(tmp_path: Path) -> Iterator[FaultyHosts]:
    made = FaultyHosts(tmp_path)
    yield made
    made.close()


# How it is asked for


def test_every_name_is_there_with_a_sentence_and_an_effect() -> None:
    assert list(FAULTS) == NAMES
    assert {name for name in NAMES if not FAULTS[name].lacking} == set(EFFECTS)
    assert all(row["sentence"].endswith(".") for row in listing())


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("api-mute", FaultRequest("api-mute")),
        ("api-mute@brix3", FaultRequest("api-mute", "brix3")),
        ("api-mute:7", FaultRequest("api-mute", None, 7)),
        ("reboot-hangs@brix3:reboot", FaultRequest("reboot-hangs", "brix3", "reboot")),
    ],
)
def test_a_request(text: str, wanted: FaultRequest) -> None:
    assert parse(text, STEPS) == wanted
    assert wanted.text == text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nas-refuse", "Did you mean nas-refuses"),
        ("rain", "--list names them all"),
        ("api-mute:rebot", "Did you mean reboot"),
        ("api-mute:-1", "neither a number of writes nor a step"),
        ("api-mute@", "behind the @"),
        ("api-mute@brix9", "Did you mean brix"),
        ("api-mute@cp1", "brix1, brix2, brix3, brix4"),
        ("nas-vanishes@brix1", "nas"),
        ("balancer-dies", "no --guests none"),
        ("lease-dies@cp1", "brix1, brix2, brix3, brix4"),
    ],
)
def test_a_mistake(text: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        targets(parse(text, STEPS), sample_lab(), guests=False)
    assert said in str(caught.value)


def test_without_an_aim_all_are_meant() -> None:
    lab = sample_lab()
    assert targets(FaultRequest("api-mute"), lab, guests=False) == ("brix1", "brix2", "brix3", "brix4")
    assert targets(FaultRequest("nas-refuses", "nas"), lab, guests=False) == ("brix1", "brix2", "brix3", "brix4")
    assert targets(FaultRequest("balancer-dies"), lab, guests=True) == ("lb1", "lb2")


# When it begins


def test_a_fault_begins_after_so_many_writes_to_its_host(faulty: FaultyHosts) -> None:
    faulty.mount()
    faulty.mount("a2")
    faulty.fault("free-licence@a1:2")
    with faulty.session("a2") as session:
        make_folder(session, "nas", "a/other")
    with faulty.session() as session:
        make_folder(session, "nas", "a/one")
        look(session)
        make_folder(session, "nas", "a/two")
        assert faulty.hosts["a1"].host.licence == "free"
    faulty.failure(HostFault, lambda session: make_folder(session, "nas", "a/three"))
    assert faulty.hosts["a2"].host.licence == "evaluation"


def test_commands_and_uploads_are_writes_too(faulty: FaultyHosts) -> None:
    faulty.mount()
    faulty.open_shell()
    faulty.fault("free-licence:3")
    with faulty.shell() as shell:
        shell.run(["esxcli", "system", "module", "list"])
        shell.run(["esxcli", "system", "module", "set", "--enabled=true", "--module=ne1000"])
    with faulty.session() as session:
        probe_writable(session, "nas")
    until(lambda: faulty.hosts["a1"].host.licence == "free")


def test_a_fault_begins_with_a_step(faulty: FaultyHosts) -> None:
    faulty.event("20260101T000000Z", event="start", step="vm", target="cp1")
    faulty.fault("free-licence:vm", "wrong-password@a1:reboot")
    with faulty.session():
        assert faulty.hosts["a1"].host.licence == "evaluation"
    faulty.event("20260102T000000Z", event="start", step="vm", target="cp1")
    with faulty.session():
        assert faulty.hosts["a1"].host.licence == "free"
    faulty.event("20260102T000000Z", event="start", step="reboot", target="a2")
    with faulty.session():
        pass
    faulty.event("20260102T000000Z", event="start", step="reboot", target="a1")
    faulty.failure(LoginRefused, look)


def test_the_lab_is_told_through_its_door(faulty: FaultyHosts, tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 30)
    folder.mkdir()
    with control.open_door(folder) as door:
        assert door.path.stat().st_mode & 0o777 == 0o600
        control.answer(door.listener.dup(), faulty.faults)
        path = str(door.path)
        ordered = control.ask(path, {"do": "schedule", "requests": [{"name": "api-mute", "aim": "a1", "when": None}]})
        assert ordered[0]["targets"] == ["a1"]
        assert control.ask(path, {"do": "show"}) == ordered
        with pytest.raises(UsageError, match="cannot be aimed at"):
            control.ask(path, {"do": "schedule", "requests": [{"name": "api-mute", "aim": "b1", "when": None}]})
        assert control.ask(path, {"do": "clear"}) == ordered
        assert control.ask(path, {"do": "show"}) == []
    assert not door.path.exists()
    with pytest.raises(HomelabError, match="does not answer"):
        control.ask(path, {"do": "show"})


# The NAS


def test_nas_refuses(faulty: FaultyHosts) -> None:
    faulty.fault("nas-refuses@a1")
    faulty.mount("a2")
    error = faulty.failure(HostFault, lambda session: mount_nfs(session, NfsMount.of(faulty.lab.nfs[0])))
    assert "The NFS server denied the mount request" in error.what
    assert "nas (192.168.2.5:/volume1/homelab)" in error.where
    assert "export this path to 127.0.0.1" in error.advice
    faulty.faults.clear()
    faulty.mount()


@pytest.mark.parametrize("fault", ["nas-read-only", "nas-squashes-root", "datastore-full", "nas-vanishes"])
def test_the_nas_lets_nobody_write(faulty: FaultyHosts, fault: str) -> None:
    faulty.mount()
    faulty.fault(fault)
    error = faulty.failure(HostFault, lambda session: probe_writable(session, "nas"))
    assert "no_root_squash" in error.advice
    faulty.failure(HostFault, lambda session: make_folder(session, "nas", "a"))
    with faulty.session() as session:
        assert look(session).nas[0].accessible == (fault != "nas-vanishes")
    faulty.faults.clear()
    with faulty.session() as session:
        probe_writable(session, "nas")


def test_the_nas_lets_one_host_not_write(faulty: FaultyHosts) -> None:
    faulty.mount()
    faulty.mount("a2")
    faulty.fault("nas-read-only@a1")
    faulty.failure(HostFault, lambda session: probe_writable(session, "nas"))
    with faulty.session("a2") as session:
        probe_writable(session, "nas")


# Boots


def boot(faulty: FaultyHosts) -> None:
    with faulty.session() as session:
        reboot(session)
    until(lambda: faulty.hosts["a1"].host.power.state != "up")


def test_reboot_hangs(faulty: FaultyHosts) -> None:
    faulty.fault("reboot-hangs@a1")
    boot(faulty)
    faulty.failure(Unreachable, look)
    assert not faulty.hosts["a1"].host.power.reachable
    faulty.faults.clear()
    until(lambda: faulty.hosts["a1"].host.power.api_ready and faulty.hosts["a1"]._api_up)
    with faulty.session() as session:
        look(session)


def test_no_network_after_boot(faulty: FaultyHosts) -> None:
    faulty.fault("no-network-after-boot@a1")
    boot(faulty)
    until(lambda: faulty.hosts["a1"].host.power.state == "unreachable")
    faulty.failure(Unreachable, look)
    faulty.faults.clear()
    until(lambda: faulty.hosts["a1"].host.power.api_ready and faulty.hosts["a1"]._api_up)
    with faulty.session() as session:
        assert look(session).nics[0].driver == "ne1000"


def test_hostd_late(faulty: FaultyHosts) -> None:
    served = faulty.hosts["a1"]
    served.host.services.set("TSM-SSH", policy="on")
    faulty.fault("hostd-late@a1")
    boot(faulty)
    until(lambda: served.shell.listening)
    with faulty.shell() as shell:
        assert "Connection failure" in shell.run(["esxcli", "system", "version", "get"]).stderr
    faulty.failure(Unreachable, look)
    faulty.faults.clear()
    until(lambda: served._api_up)
    with faulty.session() as session:
        look(session)


# The API and SSH


def test_api_mute(faulty: FaultyHosts) -> None:
    faulty.fault("api-mute@a1")
    began = time.monotonic()
    error = faulty.failure(Unreachable, look)
    assert time.monotonic() - began < 5
    assert "deadline" in error.what
    with faulty.session("a2") as session:
        look(session)


def test_api_slow(faulty: FaultyHosts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("homelab.rehearsal.state.harm.SLOW_SECONDS", 0.2)
    faulty.fault("api-slow@a1")
    began = time.monotonic()
    with faulty.session() as session:
        look(session)
    assert time.monotonic() - began > 0.6


def test_connection_reset(faulty: FaultyHosts) -> None:
    faulty.open_shell()
    faulty.fault("connection-reset@a1")
    faulty.failure(Unreachable, look)
    with pytest.raises(Unreachable), faulty.shell():
        pass
    with pytest.raises(ConnectionResetError), socket.create_connection(("127.0.0.1", faulty.host().ssh_port)) as plain:
        plain.settimeout(5)
        plain.recv(100)


def test_certificate_changed(faulty: FaultyHosts) -> None:
    with faulty.session():
        pass
    faulty.fault("certificate-changed@a1")
    assert "--forget" in faulty.failure(TrustError, look).advice
    faulty.faults.clear()
    with faulty.session():
        pass


def test_host_key_changed(faulty: FaultyHosts) -> None:
    faulty.open_shell()
    with faulty.shell():
        pass
    faulty.fault("host-key-changed@a1")
    with pytest.raises(TrustError), faulty.shell():
        pass
    faulty.faults.clear()
    with faulty.shell():
        pass


@pytest.mark.parametrize("fault", ["wrong-password", "account-locked"])
def test_logins_fail(faulty: FaultyHosts, fault: str) -> None:
    faulty.open_shell()
    faulty.fault(f"{fault}@a1")
    faulty.failure(LoginRefused, look)
    with pytest.raises(LoginRefused), faulty.shell():
        pass
    faulty.faults.clear()
    with faulty.session(), faulty.shell():
        pass


# What is asked for


def test_free_licence(faulty: FaultyHosts) -> None:
    faulty.fault("free-licence@a1")
    assert (
        "licence" in faulty.failure(HostFault, lambda session: mount_nfs(session, NfsMount.of(faulty.lab.nfs[0]))).what
    )
    with faulty.session() as session:
        assert session.content.licenseManager.licenses[0].editionKey.startswith("esx.hypervisor")
    with faulty.shell() as shell:
        assert "esx.hypervisor" in shell.must(["vim-cmd", "vimsvc/license", "--show"])
    faulty.faults.clear()
    faulty.mount()
    assert not faulty.hosts["a1"].host.services["TSM-SSH"].running


@pytest.mark.parametrize("running", [False, True])
@pytest.mark.parametrize("policy", ["off", "on"])
def test_ssh_is_after_the_free_licence_as_it_was_before(faulty: FaultyHosts, running: bool, policy: str) -> None:
    services = faulty.hosts["a1"].host.services
    services.set("TSM-SSH", running=running, policy=policy)
    faulty.fault("free-licence@a1")
    assert services["TSM-SSH"].running
    faulty.faults.clear()
    assert (services["TSM-SSH"].running, services["TSM-SSH"].policy) == (running, policy)


def test_a_task_fails(faulty: FaultyHosts) -> None:
    faulty.mount()
    with faulty.session() as session:
        upload(session, "nas", "a", io.BytesIO(b"a"), 1)
    said: list[str] = []

    def delete(session: Session) -> None:
        delete_file(session, "nas", "a", seconds=5, progress=said.append)

    faulty.fault("task-fails@a1")
    assert "general system error" in faulty.failure(HostFault, delete).what
    with faulty.session() as session:
        delete(session)


def test_upload_cut(faulty: FaultyHosts) -> None:
    faulty.mount()
    faulty.fault("upload-cut@a1")
    size = 8 << 20

    def put(session: Session) -> None:
        upload(session, "nas", "big", io.BytesIO(b"x" * size), size)

    assert "broke" in faulty.failure(Unreachable, put).what
    [left] = faulty.logs.parent.glob("volumes/*/big")
    assert left.stat().st_size == size // 2
    faulty.faults.clear()
    with faulty.session() as session:
        put(session)


def test_lease_dies(faulty: FaultyHosts) -> None:
    assert not faulty.hosts["a1"].host.harm.lease_dies
    faulty.fault("lease-dies@a1")
    assert faulty.hosts["a1"].host.harm.next_lease_dies()
    assert not faulty.hosts["a1"].host.harm.next_lease_dies()
    faulty.fault("lease-dies@a1")
    faulty.faults.clear()
    assert not faulty.hosts["a1"].host.harm.lease_dies


def test_clock_skew(faulty: FaultyHosts) -> None:
    with faulty.session() as session:
        before = look(session).boot_time
    faulty.fault("clock-skew@a1")
    with faulty.session() as session:
        now = vim.ServiceInstance("ServiceInstance", session.stub).CurrentTime()
        assert timedelta(minutes=59) < now - datetime.now(UTC) < timedelta(minutes=61)
        assert look(session).boot_time - before == timedelta(hours=1)
    faulty.faults.clear()
    with faulty.session() as session:
        assert look(session).boot_time == before


def test_power_on_refused(faulty: FaultyHosts) -> None:
    faulty.mount()
    served = faulty.hosts["a1"]
    with faulty.session() as session:
        make_folder(session, "nas", "cp1")
        upload(session, "nas", "cp1/seed.iso", io.BytesIO(b"iso"), 3)
        served.host.datastores.volumes.create_disk(
            served.host.datastores.path_of("[nas] cp1/cp1.vmdk"), 1 << 20, label="cp1"
        )
        spec = VmSpec("cp1", "nas", 1, 512, "[nas] cp1/cp1.vmdk", "[nas] cp1/seed.iso", "VM Network", None, {})
        create_vm(session, spec, seconds=5, progress=silent)
    faulty.fault("power-on-refused@a1")

    def switch_on(session: Session) -> None:
        power_on(session, "[nas] cp1/cp1.vmx", "cp1", seconds=5, progress=silent)

    assert "power on failed" in faulty.failure(HostFault, switch_on).what
    faulty.faults.clear()
    with faulty.session() as session:
        switch_on(session)
