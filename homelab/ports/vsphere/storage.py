"""Datastores: NFS mounts, files by `/folder`, folders and disks."""

import html
import http.client
import io
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, BinaryIO
from urllib.parse import quote

from pyVmomi import vim

from homelab.errors import HomelabError, HostFault, Interrupted, Refused, Unreachable
from homelab.formats.disk.vmdk import extents
from homelab.ports.files.record import recorded
from homelab.ports.host_writer import NfsMount
from homelab.ports.net.exchange import TooMuch, begin
from homelab.ports.net.exchange import connection as open_connection
from homelab.ports.vsphere.session import DATACENTER, Session, translated
from homelab.ports.vsphere.tasks import Progress, wait_for

BLOCK = 1 << 20
SMALL = 1 << 16
# A .vmx holds all that its VM is told by `guestinfo`, encoded: some hundred KiB are usual there (cloud-init,
# DataSourceVMware).
VMX = 16 << 20
# A host's configuration is some hundred KiB; the copy is made while it is fetched.
SMALL_FILE = 64 << 20
DOWNLOAD_SECONDS = 60.0
PROBE = b"homelab\n"
Transferred = Callable[[int, int], None]
# What to do about a cause that the host names; the texts are ESXi's own.
MOUNT_ADVICE = {
    "denied the mount request": "On {nas}, export this path to {host} (read and write, no_root_squash), and run again",
    "Unable to connect": "Check that {nas} is on, that its NFS service runs, and its address in the inventory",
    "No connection": "Check that {nas} is on, that its NFS service runs, and its address in the inventory",
    "does not support": "Switch that NFS version on at {nas}, or set nfs_version in the inventory to one it has",
    "not a directory": "Set nfs_export in the inventory to the path that {nas} exports, to the letter",
    "maximum number": "Unmount a datastore that is not used, or raise NFS.MaxVolumes on this host",
}


def mount_nfs(session: Session, mount: NfsMount) -> None:
    """Mount an export under the datastore's name, with these very strings."""
    spec = vim.host.NasVolume.Specification(
        remoteHost=mount.server,
        remotePath=mount.share,
        localPath=mount.datastore,
        accessMode="readWrite" if mount.writable else "readOnly",
        type="NFS" if mount.version == "3" else "NFS41",
    )
    if mount.version == "4.1":
        spec.remoteHostNames = [mount.server]
    try:
        with translated(session.where):
            session.managers.datastoreSystem.CreateNasDatastore(spec)
    except HostFault as error:
        if not isinstance(error.__cause__, vim.fault.HostConfigFault):
            raise
        raise mount_refused(error, str(session.host.address), mount) from error


def mount_refused(error: HomelabError, address: str, mount: NfsMount) -> HomelabError:
    """What the host at `address` said of a mount, with the NAS's name and what to do there."""
    # The cause stands between two sentences that say nothing (esxi-recordings).
    cause = error.what.partition("Sysinfo error: ")[2].partition("See VMkernel log")[0].rstrip(". ") or error.what
    advice = next((do for words, do in MOUNT_ADVICE.items() if words in cause), error.advice)
    return HostFault(
        f"the NAS {mount.nas} was not mounted: {cause}",
        where=f"{error.where}, NAS {mount.nas} ({mount.server}:{mount.share})",
        advice=advice.format(host=address, nas=mount.nas),
    )


def unmount(session: Session, mount: NfsMount) -> None:
    """Unmount a datastore, if it still is this very mount; files on it stay. Raises Refused when it is another."""
    with translated(session.where):
        ref = next((one for one in session.host_system.datastore if one.name == mount.datastore), None)
        if ref is None:
            return
        nas = getattr(ref.info, "nas", None)
        check_same_mount(session.where, mount, nas and (nas.remoteHost, nas.remotePath))
        session.managers.datastoreSystem.RemoveDatastore(ref)


def check_same_mount(where: str, mount: NfsMount, found: tuple[str, str] | None) -> None:
    """Refused when the datastore of that name is not this server and path."""
    if found != (mount.server, mount.share):
        what = f"{found[0]}:{found[1]}" if found else "no NFS datastore"
        raise Refused(
            f"the datastore {mount.datastore} is {what} now, not {mount.server}:{mount.share}; it was not unmounted",
            where=where,
            advice="Somebody mounted another one under its name; run again and look at the plan",
        )


def check_own_probe(where: str, datastore: str, name: str, content: bytes) -> None:
    """Refused when a file with the probe's name holds something else than a probe of ours, whole or cut."""
    if not PROBE.startswith(content):
        raise Refused(
            f"[{datastore}] {name} is not a probe file of ours, and is left alone",
            where=where,
            advice="Move or rename that file, then run again",
        )


