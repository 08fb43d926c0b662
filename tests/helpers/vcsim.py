"""govmomi's simulator as a second host to test against, and the one table of what it lacks."""

import io
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pyVmomi import vim, vmodl

from homelab.errors import HostFault
from homelab.formats.disk.vmdk import descriptor
from homelab.lab import NfsServer
from homelab.ports.host_writer import NfsMount
from homelab.ports.vsphere import Session
from homelab.ports.vsphere.hosts import configuration_backup, installed_vibs, reboot, start_service, stop_service
from homelab.ports.vsphere.storage import (
    extend_disk,
    file_size,
    make_folder,
    mount_nfs,
    probe_writable,
    unmount,
    upload,
)
from tests.helpers import tools

ADDRESS = "127.0.0.4"
NAS = NfsServer(name="nas", server="192.168.2.5", export="/volume1/homelab", datastore="nas")


@contextmanager
def served(folder: Path) -> Iterator[int]:
    """The port of a fresh simulator. It mounts what is a folder in `folder`: `nas` and `other`, whatever the NAS."""
    program = tools.vcsim()
    for name in ("nas", "other"):
        (folder / name).mkdir()
    with (folder / "vcsim.err").open("w") as errors:
        pipe = subprocess.PIPE
        process = subprocess.Popen([program, ADDRESS], cwd=folder, stdin=pipe, stdout=pipe, stderr=errors, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert line, (folder / "vcsim.err").read_text()
        yield int(line.rpartition(":")[2])
    finally:
        process.stdin.close()
        process.wait(10)
        process.stdout.close()


@dataclass(frozen=True)
class Lack:
    """Why a test of the port leaves vcsim out; `works` asks whether it still must, on a mounted datastore `nas`."""

    reason: str
    works: Callable[[Session], bool]


MISSING = (vmodl.fault.ManagedObjectNotFound, vmodl.fault.MethodNotFound)


def _has(call: Callable[[Session], object]) -> Callable[[Session], bool]:
    def works(session: Session) -> bool:
        try:
            call(session)
        except MISSING:
            return False
        except HostFault as error:
            if isinstance(error.__cause__, MISSING):
                return False
            raise
        return True

    return works


def _modules(session: Session) -> object:
    return session.managers.kernelModuleSystem.QueryModules()


def _deletes(session: Session) -> bool:
    probe_writable(session, "nas")
    return file_size(session, "nas", f".homelab-probe-{session.host.name}") is None


def _asks_the_nas(session: Session) -> bool:
    try:
        mount_nfs(session, NfsMount.of(NAS.model_copy(update={"export": "/other", "datastore": "other"})))
    except HostFault:
        return True
    return False


def _tells_how_it_is_mounted(session: Session) -> bool:
    return all(datastore.host for datastore in session.host_system.datastore if datastore.name == "nas")


def _grows(session: Session) -> bool:
    flat = b"".ljust(1 << 20, b"\0")
    text = descriptor("disk", len(flat)).encode()
    make_folder(session, "nas", "disk")
    upload(session, "nas", "disk/disk-flat.vmdk", io.BytesIO(flat), len(flat))
    upload(session, "nas", "disk/disk.vmdk", io.BytesIO(text), len(text))
    try:
        extend_disk(session, "[nas] disk/disk.vmdk", 1, seconds=10, progress=lambda _: None)
    except HostFault:
        return False
    return file_size(session, "nas", "disk/disk-flat.vmdk") == 1 << 30


def _locks(session: Session) -> bool:
    session.content.sessionManager.Logout()
    for password in [*["wrong"] * 5, "right"]:
        try:
            session.content.sessionManager.Login("root", password)
        except vim.fault.InvalidLogin:
            continue
        return False
    return True


# Whatever the tests of the port use and vcsim v0.48.1 does not have, or does not do as a host does.
LACKS = {
    "QueryModules": Lack("there is no HostKernelModuleSystem", _has(_modules)),
    "FetchSoftwarePackages": Lack("there is no HostImageConfigManager", _has(installed_vibs)),
    "BackupFirmwareConfiguration": Lack("there is no HostFirmwareSystem", _has(configuration_backup)),
    "StartService": Lack("there is no HostServiceSystem", _has(lambda s: start_service(s, "TSM-SSH"))),
    "StopService": Lack("there is no HostServiceSystem", _has(lambda s: stop_service(s, "TSM-SSH"))),
    "RebootHost_Task": Lack("a host never reboots", _has(reboot)),
    "RemoveDatastore": Lack("a datastore cannot be unmounted", _has(lambda s: unmount(s, NfsMount.of(NAS)))),
    "CreateNasDatastore that fails": Lack("no NAS is asked: a mount never fails, nor is it read-only", _asks_the_nas),
    "Datastore.host": Lack("an NFS datastore does not tell how it is mounted", _tells_how_it_is_mounted),
    "DELETE /folder": Lack("answers 200 as to GET, and the file stays", _deletes),
    "ExtendVirtualDisk_Task": Lack("takes the disk's content for its size, and leaves it as it is", _grows),
    "a lock after five failures of Login": Lack("an account is never locked", _locks),
}
