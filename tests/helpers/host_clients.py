"""A simulated host and its clients: pyVmomi on its API, and its shell."""

import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pyVim.connect import SmartConnect
from pyVmomi import vim

from homelab.rehearsal.host.host import Host
from homelab.rehearsal.nas.nas import Nas
from homelab.rehearsal.shell import dispatch
from homelab.rehearsal.soap import SoapFace
from homelab.rehearsal.state.hardware import MODELS
from homelab.rehearsal.state.machines import NoMachines
from homelab.rehearsal.state.parts import Timing
from homelab.rehearsal.storage.volumes import Volumes

NAS, SHARE = "192.168.1.20", "/volume1/homelab"
QUICK = Timing(boot_seconds=0.05, api_delay_seconds=0, shut_down_seconds=0)


class HostClients:
    """A host, its face at `address`, pyVmomi logged in, and a shell; `stop` ends it."""

    def __init__(self, work: Path, address: str, model: str = "GB-BRi7-8550") -> None:
        volumes = Volumes(work, Nas({NAS}, {SHARE}))
        self.host = Host(
            "brix1", address, MODELS[model], "root", "secret", volumes=volumes, machines=NoMachines(), timing=QUICK
        )
        self.face = SoapFace(self.host, port=0)
        self.face.start()
        self.tls = ssl.create_default_context(cadata=self.face.certificate.decode())
        self.instance = SmartConnect(
            host=address, port=self.face.port, user="root", pwd="secret", sslContext=self.tls, httpConnectionTimeout=20
        )
        self.content = self.instance.RetrieveContent()
        self.system = vim.HostSystem("ha-host", self.instance._stub)
        self.managers = self.system.configManager

    def stop(self) -> None:
        self.face.stop()
        self.host.power.stop()

    def shell(self, line: str) -> tuple[str, str, int]:
        with self.host.lock:
            answer = dispatch.run(self.host, line, Counter())
        return answer.out, answer.err, answer.status

    def says(self, line: str) -> str:
        out, err, status = self.shell(line)
        assert (err, status) == ("", 0), err
        return out

    def result(self, task: Any) -> Any:
        until(lambda: task.info.state in ("success", "error"))
        if task.info.error:
            raise task.info.error
        return task.info.result

    def boot(self, *, clean: bool = True) -> None:
        """Go down and come up, whatever the face does meanwhile."""
        boots = self.host.power.boots
        self.host.power.reboot() if clean else self.host.power.cut()
        until(lambda: self.host.power.boots == boots + 1)


def until(condition: Callable[[], Any], seconds: float = 10) -> None:
    deadline, pause = time.monotonic() + seconds, threading.Event()
    while not condition():
        assert time.monotonic() < deadline
        pause.wait(0.01)