def probe_writable(session: Session, datastore: str) -> None:
    """Write, read and delete a small file: a mount can succeed where writing fails. Raises HostFault, Refused."""
    name = f".homelab-probe-{session.host.name}"
    if file_size(session, datastore, name):
        check_own_probe(session.where, datastore, name, download(session, _url(datastore, name)))
    upload(session, datastore, name, io.BytesIO(PROBE), len(PROBE))
    read = download(session, _url(datastore, name))
    withdraw(session, datastore, name)
    if read != PROBE:
        raise HostFault(
            f"the probe file [{datastore}] {name} was written, and reading it back gives something else",
            where=session.where,
            advice="Check the NAS; a datastore that forgets what was written must not be used",
        )


def upload(
    session: Session, datastore: str, path: str, file: BinaryIO, size: int, progress: Transferred | None = None
) -> None:
    """PUT a file of `size` bytes into a folder that exists, over one that is there: whose it is, the caller knows.

    `progress` gets (bytes done, bytes in all). Unreachable when a block is not taken within the API's deadline.
    Interrupted between two blocks of a file that has more than one: what lies there then is half a file, and named as
    such.
    """
    if session.stop.is_set() and size > BLOCK:
        raise _interrupted(session, f"before the upload of [{datastore}] {path} began")
    with _transfer(session, "PUT", f"[{datastore}] {path}") as connection:
        connection.putrequest("PUT", _url(datastore, path))
        connection.putheader("Cookie", session.cookie)
        connection.putheader("Content-Length", str(size))
        connection.putheader("Content-Type", "application/octet-stream")
        connection.endheaders()
        done = 0
        while block := file.read(BLOCK):
            begin(connection, session.host.api_timeout)
            connection.send(block)
            done += len(block)
            if session.stop.is_set() and done < size:
                half = f"[{datastore}] {path} is half a file, {done} of {size} bytes were sent"
                raise _interrupted(session, f"in the middle of an upload: {half}")
            if progress:
                progress(done, size)
        answer = connection.getresponse()
        said = _sentence(answer.read())
    if answer.status not in (200, 201):
        raise _refused(session, f"[{datastore}] {path} could not be written", answer, said)


def withdraw(session: Session, datastore: str, path: str) -> None:
    """DELETE a file that was uploaded; nothing happens when it is gone."""
    answer = _request(session, "DELETE", datastore, path)
    if answer.status not in (200, 204, 404):
        raise _refused(session, f"[{datastore}] {path} was written and could not be deleted", answer)


def _interrupted(session: Session, what: str) -> Interrupted:
    return Interrupted(
        f"interrupted {what}", where=session.where, advice="Run again; the file is sent anew, from its beginning"
    )


def file_size(session: Session, datastore: str, path: str) -> int | None:
    """The size of a file in bytes; None when there is none."""
    answer = _request(session, "HEAD", datastore, path)
    if answer.status == 404:
        return None
    if answer.status != 200:
        raise _refused(session, f"[{datastore}] {path} could not be looked at", answer)
    length = answer.getheader("Content-Length") or "0"
    if not length.isdecimal():
        raise _refused(session, f"[{datastore}] {path} has no size that can be read ({length[:40]})", answer)
    return int(length)


def download(session: Session, path: str) -> bytes:
    """A small file that the host offers at a path of its web server."""
    with _transfer(session, "GET", path) as connection:
        begin(connection, session.host.api_timeout + DOWNLOAD_SECONDS, SMALL_FILE)
        connection.request("GET", path, headers={"Cookie": session.cookie})
        answer = connection.getresponse()
        content = answer.read()
    if answer.status != 200:
        raise HostFault(
            f"{path} could not be fetched: HTTP {answer.status} {answer.reason}",
            where=session.where,
            advice="Run again; see /var/log/hostd.log on the host when it stays so",
        )
    return content


def small_file(session: Session, datastore: str, path: str) -> bytes | None:
    """What a file of at most SMALL bytes holds, VMX for a .vmx; None when there is none."""
    is_vmx = path.endswith(".vmx")
    most = VMX if is_vmx else SMALL
    with _transfer(session, "GET", f"[{datastore}] {path}") as connection:
        begin(connection, session.host.api_timeout + DOWNLOAD_SECONDS, most + BLOCK)
        connection.request("GET", _url(datastore, path), headers={"Cookie": session.cookie})
        answer = connection.getresponse()
        content = answer.read(most + 1) if answer.status == 200 else b""
    if answer.status == 404:
        return None
    if answer.status != 200:
        raise _refused(session, f"[{datastore}] {path} could not be looked at", answer)
    if len(content) > most:
        raise HostFault(
            f"[{datastore}] {path} has more than {most} bytes, more than any file of ours that is read",
            where=session.where,
            advice="Look at the VM in the host's web page: its configuration parameters hold more than is usual"
            if is_vmx
            else "Look what it is, and move, rename or delete it yourself",
        )
    return content


