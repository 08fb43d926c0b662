"""Mutated SOAP bodies: the simulated host answers each with a result or a fault, and goes on serving."""

import http.client
import random
import re
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from pyVim.connect import SmartConnect
from pyVmomi import vim

from homelab.rehearsal.host.host import Host
from homelab.rehearsal.nas.nas import Nas
from homelab.rehearsal.soap import SoapFace, wire
from homelab.rehearsal.state.hardware import MODELS
from homelab.rehearsal.state.machines import NoMachines
from homelab.rehearsal.storage.volumes import Volumes

NAS, SHARE = "192.168.1.20", "/volume1/homelab"
JUNK = (b"<", b">", b"&", b'"', b"\0", b"\xff", b"-1", b"99999999999999999999", b"]]>", b"<!--", b"&lol;", b"\xc3\xa4")


@pytest.fixture
def face(tmp_path: Path) -> Iterator[SoapFace]:
    volumes = Volumes(tmp_path, Nas({NAS}, {SHARE}))
    model = MODELS["GB-BRi7-8550"]
    host = Host("brix1", "127.0.0.72", model, "root", "secret", volumes=volumes, machines=NoMachines())
    made = SoapFace(host, port=0)
    made.start()
    yield made
    made.stop()
    host.power.stop()


def recorded(face: SoapFace, monkeypatch: pytest.MonkeyPatch) -> tuple[list[bytes], str]:
    """The bodies of a client's calls, and its session's cookie."""
    bodies: list[bytes] = []
    parse = wire.RequestParser.parse

    def note(self: Any, data: bytes) -> Any:
        bodies.append(data)
        return parse(self, data)

    with monkeypatch.context() as patch:
        patch.setattr(wire.RequestParser, "parse", note)
        context = ssl.create_default_context(cadata=face.certificate.decode())
        instance = SmartConnect(host=face.address, port=face.port, user="root", pwd="secret", sslContext=context)
        stub = instance._stub
        content = instance.RetrieveContent()
        host = vim.HostSystem("ha-host", stub)
        spec = vim.host.NasVolume.Specification(
            remoteHost=NAS, remotePath=SHARE, localPath="NAS", accessMode="readWrite", type="NFS"
        )
        host.configManager.datastoreSystem.CreateNasDatastore(spec)
        host.configManager.serviceSystem.StartService("ntpd")
        host.configManager.kernelModuleSystem.QueryModules()
        host.configManager.advancedOption.QueryOptions("NFS.")
        group = vim.host.PortGroup.Specification(
            name="a", vlanId=3, vswitchName="vSwitch0", policy=vim.host.NetworkPolicy()
        )
        host.configManager.networkSystem.AddPortGroup(group)
        content.fileManager.MakeDirectory("[NAS] a", None, True)
        content.eventManager.QueryEvents(vim.event.EventFilterSpec(eventTypeId=["VmCreatedEvent"]))
        content.viewManager.CreateContainerView(content.rootFolder, [vim.VirtualMachine], True)
        files = vim.vm.FileInfo(vmPathName="[NAS]")
        options = [vim.option.OptionValue(key="a", value="b")]
        config = vim.vm.ConfigSpec(name="a", memoryMB=64, numCPUs=1, files=files, extraConfig=options)
        config.deviceChange = [
            vim.vm.device.VirtualDeviceSpec(
                operation="add",
                device=vim.vm.device.ParaVirtualSCSIController(key=-1, busNumber=0, sharedBus="noSharing"),
            )
        ]
        vim.Folder("ha-folder-vm", stub).CreateVM_Task(config, vim.ResourcePool("ha-root-pool", stub))
        assert host.vm is not None
        assert host.summary.hardware.model
        assert bodies
    return [body for body in bodies if b"Logout" not in body], stub.cookie


def mutated(bodies: list[bytes], chance: random.Random) -> bytes:
    """A body with one to four things wrong."""
    body = bytearray(chance.choice(bodies))
    for _ in range(chance.randint(1, 4)):
        at, to = sorted(chance.randrange(len(body) + 1) for _ in range(2))
        match chance.randrange(6):
            case 0:
                body[at:at] = chance.choice(JUNK)
            case 1:
                del body[at : min(to, at + 20)]
            case 2:
                body[at:at] = body[at : min(to, at + 200)]
            case 3:
                del body[max(at, 40) :]
            case 4:
                body = bytearray(swapped(bytes(body), chance))
            case _:
                body = bytearray(retyped(bytes(body), bodies, chance))
        if not body:
            body = bytearray(b" ")
    return bytes(body)


def swapped(body: bytes, chance: random.Random) -> bytes:
    """One element's text replaced."""
    texts = [found.span() for found in re.finditer(rb"(?<=>)[^<>]*(?=</)", body)]
    if not texts:
        return body
    start, end = chance.choice(texts)
    return body[:start] + chance.choice((b"", b"x", b"-5", b"true", b"1e9", b"[NAS] ../..", b"ha-host")) + body[end:]


def retyped(body: bytes, bodies: list[bytes], chance: random.Random) -> bytes:
    """One type replaced by another."""
    types = re.findall(rb'type="([^"]+)"', b"".join(bodies))
    spots = [found.span(1) for found in re.finditer(rb'type="([^"]*)"', body)]
    if not spots or not types:
        return body
    start, end = chance.choice(spots)
    return body[:start] + chance.choice(types) + body[end:]


def fuzz(face: SoapFace, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    bodies, cookie = recorded(face, monkeypatch)
    chance = random.Random(20180401)
    context = ssl.create_default_context(cadata=face.certificate.decode())
    connection = http.client.HTTPSConnection(face.address, face.port, context=context, timeout=20)
    headers = {"Content-Type": "text/xml", "SOAPAction": '"urn:vim25/6.7"', "Cookie": cookie}
    statuses = set()
    for number in range(count):
        body = mutated(bodies, chance)
        connection.request("POST", "/sdk", body, headers)
        response = connection.getresponse()
        answer = response.read()
        statuses.add(response.status)
        assert response.status in (200, 500), (number, body)
        assert b"Traceback" not in answer
        assert b"SystemError" not in answer, (number, body, answer)
        ElementTree.fromstring(answer)
    connection.close()
    assert statuses == {200, 500}
    connection = http.client.HTTPSConnection(face.address, face.port, context=context, timeout=20)
    connection.request("GET", "/sdk/vimServiceVersions.xml")
    assert connection.getresponse().status == 200


def test_mutated_bodies_are_answered(face: SoapFace, monkeypatch: pytest.MonkeyPatch) -> None:
    fuzz(face, monkeypatch, 200)


@pytest.mark.thorough
@pytest.mark.timeout(300)
def test_many_mutated_bodies_are_answered(face: SoapFace, monkeypatch: pytest.MonkeyPatch) -> None:
    fuzz(face, monkeypatch, 2000)
