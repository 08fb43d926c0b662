"""The vSphere port against a simulated host: looks, pins, logins, storage, VMs, tasks."""

import io
import json
import socket
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from homelab.errors import HostFault, LoginRefused, TrustError, Unreachable
from homelab.lab import EsxiHost, NfsServer
from homelab.ports.files import HomeFiles
from homelab.ports.record import finish
from homelab.ports.vsphere import look, open_session
from homelab.ports.vsphere.hosts import installed_vibs, start_service, stop_service
from homelab.ports.vsphere.storage import (
    copy_disk,
    delete_file,
    extend_disk,
    file_size,
    make_folder,
    mount_nfs,
    probe_writable,
    unmount,
    upload,
)
from homelab.ports.vsphere.vms import VmSpec, create_vm, destroy_vm, detach_seed, power_on
from homelab.rehearsal.hardware import MODELS
from homelab.rehearsal.host import Host
from homelab.rehearsal.image import make_image
from homelab.rehearsal.machines import NoMachines
from homelab.rehearsal.soap.face import SoapFace
from homelab.rehearsal.storage import Nas, Volumes
from homelab.render.vmdk import descriptor

NAS = NfsServer(name="nas", server="192.168.2.5", export="/volume1/homelab", datastore="nas")
MARKS = {"homelab.lab": "homelab", "homelab.name": "cp1"}


def silent(_: object) -> None:
    """Nobody listens."""


@dataclass
class Bench:
    """A simulated host with its API, and the port's side of it."""

    face: SoapFace
    host: EsxiHost
    files: HomeFiles
    notes: list[str]

    def session(self, password: str = "right"):  # type: ignore[no-untyped-def]
        host = EsxiHost.model_validate(self.host.model_dump() | {"password": password})
        return open_session(host, self.files, self.notes.append)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    volumes = Volumes(tmp_path / "volumes", Nas({"192.168.2.5"}, {"/volume1/homelab"}))
    host = Host("brix3", "127.0.0.2", MODELS["GB-BRi7-8550"], "root", "right", volumes=volumes, machines=NoMachines())
    face = SoapFace(host, port=0)
    face.start()
    wanted = EsxiHost(name="brix3", address="127.0.0.2", password="right", api_port=face.port, api_timeout=5)
    yield Bench(face, wanted, HomeFiles(tmp_path / ".homelab"), [])
    face.stop()
    host.stop()


def test_one_look_is_five_calls(bench: Bench) -> None:
    with bench.session() as session:
        found = look(session)
    assert sum(bench.face.calls.values()) == 5, bench.face.calls
    assert (found.version, found.build) == ("6.7.0", "8169922")
    nic = found.nic("vmnic0")
    assert nic is not None
    assert (nic.driver, nic.pci_id) == ("ne1000", "8086:15d8")
    assert found.modules["ne1000"].loaded
    assert found.modules["e1000e"].enabled
    assert found.services["TSM-SSH"] is False
    assert found.nas == found.vms == ()


def test_the_record_counts_what_the_host_counts(bench: Bench) -> None:
    with bench.session() as session:
        mount_nfs(session, NAS)
        probe_writable(session, "nas")
        start_service(session, "TSM-SSH")
    with pytest.raises(LoginRefused), bench.session("wrong-one"):
        pass
    finish(bench.files)
    text = (bench.files.log_folder / "record.jsonl").read_text()
    *lines, last = [json.loads(line) for line in text.splitlines()]
    calls = Counter(line["what"] for line in lines if line["kind"] == "soap")
    assert calls == bench.face.calls
    assert last["counts"] == {"file": 1, "http": 2, "soap": calls.total(), "writes": 5}
    assert [line["ok"] for line in lines if line["what"] == "Login"] == [True, False]
    assert {line["what"] for line in lines if line["writes"] and line["kind"] == "soap"} == {
        "CreateNasDatastore",
        "StartService",
    }
    assert "wrong-one" not in text


def test_a_certificate_is_trusted_on_first_use_and_refused_when_it_changes(bench: Bench) -> None:
    with bench.session():
        pass
    assert "met for the first time" in bench.notes[0]
    with bench.session():
        pass
    assert len(bench.notes) == 1
    assert bench.files.trust.stat().st_mode & 0o777 == 0o600
    bench.files.set_pin("brix3", "SHA256:other")
    with pytest.raises(TrustError, match="the certificate changed") as caught, bench.session():
        pass
    assert "homelab trust brix3 --forget" in caught.value.advice
    assert bench.face.calls["Login"] == 2


