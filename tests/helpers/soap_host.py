"""A simulated host with a datastore, its face over TLS, and pyVmomi logged in."""

import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pyVim.connect import SmartConnect
from pyVmomi import vim

from homelab.rehearsal.host.host import Host
from homelab.rehearsal.nas.nas import Nas
from homelab.rehearsal.soap import SoapFace
from homelab.rehearsal.state.hardware import MODELS
from homelab.rehearsal.state.machines import GuestSpec, NoMachines
from homelab.rehearsal.state.parts import Timing
from homelab.rehearsal.storage.volumes import Volumes

NAS, SHARE = "192.168.1.20", "/volume1/homelab"
MIB = 1 << 20


def until(condition: Callable[[], Any], seconds: float = 10) -> None:
    """Poll a condition."""
    deadline, pause = time.monotonic() + seconds, threading.Event()
    while not condition():
        assert time.monotonic() < deadline
        pause.wait(0.01)


class Clock:
    """A clock that a test sets forward."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.ahead


class Seen(NoMachines):
    """Machines that remember what they were switched on with."""

    def __init__(self) -> None:
        super().__init__()
        self.specs: list[GuestSpec] = []

    def power_on(self, spec: GuestSpec) -> None:
        """Remember."""
        super().power_on(spec)
        self.specs.append(spec)


class SoapHost:
    """A host at `address`, its datastore `NAS`, and pyVmomi."""

    def __init__(self, work: Path, address: str = "127.0.0.74", model: str = "GB-BRi7-8550") -> None:
        self.clock, self.machines, self.address = Clock(), Seen(), address
        self.host = Host(
            "brix1",
            address,
            MODELS[model],
            "root",
            "secret",
            volumes=Volumes(work, Nas({NAS}, {SHARE})),
            machines=self.machines,
            timing=Timing(boot_seconds=0.05, api_delay_seconds=0, shut_down_seconds=0),
            clock=self.clock,
        )
        self.host.datastores.mount_nas(NAS, SHARE, "NAS")
        self.face = SoapFace(self.host, port=0)
        self.face.start()
        self.tls = ssl.create_default_context(cadata=self.face.certificate.decode())
        self.instance = SmartConnect(host=address, port=self.face.port, user="root", pwd="secret", sslContext=self.tls)
        self.stub = self.instance._stub
        self.content = self.instance.RetrieveContent()
        self.pool = vim.ResourcePool("ha-root-pool", self.stub)
        self.folder = vim.Folder("ha-folder-vm", self.stub)
        self.datacenter = vim.Datacenter("ha-datacenter", self.stub)

    def close(self) -> None:
        """The end."""
        self.face.stop()
        self.host.power.stop()

    def result(self, task: Any) -> Any:
        """A task's result; its error is raised."""
        until(lambda: task.info.state in ("success", "error"))
        if task.info.error:
            raise task.info.error
        return task.info.result

    def file(self, path: str) -> Path:
        """The file behind `[NAS] PATH`."""
        return self.host.datastores.path_of(f"[NAS] {path}")

    def make_vm(self, name: str, *changes: Any, **fields: Any) -> Any:
        """A new VM."""
        return self.result(self.folder.CreateVM_Task(config(name, *changes, **fields), self.pool))

    def post(self, envelope: str) -> str:
        """The answer to a call that pyVmomi cannot make."""
        headers = {"Cookie": self.stub.cookie.split(";")[0], "SOAPAction": "urn:internalvim25/6.7"}
        url = f"https://{self.address}:{self.face.port}/sdk"
        request = urllib.request.Request(url, data=envelope.encode(), headers=headers)
        with urllib.request.urlopen(request, context=self.tls) as answer:
            return str(answer.read().decode())

    def send(self, url: str, data: Any, method: str = "POST", headers: dict[str, str] | None = None) -> int:
        """The status of an upload."""
        url = url.replace("*", self.address)
        request = urllib.request.Request(url, data=data, method=method, headers=headers or {})
        try:
            with urllib.request.urlopen(request, context=self.tls) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code


def config(name: str, *changes: Any, **fields: Any) -> Any:
    """A VM's specification."""
    files = vim.vm.FileInfo(vmPathName="[NAS]")
    return vim.vm.ConfigSpec(name=name, memoryMB=64, files=files, deviceChange=list(changes), **fields)


def controller() -> Any:
    """A SCSI controller to add."""
    device = vim.vm.device.ParaVirtualSCSIController(key=-1, busNumber=0, sharedBus="noSharing")
    return vim.vm.device.VirtualDeviceSpec(operation="add", device=device)


def disk(size: int = 0, path: str = "", *, create: bool = True, parent: str | None = None, unit: int = 0) -> Any:
    """A disk to add to controller -1; `size` in bytes."""
    backing = vim.vm.device.VirtualDisk.FlatVer2BackingInfo(fileName=path, diskMode="persistent", thinProvisioned=True)
    if parent:
        backing.parent = vim.vm.device.VirtualDisk.FlatVer2BackingInfo(fileName=parent, diskMode="persistent")
    device = vim.vm.device.VirtualDisk(key=-2, controllerKey=-1, unitNumber=unit, backing=backing)
    device.capacityInKB = size // 1024
    return vim.vm.device.VirtualDeviceSpec(operation="add", fileOperation="create" if create else None, device=device)
