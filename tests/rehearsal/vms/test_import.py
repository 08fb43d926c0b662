"""Imports: a lease, a streamOptimized VMDK sent to it, and what comes of it."""

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from pyVmomi import vim, vmodl

from homelab.rehearsal.vms.vms import ROOT_MARK
from tests.helpers.soap_rig import MIB, Rig, config, controller, disk, until
from tests.helpers.vmdk_writer import stream_vmdk

CONTENT = (ROOT_MARK + b"0123456789abcdef\n").ljust(512, b"\0") + bytes(5 * MIB - 512) + b"end".ljust(3 * MIB, b"\0")


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path)
    yield made
    made.close()


def lease_of(rig: Rig, size: int = len(CONTENT)) -> Any:
    spec = vim.vm.VmImportSpec(configSpec=config("golden", controller(), disk(size)))
    lease = rig.pool.ImportVApp(spec, rig.folder, None)
    until(lambda: lease.state != "initializing")
    return lease


def url_of(lease: Any) -> str:
    return str(lease.info.deviceUrl[0].url)


def gone(rig: Rig) -> bool:
    return not rig.host.vms and not rig.file("golden").exists()


def test_a_lease_tells_where_to_send_the_disk(rig: Rig) -> None:
    lease = lease_of(rig)
    info, device = lease.info, lease.info.deviceUrl[0]
    assert (lease.state, lease.error, lease.initializeProgress) == ("ready", None, 100)
    assert (info.leaseTimeout, info.totalDiskCapacityInKB) == (300, 8192)
    assert device.url == f"https://*:{rig.face.port}/nfc/{lease._moId}/disk-0.vmdk"
    assert (device.disk, device.targetId) == (True, "disk-0.vmdk")
    assert device.importKey == "/golden/ParaVirtualSCSIController0:0"
    assert device.datastoreKey == info.hostMap[0].datastoreKey
    assert info.entity.name == "golden"


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_a_disk_that_was_sent_boots_like_one_that_was_copied(rig: Rig, method: str) -> None:
    lease = lease_of(rig)
    stream = stream_vmdk(CONTENT)
    with pytest.raises(vim.fault.FileLocked):
        rig.result(lease.info.entity.PowerOnVM_Task())
    assert rig.send(url_of(lease), stream, method) == 200
    row = lease.HttpNfcLeaseGetManifest()[0]
    assert (row.size, row.capacity, row.disk, len(row.sha1)) == (len(stream), len(CONTENT), True, 40)
    lease.HttpNfcLeaseProgress(100)
    lease.HttpNfcLeaseComplete()
    assert lease.state == "done"
    assert rig.file("golden/golden-flat.vmdk").read_bytes() == CONTENT
    rig.result(lease.info.entity.PowerOnVM_Task())
    assert rig.machines.specs[0].root_id == "0123456789abcdef"
    assert rig.send(url_of(lease), stream) == 404


def test_a_stream_in_chunks_arrives_too(rig: Rig) -> None:
    lease, stream = lease_of(rig), stream_vmdk(CONTENT)
    pieces = (stream[start : start + 3000] for start in range(0, len(stream), 3000))
    assert rig.send(url_of(lease), pieces, headers={"Transfer-Encoding": "chunked"}) == 200
    assert rig.file("golden/golden-flat.vmdk").read_bytes() == CONTENT