def test_a_refused_login_is_not_repeated_and_shows_no_password(bench: Bench) -> None:
    with pytest.raises(LoginRefused) as caught, bench.session("wrong-one"):
        pass
    assert bench.face.calls["Login"] == 1
    assert "wrong-one" not in str(caught.value)


def test_a_mute_port_is_given_up_after_the_deadline(bench: Bench, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.3", 0)) as mute:
        port = mute.getsockname()[1]
        host = EsxiHost(name="mute", address="127.0.0.3", password="x", api_port=port, api_timeout=1)
        with pytest.raises(Unreachable, match="no answer within 1 s"), open_session(host, bench.files, silent):
            pass


def test_a_mount_is_probed_and_seen(bench: Bench) -> None:
    with bench.session() as session:
        mount_nfs(session, NAS)
        probe_writable(session, "nas")
        [seen] = look(session).nas
        assert (seen.name, seen.server, seen.share, seen.version) == ("nas", "192.168.2.5", "/volume1/homelab", "3")
        assert seen.writable
        assert seen.accessible
        unmount(session, "nas")
        assert look(session).nas == ()


def test_a_refused_mount_has_esxi_s_own_words(bench: Bench) -> None:
    other = NAS.model_copy(update={"export": "/other"})
    with pytest.raises(HostFault, match="The NFS server denied the mount request"), bench.session() as session:
        mount_nfs(session, other)


def test_a_read_only_export_fails_the_probe(bench: Bench) -> None:
    bench.face.host.volumes.nas.read_only = True
    with bench.session() as session:
        mount_nfs(session, NAS)
        with pytest.raises(HostFault, match="could not be written"):
            probe_writable(session, "nas")


def test_deleting_what_is_not_there_is_no_error(bench: Bench) -> None:
    with bench.session() as session:
        mount_nfs(session, NAS)
        delete_file(session, "nas", "not/there", seconds=10, progress=silent)


def test_services_and_packages(bench: Bench) -> None:
    with bench.session() as session:
        start_service(session, "TSM-SSH")
        assert look(session).services["TSM-SSH"] is True
        stop_service(session, "TSM-SSH")
        assert look(session).services["TSM-SSH"] is False
        assert "net-e1000e" in installed_vibs(session)


def test_a_vm_from_an_uploaded_image_and_its_seed(bench: Bench, tmp_path: Path) -> None:
    make_image(tmp_path, "root")
    flat = b"homelab rehearsal root abc\n".ljust(1 << 20, b"\0")
    text = descriptor("image", len(flat)).encode()
    with bench.session() as session:
        mount_nfs(session, NAS)
        make_folder(session, "nas", "images")
        make_folder(session, "nas", "images")
        done: list[tuple[int, int]] = []
        upload(session, "nas", "images/image-flat.vmdk", io.BytesIO(flat), len(flat), lambda *p: done.append(p))
        upload(session, "nas", "images/image.vmdk", io.BytesIO(text), len(text))
        assert done[-1] == (len(flat), len(flat))
        assert file_size(session, "nas", "images/image-flat.vmdk") == len(flat)
        assert file_size(session, "nas", "images/none.vmdk") is None
        make_folder(session, "nas", "cp1")
        copy_disk(session, "[nas] images/image.vmdk", "[nas] cp1/cp1.vmdk", seconds=10, progress=silent)
        extend_disk(session, "[nas] cp1/cp1.vmdk", 2, seconds=10, progress=silent)
        upload(session, "nas", "cp1/seed.iso", io.BytesIO(b"iso"), 3)
        spec = VmSpec(
            "cp1", "nas", 2, 1024, "[nas] cp1/cp1.vmdk", "[nas] cp1/seed.iso", "VM Network", "00:50:56:00:00:01", MARKS
        )
        vm = create_vm(session, spec, seconds=10, progress=silent)
        seen = look(session).vm_marked("homelab", "cp1")
        assert seen is not None
        assert (seen.moid, seen.seed, seen.powered_on, seen.macs) == (
            vm._moId,
            "[nas] cp1/seed.iso",
            False,
            ("00:50:56:00:00:01",),
        )
        power_on(session, seen.moid, "cp1", seconds=10, progress=silent)
        detach_seed(session, seen.moid, "cp1", seconds=10, progress=silent)
        seen = look(session).vm_marked("homelab", "cp1")
        assert seen is not None
        assert seen.powered_on
        assert seen.seed is None
        with pytest.raises(HostFault):
            destroy_vm(session, seen.moid, "cp1", seconds=10, progress=silent)
