"""The vSphere port against simulated hosts, ours and govmomi's: looks, pins, logins, storage, VMs, tasks."""

import io
import json
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import pytest
from pyVmomi import vim

from homelab.errors import HostFault, LoginRefused, Refused, TrustError, Unreachable
from homelab.formats.disk.vmdk import descriptor
from homelab.lab import EsxiHost
from homelab.ports.files.home import HomeFiles
from homelab.ports.files.record import finish
from homelab.ports.host_writer import NfsMount
from homelab.ports.vsphere import Session, look, open_session
from homelab.ports.vsphere.folders import Folder, delete_file, delete_files, list_folder
from homelab.ports.vsphere.hosts import configuration_backup, installed_vibs, reboot, start_service, stop_service
from homelab.ports.vsphere.storage import (
    copy_disk,
    extend_disk,
    file_size,
    make_folder,
    mount_nfs,
    probe_writable,
    unmount,
    upload,
)
from homelab.ports.vsphere.vm_look import VmNic
from homelab.ports.vsphere.vms import VmSpec, create_vm, detach_image, power_on
from homelab.rehearsal.host.host import Host
from homelab.rehearsal.nas.nas import Nas
from homelab.rehearsal.soap.face import SoapFace
from homelab.rehearsal.state.hardware import MODELS
from homelab.rehearsal.state.machines import NoMachines
from homelab.rehearsal.storage.volumes import Volumes
from tests.helpers import vcsim
from tests.helpers.vcsim import NAS

INSTANCE = "0b5f2f43-61a4-5c3e-9f0e-0c1a2b3c4d5e"
MARKS = {"homelab.lab": "homelab", "homelab.name": "cp1"}


def silent(_: object) -> None:
    """Nobody listens."""


@dataclass
class Bench:
    """A simulated host with its API, and the port's side of it. `face` is the rehearsal's, None for vcsim."""

    host: EsxiHost
    files: HomeFiles
    notes: list[str]
    face: SoapFace | None = None

    def session(self, password: str = "right") -> AbstractContextManager[Session]:
        host = EsxiHost.model_validate(self.host.model_dump() | {"password": password})
        return open_session(host, self.files, self.notes.append)

    @property
    def calls(self) -> Counter[str]:
        """How often each method was called: as the host counts, or where it does not, as the port's record tells."""
        if self.face:
            return self.face.calls
        lines = (self.files.log_folder / "record.jsonl").read_text().splitlines()
        return Counter(line["what"] for line in map(json.loads, lines) if line["kind"] == "soap")

    def needs(self, *calls: str) -> None:
        """Leave this test out where the simulator lacks a call."""
        lacking = [f"vcsim, {call}: {vcsim.LACKS[call].reason}" for call in calls]
        if lacking and not self.face:
            pytest.skip("; ".join(lacking))

    @property
    def ours(self) -> Host:
        """The rehearsal's state, for what no call can bring about."""
        assert self.face is not None
        return self.face.host


# The first one builds the simulator.
VCSIM = pytest.param("vcsim", marks=[pytest.mark.thorough, pytest.mark.timeout(600)])


