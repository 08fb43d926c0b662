"""Imports: a lease, a streamOptimized VMDK sent to it, and what comes of it."""

import socket
from typing import Any
from urllib.parse import urlsplit

import pytest
from pyVmomi import vim, vmodl

from homelab.rehearsal.storage.image import MARK
from tests.helpers.soap_host import MIB, SoapHost, config, controller, disk, until
from tests.helpers.vmdk_writer import stream_vmdk

CONTENT = (MARK + b"0123456789abcdef\n").ljust(512, b"\0") + bytes(5 * MIB - 512) + b"end".ljust(3 * MIB, b"\0")


def lease_of(soap: SoapHost, size: int = len(CONTENT)) -> Any:
    spec = vim.vm.VmImportSpec(configSpec=config("golden", controller(), disk(size)))
    lease = soap.pool.ImportVApp(spec, soap.folder, None)
    until(lambda: lease.state != "initializing")
    return lease


def url_of(lease: Any) -> str:
    return str(lease.info.deviceUrl[0].url)


def gone(soap: SoapHost) -> bool:
    return not soap.host.registered_vms and not soap.file("golden").exists()


def test_a_lease_tells_where_to_send_the_disk(soap: SoapHost) -> None:
    lease = lease_of(soap)
    info, device = lease.info, lease.info.deviceUrl[0]
    assert (lease.state, lease.error, lease.initializeProgress) == ("ready", None, 100)
    assert (info.leaseTimeout, info.totalDiskCapacityInKB) == (300, 8192)
    assert device.url == f"https://*:{soap.face.port}/nfc/{lease._moId}/disk-0.vmdk"
    assert (device.disk, device.targetId) == (True, "disk-0.vmdk")
    assert device.importKey == "/golden/ParaVirtualSCSIController0:0"
    assert device.datastoreKey == info.hostMap[0].datastoreKey
    assert info.entity.name == "golden"


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_a_disk_that_was_sent_boots_like_one_that_was_copied(soap: SoapHost, method: str) -> None:
    lease = lease_of(soap)
    stream = stream_vmdk(CONTENT)
    with pytest.raises(vim.fault.FileLocked):
        soap.result(lease.info.entity.PowerOnVM_Task())
    assert soap.send(url_of(lease), stream, method) == 200
    row = lease.HttpNfcLeaseGetManifest()[0]
    assert (row.size, row.capacity, row.disk, len(row.sha1)) == (len(stream), len(CONTENT), True, 40)
    lease.HttpNfcLeaseProgress(100)
    lease.HttpNfcLeaseComplete()
    assert lease.state == "done"
    assert soap.file("golden/golden-flat.vmdk").read_bytes() == CONTENT
    soap.result(lease.info.entity.PowerOnVM_Task())
    assert soap.machines.specs[0].root_id == "0123456789abcdef"
    assert soap.send(url_of(lease), stream) == 404


def test_a_stream_in_chunks_arrives_too(soap: SoapHost) -> None:
    lease, stream = lease_of(soap), stream_vmdk(CONTENT)
    pieces = (stream[start : start + 3000] for start in range(0, len(stream), 3000))
    assert soap.send(url_of(lease), pieces, headers={"Transfer-Encoding": "chunked"}) == 200
    assert soap.file("golden/golden-flat.vmdk").read_bytes() == CONTENT


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
def test_a_wrong_stream_is_refused_and_leaves_an_empty_disk(soap: SoapHost, name: str) -> None:
    lease, stream = lease_of(soap), stream_vmdk(CONTENT)
    assert soap.send(url_of(lease), damaged(stream)[name]) == 500
    assert soap.file("golden/golden-flat.vmdk").read_bytes() == bytes(len(CONTENT))
    assert lease.state == "ready"
    assert soap.send(url_of(lease), stream) == 200
    assert soap.file("golden/golden-flat.vmdk").read_bytes() == CONTENT


def test_a_client_that_goes_away_leaves_an_empty_disk(soap: SoapHost) -> None:
    lease, stream = lease_of(soap), stream_vmdk(CONTENT)
    head = f"POST {urlsplit(url_of(lease)).path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(stream)}\r\n\r\n"
    data = soap.file("golden/golden-flat.vmdk")
    plain = socket.create_connection((soap.address, soap.face.port))
    with soap.tls.wrap_socket(plain, server_hostname=soap.address) as connection:
        connection.sendall(head.encode() + stream[:-1024])
        until(lambda: data.read_bytes().strip(b"\0"))
    until(lambda: not data.read_bytes().strip(b"\0"))
    assert lease.state == "ready"


def test_an_abort_leaves_nothing_behind(soap: SoapHost) -> None:
    lease = lease_of(soap)
    soap.send(url_of(lease), stream_vmdk(CONTENT))
    lease.HttpNfcLeaseAbort(vmodl.fault.SystemError(reason="no more"))
    assert lease.state == "error"
    assert lease.error.reason == "no more"
    assert gone(soap)
    assert soap.send(url_of(lease), b"") == 404
    for call in (lease.HttpNfcLeaseComplete, lease.HttpNfcLeaseAbort, lambda: lease.HttpNfcLeaseProgress(1)):
        with pytest.raises(vim.fault.InvalidState):
            call()


def test_a_lease_dies_of_silence(soap: SoapHost) -> None:
    lease = lease_of(soap)
    url = url_of(lease)
    soap.clock.ahead += 290
    lease.HttpNfcLeaseProgress(0)
    soap.clock.ahead += 290
    assert soap.send(url, stream_vmdk(CONTENT)) == 200
    soap.clock.ahead += 290
    assert lease.state == "ready"
    soap.clock.ahead += 11
    until(lambda: lease.state == "error")
    assert isinstance(lease.error, vim.fault.Timedout)
    until(lambda: gone(soap))
    assert soap.send(url, stream_vmdk(CONTENT)) == 404
    with pytest.raises(vim.fault.Timedout):
        lease.HttpNfcLeaseComplete()


def test_a_lease_dies_half_way_once(soap: SoapHost) -> None:
    soap.host.harm.lease_dies = True
    lease = lease_of(soap)
    with pytest.raises(OSError):
        soap.send(url_of(lease), stream_vmdk(CONTENT))
    assert isinstance(lease.error, vim.fault.Timedout)
    assert gone(soap)
    again = lease_of(soap)
    assert soap.send(url_of(again), stream_vmdk(CONTENT)) == 200


def test_what_cannot_be_imported_is_told(soap: SoapHost) -> None:
    lease_of(soap)
    with pytest.raises(vim.fault.DuplicateName):
        lease_of(soap)
    soap.host.datastores.volumes.nas.full = True
    spec = vim.vm.VmImportSpec(configSpec=config("other", controller(), disk(MIB)))
    lease = soap.pool.ImportVApp(spec, soap.folder, None)
    until(lambda: lease.state == "error")
    assert isinstance(lease.error, vim.fault.NoDiskSpace)
    assert not soap.file("other").exists()
    soap.host.licence = "free"
    with pytest.raises(vim.fault.RestrictedVersion):
        soap.pool.ImportVApp(spec, soap.folder, None)


def test_a_host_that_goes_down_forgets_the_lease_and_keeps_the_vm(soap: SoapHost) -> None:
    lease_of(soap)
    soap.face.stop()
    vm = soap.host.vms.named("golden")
    assert vm is not None
    soap.host.vm_power.on(vm)
    soap.face.start()