def damaged(stream: bytes) -> dict[str, bytes]:
    broken = bytearray(stream)
    broken[128 * 512 + 20] ^= 0xFF
    far = bytearray(stream)
    far[128 * 512 : 128 * 512 + 8] = (1 << 20).to_bytes(8, "little")
    return {
        "a flat disk": CONTENT,
        "nothing": b"",
        "a qcow2": b"QFI\xfb" + bytes(4096),
        "a cut stream": stream[: len(stream) // 2 // 512 * 512],
        "no end": stream[:-512],
        "a broken grain": bytes(broken),
        "a grain beyond the end": bytes(far),
        "another kind of VMDK": stream[:8] + b"\1\0\0\0" + stream[12:],
        "a larger disk": stream_vmdk(CONTENT + bytes(MIB)),
    }


@pytest.mark.parametrize("name", list(damaged(stream_vmdk(CONTENT))))
def test_a_wrong_stream_is_refused_and_leaves_an_empty_disk(rig: Rig, name: str) -> None:
    lease, stream = lease_of(rig), stream_vmdk(CONTENT)
    assert rig.send(url_of(lease), damaged(stream)[name]) == 500
    assert rig.file("golden/golden-flat.vmdk").read_bytes() == bytes(len(CONTENT))
    assert lease.state == "ready"
    assert rig.send(url_of(lease), stream) == 200
    assert rig.file("golden/golden-flat.vmdk").read_bytes() == CONTENT


def test_a_client_that_goes_away_leaves_an_empty_disk(rig: Rig) -> None:
    lease, stream = lease_of(rig), stream_vmdk(CONTENT)
    head = f"POST {urlsplit(url_of(lease)).path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(stream)}\r\n\r\n"
    data = rig.file("golden/golden-flat.vmdk")
    plain = socket.create_connection((rig.address, rig.face.port))
    with rig.tls.wrap_socket(plain, server_hostname=rig.address) as connection:
        connection.sendall(head.encode() + stream[:-1024])
        until(lambda: data.read_bytes().strip(b"\0"))
    until(lambda: not data.read_bytes().strip(b"\0"))
    assert lease.state == "ready"


def test_an_abort_leaves_nothing_behind(rig: Rig) -> None:
    lease = lease_of(rig)
    rig.send(url_of(lease), stream_vmdk(CONTENT))
    lease.HttpNfcLeaseAbort(vmodl.fault.SystemError(reason="no more"))
    assert lease.state == "error"
    assert lease.error.reason == "no more"
    assert gone(rig)
    assert rig.send(url_of(lease), b"") == 404
    for call in (lease.HttpNfcLeaseComplete, lease.HttpNfcLeaseAbort, lambda: lease.HttpNfcLeaseProgress(1)):
        with pytest.raises(vim.fault.InvalidState):
            call()


def test_a_lease_dies_of_silence(rig: Rig) -> None:
    lease = lease_of(rig)
    url = url_of(lease)
    rig.clock.ahead += 290
    lease.HttpNfcLeaseProgress(0)
    rig.clock.ahead += 290
    assert rig.send(url, stream_vmdk(CONTENT)) == 200
    rig.clock.ahead += 290
    assert lease.state == "ready"
    rig.clock.ahead += 11
    until(lambda: lease.state == "error")
    assert isinstance(lease.error, vim.fault.Timedout)
    until(lambda: gone(rig))
    assert rig.send(url, stream_vmdk(CONTENT)) == 404
    with pytest.raises(vim.fault.Timedout):
        lease.HttpNfcLeaseComplete()


def test_a_lease_dies_half_way_once(rig: Rig) -> None:
    rig.host.harm.lease_dies = True
    lease = lease_of(rig)
    with pytest.raises(OSError):
        rig.send(url_of(lease), stream_vmdk(CONTENT))
    assert isinstance(lease.error, vim.fault.Timedout)
    assert gone(rig)
    again = lease_of(rig)
    assert rig.send(url_of(again), stream_vmdk(CONTENT)) == 200


def test_what_cannot_be_imported_is_told(rig: Rig) -> None:
    lease_of(rig)
    with pytest.raises(vim.fault.DuplicateName):
        lease_of(rig)
    rig.host.volumes.nas.full = True
    spec = vim.vm.VmImportSpec(configSpec=config("other", controller(), disk(MIB)))
    lease = rig.pool.ImportVApp(spec, rig.folder, None)
    until(lambda: lease.state == "error")
    assert isinstance(lease.error, vim.fault.NoDiskSpace)
    assert not rig.file("other").exists()
    rig.host.licence = "free"
    with pytest.raises(vim.fault.RestrictedVersion):
        rig.pool.ImportVApp(spec, rig.folder, None)


def test_a_host_that_goes_down_forgets_the_lease_and_keeps_the_vm(rig: Rig) -> None:
    lease_of(rig)
    rig.face.stop()
    vm = rig.host.vm_named("golden")
    assert vm is not None
    rig.host.power_on(vm)
    rig.face.start()
