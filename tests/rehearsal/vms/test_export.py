"""Exports: a lease by which a VM's disks are read, the stream, and the descriptor that can be imported again."""

import hashlib
import io
import urllib.error
import urllib.request
from typing import Any

import pytest
from pyVmomi import vim, vmodl

from homelab.ports.media.vmdk import extents, read_header
from tests.helpers.soap_host import MIB, SoapHost, controller, disk, until

# Holes and data on both sides of a grain table's 32 MiB.
PLACES = {0: b"first", 3 * MIB + 70_000: b"second", 33 * MIB: b"third", 40 * MIB - 512: b"last"}
SIZE = 40 * MIB


def content() -> bytes:
    data = bytearray(SIZE)
    for place, text in PLACES.items():
        data[place : place + len(text)] = text
    return bytes(data)


def filled(soap: SoapHost, name: str = "alpha") -> Any:
    nic = vim.vm.device.VirtualVmxnet3(key=-9, addressType="generated")
    nic.backing = vim.vm.device.VirtualEthernetCard.NetworkBackingInfo(deviceName="VM Network")
    card = vim.vm.device.VirtualDeviceSpec(operation="add", device=nic)
    vm = soap.make_vm(
        name, controller(), disk(SIZE), card, numCPUs=2, annotation="a <note>", guestId="debian10_64Guest"
    )
    with soap.file(f"{name}/{name}-flat.vmdk").open("r+b") as file:
        for place, text in PLACES.items():
            file.seek(place)
            file.write(text)
    return vm


def lease_on(vm: Any) -> Any:
    lease = vm.ExportVm()
    until(lambda: lease.state != "initializing")
    return lease


def fetch(soap: SoapHost, lease: Any) -> bytes:
    url = lease.info.deviceUrl[0].url.replace("*", soap.address)
    with urllib.request.urlopen(url, context=soap.tls) as answer:
        assert answer.headers["Transfer-Encoding"] == "chunked"
        return bytes(answer.read())


def unpacked(stream: bytes) -> bytes:
    """The disk, as the reader of images sees it, which knows tables and footers and no markers."""
    file = io.BytesIO(stream)
    header = read_header(file)
    data = bytearray(header.size)
    for place, piece in extents(file, header):
        data[place : place + len(piece)] = piece
    return bytes(data)


def test_a_disk_goes_out_as_a_stream(soap: SoapHost) -> None:
    lease = lease_on(filled(soap))
    assert (lease.state, lease.info.entity.name, lease.info.deviceUrl[0].targetId) == ("ready", "alpha", "disk-0.vmdk")
    stream = fetch(soap, lease)
    assert len(stream) < MIB
    assert unpacked(stream) == content()
    [row] = lease.HttpNfcLeaseGetManifest()
    assert (row.size, row.sha1) == (len(stream), hashlib.sha1(stream, usedforsecurity=False).hexdigest())
    assert (row.capacity, row.populatedSize) == (SIZE, len(PLACES) * 65536)
    lease.HttpNfcLeaseComplete()
    with pytest.raises(urllib.error.HTTPError, match="404"):
        fetch(soap, lease)


@pytest.mark.parametrize("end", ["HttpNfcLeaseComplete", "HttpNfcLeaseAbort"])
def test_a_vm_stays_whatever_becomes_of_its_export(soap: SoapHost, end: str) -> None:
    vm = filled(soap)
    lease = lease_on(vm)
    with pytest.raises(vim.fault.FileLocked):
        soap.result(vm.PowerOnVM_Task())
    url = lease.info.deviceUrl[0].url
    assert soap.send(url, b"x", "PUT") == 404, "an export is no import"
    getattr(lease, end)()
    assert soap.file("alpha/alpha-flat.vmdk").stat().st_size == SIZE
    soap.result(vm.PowerOnVM_Task())
    with pytest.raises(vim.fault.InvalidPowerState):
        vm.ExportVm()


def test_an_export_that_nobody_attends_ends(soap: SoapHost) -> None:
    lease = lease_on(filled(soap))
    soap.clock.ahead += 301
    until(lambda: lease.state == "error")
    assert isinstance(lease.error, vim.fault.Timedout)
    assert [vm.name for vm in soap.host.registered_vms.values()] == ["alpha"]


def test_a_descriptor_is_imported_again(soap: SoapHost) -> None:
    vm = filled(soap)
    lease = lease_on(vm)
    stream, key = fetch(soap, lease), lease.info.deviceUrl[0].key
    lease.HttpNfcLeaseComplete()
    manager = soap.content.ovfManager
    file = vim.OvfManager.OvfFile(deviceId=key, path="alpha.vmdk", size=len(stream))
    made = manager.CreateDescriptor(vm, vim.OvfManager.CreateDescriptorParams(name="again", ovfFiles=[file]))
    assert list(made.warning) == []
    params = vim.OvfManager.CreateImportSpecParams(entityName="", locale="", diskProvisioning="thin")
    store = vim.Datastore(soap.host.datastores.mounts["NAS"].moref, soap.stub)
    spec = manager.CreateImportSpec(made.ovfDescriptor, soap.pool, store, params)
    assert [(item.path, item.size) for item in spec.fileItem] == [("alpha.vmdk", len(stream))]
    back = soap.pool.ImportVApp(spec.importSpec, soap.folder, None)
    until(lambda: back.state != "initializing")
    assert soap.send(back.info.deviceUrl[0].url, stream) == 200
    back.HttpNfcLeaseComplete()
    [first, second] = soap.host.registered_vms.values()
    assert (second.name, second.cpus, second.memory_mib, second.guest_id) == ("again", 2, 64, "debian10_64Guest")
    assert (second.controllers, second.hardware_version) == (first.controllers, first.hardware_version)
    assert [(nic.network, nic.kind) for nic in second.nics] == [("VM Network", "Vmxnet3")]
    assert soap.file("again/again-flat.vmdk").read_bytes() == content()


def test_what_a_guest_wrote_is_not_left_out_in_silence(soap: SoapHost) -> None:
    vm = filled(soap)
    soap.file("alpha/alpha.vmdk.d/upper").mkdir(parents=True)
    with pytest.raises(vmodl.fault.NotSupported, match="which a guest wrote to, is not part of the rehearsal"):
        vm.ExportVm()