def disk_whole(session: Session, datastore: str, path: str) -> bool:
    """Whether a disk's descriptor is there, and all the data that it tells of: an upload that broke off is not."""
    text = small_file(session, datastore, path)
    wanted = extents((text or b"").decode(errors="replace"))
    folder = path.rpartition("/")[0]
    return bool(wanted) and all(file_size(session, datastore, f"{folder}/{n}") == size for n, size in wanted.items())


def picture(session: Session, datastore: str, path: str) -> bytes:
    """What a picture on a datastore holds."""
    return download(session, _url(datastore, path))


def _request(session: Session, method: str, datastore: str, path: str) -> http.client.HTTPResponse:
    with _transfer(session, method, f"[{datastore}] {path}") as connection:
        connection.request(method, _url(datastore, path), headers={"Cookie": session.cookie})
        answer = connection.getresponse()
        answer.read()
    return answer


@contextmanager
def _transfer(session: Session, method: str, what: str) -> Iterator[http.client.HTTPSConnection]:
    """One recorded connection to the host's web server."""
    host = session.host
    writes = method not in ("HEAD", "GET")
    with recorded(session.files, "http", host.name, f"{method} {what}", writes=writes), ExitStack() as opened:
        try:
            connection = open_connection(str(host.address), host.api_port, session.tls, host.api_timeout)
            opened.callback(connection.close)
            yield connection
        except TooMuch as error:
            raise HostFault(f"{method} {what}: {error}", where=session.where, advice="Look at it by hand") from error
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable(
                f"the transfer broke ({method} {what}): {error or type(error).__name__}",
                where=session.where,
                advice="Check that the host is on and the network holds, and run again; the file is sent anew",
            ) from error


def _url(datastore: str, path: str) -> str:
    return f"/folder/{quote(path)}?dcPath={DATACENTER}&dsName={quote(datastore)}"


def _sentence(body: bytes) -> str:
    """The host's own words in the page that comes with a refusal."""
    text = re.sub(r"<[^>]*>", " ", body.decode(errors="replace"))
    return html.unescape(" ".join(text.split()))[:200]


def _refused(session: Session, what: str, answer: http.client.HTTPResponse, said: str = "") -> HostFault:
    return HostFault(
        f"{what}: {said or f'HTTP {answer.status} {answer.reason}'}",
        where=session.where,
        advice="For an NFS datastore, check that the export is writable for this host and has no_root_squash, "
        "and that it is not full",
    )


def make_folder(session: Session, datastore: str, path: str) -> None:
    """Make a folder and its parents; nothing happens when it is there."""
    try:
        session.content.fileManager.MakeDirectory(f"[{datastore}] {path}", _datacenter(session), True)
    except vim.fault.FileAlreadyExists:
        return


def copy_disk(session: Session, source: str, target: str, *, seconds: float, progress: Progress) -> None:
    """A thin copy of a disk; both are datastore paths of descriptors. HostFault when the target is there already."""
    datacenter = _datacenter(session)
    spec = vim.VirtualDiskManager.VirtualDiskSpec(diskType="thin", adapterType="lsiLogic")
    task = session.content.virtualDiskManager.CopyVirtualDisk_Task(
        sourceName=source, sourceDatacenter=datacenter, destName=target, destDatacenter=datacenter, destSpec=spec
    )
    wait_for(session, task, f"copying the disk {source} to {target}", seconds=seconds, progress=progress)


def move_disk(session: Session, source: str, target: str, *, seconds: float, progress: Progress) -> None:
    """Give a disk another name; both are datastore paths of descriptors. HostFault when the target is there already."""
    datacenter = _datacenter(session)
    task = session.content.virtualDiskManager.MoveVirtualDisk_Task(source, datacenter, target, datacenter, False)
    wait_for(session, task, f"naming the disk {source} {target}", seconds=seconds, progress=progress)


def extend_disk(session: Session, path: str, size_gib: int, *, seconds: float, progress: Progress) -> None:
    """Grow a disk to `size_gib` GiB without zeroing."""
    task = session.content.virtualDiskManager.ExtendVirtualDisk_Task(
        name=path, datacenter=_datacenter(session), newCapacityKb=size_gib * (1 << 20), eagerZero=False
    )
    wait_for(session, task, f"growing the disk {path} to {size_gib} GiB", seconds=seconds, progress=progress)


def _datacenter(session: Session) -> Any:
    return session.managed(vim.Datacenter, DATACENTER)