@pytest.fixture(params=["rehearsal", VCSIM])
def bench(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    files = HomeFiles(tmp_path / ".homelab")
    if request.param == "vcsim":
        # A look asks for the modules with everything else; the rest of it is vcsim's own.
        monkeypatch.setattr(vim.host.KernelModuleSystem, "QueryModules", lambda _: [])
        with vcsim.served(tmp_path) as port:
            host = EsxiHost(name="brix3", address=vcsim.ADDRESS, password="right", api_port=port, api_timeout=5)
            yield Bench(host, files, [])
        return
    volumes = Volumes(tmp_path / "volumes", Nas({"192.168.2.5"}, {"/volume1/homelab"}))
    state = Host("brix3", "127.0.0.2", MODELS["GB-BRi7-8550"], "root", "right", volumes=volumes, machines=NoMachines())
    face = SoapFace(state, port=0)
    face.start()
    wanted = EsxiHost(name="brix3", address="127.0.0.2", password="right", api_port=face.port, api_timeout=5)
    yield Bench(wanted, files, [], face)
    face.stop()
    state.power.stop()


def test_a_look_reads_any_host(bench: Bench) -> None:
    with bench.session() as session:
        found = look(session)
    assert found.version.count(".") == 2
    assert found.build.isdecimal()
    assert found.boot_time.tzinfo is not None
    assert found.in_maintenance is False
    nic = found.nic("vmnic0")
    assert nic is not None
    assert nic.driver
    assert len(nic.pci_id) == len("8086:15d8")
    assert "TSM-SSH" in found.services
    assert found.nas == found.vms == ()
    assert set(bench.calls) <= {
        "RetrieveServiceContent",
        "Login",
        "RetrievePropertiesEx",
        "QueryModules",
        "Fetch",
        "Logout",
    }


def test_one_look_is_five_calls(bench: Bench) -> None:
    bench.needs("QueryModules")
    with bench.session() as session:
        found = look(session)
    assert sum(bench.calls.values()) == 5, bench.calls
    assert (found.version, found.build) == ("6.7.0", "8169922")
    nic = found.nic("vmnic0")
    assert nic is not None
    assert (nic.driver, nic.pci_id) == ("ne1000", "8086:15d8")
    assert found.modules["ne1000"].loaded
    assert found.modules["e1000e"].enabled
    assert found.services["TSM-SSH"] is False
    assert found.nas == found.vms == ()


def test_the_record_counts_what_the_host_counts(bench: Bench) -> None:
    bench.needs("StartService", "DELETE /folder")
    with bench.session() as session:
        mount_nfs(session, NfsMount.of(NAS))
        probe_writable(session, "nas")
        start_service(session, "TSM-SSH")
    with pytest.raises(LoginRefused), bench.session("wrong-one"):
        pass
    finish(bench.files)
    text = (bench.files.log_folder / "record.jsonl").read_text()
    *lines, last = [json.loads(line) for line in text.splitlines()]
    calls = Counter(line["what"] for line in lines if line["kind"] == "soap")
    assert calls == bench.calls
    assert last["counts"] == {"file": 1, "http": 4, "soap": calls.total(), "writes": 5}
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
    assert bench.files.trust.pin_file.stat().st_mode & 0o777 == 0o600
    pins = json.loads(bench.files.trust.pin_file.read_text())
    pins["brix3"]["certificate"] = "SHA256:other"
    bench.files.trust.pin_file.write_text(json.dumps(pins))
    with pytest.raises(TrustError, match="the certificate changed") as caught, bench.session():
        pass
    assert "homelab trust brix3 --forget" in caught.value.advice
    assert bench.calls["Login"] == 2


def test_a_refused_login_is_not_repeated_and_shows_no_password(bench: Bench) -> None:
    with pytest.raises(LoginRefused) as caught, bench.session("wrong-one"):
        pass
    assert bench.calls["Login"] == 1
    assert "wrong-one" not in str(caught.value)


def test_a_mute_port_is_given_up_after_the_deadline(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.3", 0)) as mute:
        port = mute.getsockname()[1]
        host = EsxiHost(name="mute", address="127.0.0.3", password="x", api_port=port, api_timeout=1)
        with pytest.raises(Unreachable, match="no answer within 1 s"), open_session(host, HomeFiles(tmp_path), silent):
            pass


def test_a_mount_is_probed_and_seen(bench: Bench) -> None:
    with bench.session() as session:
        mount_nfs(session, NfsMount.of(NAS))
        probe_writable(session, "nas")
        [seen] = look(session).nas
        assert (seen.name, seen.server, seen.share, seen.version) == ("nas", "192.168.2.5", "/volume1/homelab", "3")
        assert seen.accessible


def test_a_mount_tells_that_it_is_writable(bench: Bench) -> None:
    bench.needs("Datastore.host")
    with bench.session() as session:
        mount_nfs(session, NfsMount.of(NAS))
        [seen] = look(session).nas
        assert seen.writable


def test_a_probe_leaves_nothing_behind(bench: Bench) -> None:
    bench.needs("DELETE /folder")
    with bench.session() as session:
        mount_nfs(session, NfsMount.of(NAS))
        probe_writable(session, "nas")
        assert file_size(session, "nas", ".homelab-probe-brix3") is None


def test_an_unmounted_datastore_is_gone(bench: Bench) -> None:
    bench.needs("RemoveDatastore")
    with bench.session() as session:
        mount_nfs(session, NfsMount.of(NAS))
        unmount(session, NfsMount.of(NAS))
        assert look(session).nas == ()


def test_five_failures_lock_the_account(bench: Bench) -> None:
    bench.needs("a lock after five failures of Login")
    for password in [*["wrong"] * 5, "right"]:
        with pytest.raises(LoginRefused), bench.session(password):
            pass


def test_a_refused_mount_has_esxi_s_own_words(bench: Bench) -> None:
    bench.needs("CreateNasDatastore that fails")
    other = NAS.model_copy(update={"export": "/other"})
    with pytest.raises(HostFault, match="The NFS server denied the mount request"), bench.session() as session:
        mount_nfs(session, NfsMount.of(other))


def test_a_read_only_export_fails_the_probe(bench: Bench) -> None:
    bench.needs("CreateNasDatastore that fails")
    bench.ours.datastores.volumes.nas.read_only = True
    with bench.session() as session:
        mount_nfs(session, NfsMount.of(NAS))
        with pytest.raises(HostFault, match="could not be written"):
            probe_writable(session, "nas")


def test_deleting_what_is_not_there_is_no_error(bench: Bench) -> None:
    with bench.session() as session:
        mount_nfs(session, NfsMount.of(NAS))
        delete_file(session, "nas", "not/there", seconds=10, progress=silent)


def test_a_folder_is_never_deleted_only_files_are(bench: Bench) -> None:
    bench.needs("DELETE /folder")
    with bench.session() as session:
        mount_nfs(session, NfsMount.of(NAS))
        make_folder(session, "nas", "cp1/inner")
        upload(session, "nas", "cp1/seed.iso", io.BytesIO(b"iso"), 3)
        assert list_folder(session, "nas", "cp1", seconds=10, progress=silent) == Folder(("seed.iso",), ("inner",))
        assert list_folder(session, "nas", "cp2", seconds=10, progress=silent) is None
        for path in ("cp1", "cp1/inner"):
            with pytest.raises(Refused, match="is a folder, and only files are deleted"):
                delete_file(session, "nas", path, seconds=10, progress=silent)
        delete_file(session, "nas", "cp1/seed.iso", seconds=10, progress=silent)
        assert list_folder(session, "nas", "cp1", seconds=10, progress=silent) == Folder((), ("inner",))


def test_files_of_a_folder_go_at_once_and_none_of_them_where_one_is_a_folder(bench: Bench) -> None:
    bench.needs("DELETE /folder")
    with bench.session() as session:
        mount_nfs(session, NfsMount.of(NAS))
        make_folder(session, "nas", "cp1/inner")
        for name in ("a", "b"):
            upload(session, "nas", f"cp1/{name}", io.BytesIO(b"it"), 2)
        with pytest.raises(Refused, match=r"cp1/inner is a folder"):
            delete_files(session, "nas", "cp1", ["a", "inner"], seconds=10, progress=silent)
        assert list_folder(session, "nas", "cp1", seconds=10, progress=silent) == Folder(("a", "b"), ("inner",))
        waits = bench.calls["CreateFilter"]
        seen = list_folder(session, "nas", "cp1", seconds=10, progress=silent)
        delete_files(session, "nas", "cp1", ["a", "gone", "b"], seconds=10, progress=silent, beside=seen)
        assert bench.calls["CreateFilter"] - waits == 2
        assert list_folder(session, "nas", "cp1", seconds=10, progress=silent) == Folder((), ("inner",))


def test_a_disk_is_never_copied_over_another(bench: Bench) -> None:
    flat, text = bytes(1 << 20), descriptor("a", 1 << 20).encode()
    with bench.session() as session:
        mount_nfs(session, NfsMount.of(NAS))
        make_folder(session, "nas", "x")
        for name in ("a", "b"):
            upload(session, "nas", f"x/{name}-flat.vmdk", io.BytesIO(flat), len(flat))
            upload(session, "nas", f"x/{name}.vmdk", io.BytesIO(text), len(text))
        with pytest.raises(HostFault):
            copy_disk(session, "[nas] x/a.vmdk", "[nas] x/b.vmdk", seconds=10, progress=silent)


def test_services_and_packages(bench: Bench) -> None:
    bench.needs("StartService", "StopService", "FetchSoftwarePackages")
    with bench.session() as session:
        start_service(session, "TSM-SSH")
        assert look(session).services["TSM-SSH"] is True
        stop_service(session, "TSM-SSH")
        assert look(session).services["TSM-SSH"] is False
        assert "net-e1000e" in installed_vibs(session)


def test_a_reboot_ends_the_session(bench: Bench) -> None:
    bench.needs("RebootHost_Task")
    went = threading.Event()
    bench.ours.power.on_down = went.set
    with bench.session() as session:
        reboot(session)
    assert went.wait(10)


def test_a_disk_grows(bench: Bench) -> None:
    bench.needs("ExtendVirtualDisk_Task")
    flat = bytes(1 << 20)
    text = descriptor("disk", len(flat)).encode()
    with bench.session() as session:
        mount_nfs(session, NfsMount.of(NAS))
        make_folder(session, "nas", "disk")
        upload(session, "nas", "disk/disk-flat.vmdk", io.BytesIO(flat), len(flat))
        upload(session, "nas", "disk/disk.vmdk", io.BytesIO(text), len(text))
        extend_disk(session, "[nas] disk/disk.vmdk", 2, seconds=10, progress=silent)
        assert file_size(session, "nas", "disk/disk-flat.vmdk") == 2 << 30


def test_a_vm_from_an_uploaded_image_and_its_seed(bench: Bench) -> None:
    flat = b"homelab rehearsal root abc\n".ljust(1 << 20, b"\0")
    text = descriptor("image", len(flat)).encode()
    with bench.session() as session:
        mount_nfs(session, NfsMount.of(NAS))
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
        upload(session, "nas", "cp1/seed.iso", io.BytesIO(b"iso"), 3)
        spec = VmSpec(
            name="cp1",
            datastore="nas",
            cpus=2,
            memory_mib=1024,
            disk="[nas] cp1/cp1.vmdk",
            seed="[nas] cp1/seed.iso",
            network="VM Network",
            mac="00:50:56:00:00:01",
            marks=MARKS,
            instance_uuid=INSTANCE,
        )
        vm = create_vm(session, spec, seconds=10, progress=silent)
        [seen] = look(session).vms_marked("homelab", "cp1")
        assert (seen.moid, seen.seed, seen.powered_on, seen.nics, seen.identity) == (
            vm._moId,
            "[nas] cp1/seed.iso",
            False,
            (VmNic("00:50:56:00:00:01", "VM Network"),),
            f"{INSTANCE} [nas] cp1/cp1.vmx",
        )
        power_on(session, seen.path, "cp1", seconds=10, progress=silent)
        detach_image(session, seen.path, "cp1", "[nas] isos/other.iso", seconds=10, progress=silent)
        assert look(session).vms[0].seed
        detach_image(session, seen.path, "cp1", "[nas] cp1/seed.iso", seconds=10, progress=silent)
        [seen] = look(session).vms_marked("homelab", "cp1")
        assert seen.powered_on
        assert seen.seed is None
        with pytest.raises(HostFault, match=r"cp9 \(\[nas\] cp9/cp9.vmx\) is not there any more"):
            power_on(session, "[nas] cp9/cp9.vmx", "cp9", seconds=10, progress=silent)


def test_a_configuration_is_kept_for_its_owner_only(bench: Bench) -> None:
    bench.needs("BackupFirmwareConfiguration")
    with bench.session() as session:
        path = bench.files.keep_backup("brix3", configuration_backup(session))
    assert bench.files.backups_of("brix3") == [path]
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_bytes()[:2] == b"\x1f\x8b"
