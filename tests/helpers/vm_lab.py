"""Simulated hosts on one NAS that other people use too, and the steps image, vm and guest run on them.

As a program it runs the steps on a lab told by a file, and kills itself at one of its writes, as a power cut would.
"""

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyVmomi import vim

from homelab.engine.step import Step
from homelab.lab import EsxiHost, Lab
from homelab.output.documents import event_document, plan_document
from homelab.ports.files.home import HomeFiles, cache_folder
from homelab.ports.media.images import prepare_image
from homelab.ports.vsphere import Session, open_session
from homelab.rehearsal.guests.network import Loopback
from homelab.rehearsal.host.host import Host
from homelab.rehearsal.nas.nas import Nas
from homelab.rehearsal.outside.overlay import free_ports
from homelab.rehearsal.served_host import Lan, ServedHost
from homelab.rehearsal.state.machines import NoMachines
from homelab.rehearsal.state.parts import Timing
from homelab.rehearsal.state.vm import Vm
from homelab.rehearsal.storage.image import make_image
from homelab.rehearsal.storage.volumes import Volumes
from homelab.steps.product import all_steps
from homelab.steps.vms.image_paths import image_folder
from homelab.steps.vms.vm_move import MoveVms
from tests.helpers.one_host import FAST, Ended, bring, kill_at, plan
from tests.helpers.sample import sample_lab
from tests.helpers.soap_host import until

if TYPE_CHECKING:
    import pytest

VM_STEPS = ("image", "vm")
SERVER, EXPORT = "192.168.2.5", "/volume1/homelab"
NOTE = ".homelab-being-made"


def vm_lab(folder: Path, *, hosts: tuple[str, ...] = ("brix3",), vms: tuple[str, ...] = ("cp1",), **more: Any) -> Lab:
    """A lab on the loopback with a small image; `more` are fields of every VM."""
    image, sha256 = make_image(folder, "0123456789abcdef")
    ports = free_ports(hosts)
    esxi = [
        {"name": name, "address": "127.0.0.1", "password": "right", "api_port": api, "ssh_port": shell}
        | {"reboot_timeout": 20, "api_timeout": 5}
        for name, (api, shell) in ports.items()
    ]
    return sample_lab(
        esxi=esxi,
        image={"source": str(image), "sha256": sha256},
        control_plane=[
            {"name": name, "address": f"127.0.0.{21 + n}", "disk_gib": 1, "memory_mib": 512, **more}
            for n, name in enumerate(vms)
        ],
        load_balancers=[],
    )


@dataclass
class HostsOnNas:
    """The hosts that stand, by name, and the folder of all datastores."""

    lab: Lab
    served_hosts: Mapping[str, ServedHost]
    volumes: Path
    home: Path

    @property
    def nas(self) -> Path:
        """The folder behind the datastore `nas`."""
        return self.volumes / EXPORT.strip("/").replace("/", "_")

    def host(self, name: str = "brix3") -> Host:
        """The state of one host."""
        return self.served_hosts[name].host

    def bring(self, *names: str, lab: Lab | None = None) -> Ended:
        """Run the steps of those names (`vm` unless told) to their end."""
        return bring(lab or self.lab, self.home, steps(*names))

    def plan(self, *names: str, lab: Lab | None = None) -> Any:
        """What is planned by somebody who comes anew."""
        return plan(lab or self.lab, self.home, steps(*names))

    def lay_image(self, lab: Lab | None = None) -> None:
        """The image on the NAS, as an earlier run of the lab uploaded it."""
        made = prepare_image(self.lab.image, cache_folder(), lambda done, total: None)
        folder = self.nas / image_folder(lab or self.lab)
        folder.mkdir(parents=True)
        for file in (made.flat, made.descriptor):
            shutil.copy(file, folder / file.name)

    @contextmanager
    def session(self, name: str = "brix3") -> Iterator[Session]:
        """What the owner does at a host by a client of their own."""
        host: EsxiHost = self.lab.host(name)
        with open_session(host, HomeFiles(self.home / "owner"), lambda _: None) as session:
            yield session

    def put(self, path: str, content: bytes = b"mine\n") -> Path:
        """A file on the NAS that somebody laid there."""
        file = self.nas / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        return file

    def copy_vm(self, source: str, target: str, name: str, on: str = "brix3") -> Vm:
        """As in the host's web page: the folder copied, and the .vmx in it registered."""
        shutil.copytree(self.nas / source, self.nas / target, copy_function=copy_written)
        self.register(f"[nas] {target}/{source}.vmx", name, on)
        found = self.host(on).vms.named(name)
        assert found
        return found

    def register(self, path: str, name: str | None = None, on: str = "brix3") -> None:
        """A .vmx that lies on a datastore becomes a VM of a host: at its web page, where the API only reads."""
        if self.host(on).licence == "free":
            self.host(on).vms.register(path, name)
            return
        with self.session(on) as session:
            folder = session.managed(vim.Folder, "ha-folder-vm")
            self.run(folder.RegisterVM_Task(path, name, False, session.managed(vim.ResourcePool, "ha-root-pool")))

    def come_to_rest(self) -> None:
        """Wait until no host works on a task: one goes on when the run that issued it is killed.

        A VM that asks something waits for somebody, whatever becomes of the run.
        """

        def rests(served: ServedHost) -> bool:
            asking = [vm for vm in served.host.registered_vms.values() if vm.question]
            return len(asking) >= len([task for task in served.api.tasks.recent() if not task.completed])

        until(lambda: all(map(rests, self.served_hosts.values())))

    def run(self, task: Any) -> None:
        """Wait for a task of the owner's; its error is raised."""
        until(lambda: task.info.state in ("success", "error"))
        if task.info.error:
            raise task.info.error


def make_free(host: Host) -> None:
    """The free licence, and SSH switched on at the console for good: the API cannot start it."""
    host.licence = "free"
    host.services.set("TSM-SSH", running=True, policy="on")
    host.auto_backup.keep()


def steps(*names: str) -> tuple[Step, ...]:
    """The product's own steps of those names, in their order."""
    return tuple(step for step in all_steps() if step.name in (names or ("vm",)))


@contextmanager
def hosts_on_nas(
    lab: Lab, folder: Path, *, mounted: bool = True, timing: Timing = FAST, free: bool = False
) -> Iterator[HostsOnNas]:
    """The lab's hosts, on, with the NAS mounted; `free` ones have the free licence, and SSH on."""
    volumes = Volumes(folder / "volumes", Nas({SERVER}, {EXPORT}))
    served_hosts = {
        host.name: ServedHost(host, Loopback(), volumes, NoMachines(), timing, Lan.of_lab(lab)) for host in lab.esxi
    }
    with ExitStack() as stack:
        for served in served_hosts.values():
            if mounted:
                served.host.datastores.mount_nas(SERVER, EXPORT, "nas")
            if free:
                make_free(served.host)
            served.start()
            stack.callback(served.stop)
        yield HostsOnNas(lab, served_hosts, folder / "volumes", folder / "home")


@contextmanager
def vms_on_nas(
    lab: Lab, folder: Path, monkeypatch: "pytest.MonkeyPatch", *, made: bool = True, free: bool = False
) -> Iterator[HostsOnNas]:
    """The same with the image on the NAS and a cache of their own; the lab's VMs are `made` by a first run."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
    with hosts_on_nas(lab, folder, free=free) as at:
        at.lay_image()
        if made:
            ended = at.bring()
            assert not ended.counts.failed, ended.events
        yield at


def tree(top: Path, *left_out: str) -> dict[str, str]:
    """Every file below a folder with its SHA-256, and every folder; without those below `left_out`."""
    found = {}
    for path in sorted(top.rglob("*")):
        name = str(path.relative_to(top))
        if not any(name == one or name.startswith(f"{one}/") for one in left_out):
            found[name] = "folder" if path.is_dir() else digest(path)
    return found


def digest(file: Path) -> str:
    """The SHA-256 of a file's size and of what was ever written to it, with its place: disks are mostly holes."""
    told = hashlib.sha256()
    for start, data in written(file):
        # A hole and written zeros are the same to whoever reads.
        told.update(b"" if data.count(0) == len(data) else f"{start} ".encode() + data.rstrip(b"\0"))
    return f"{file.stat().st_size} {told.hexdigest()}"


def copy_written(source: str, target: str) -> None:
    """Copy one file, and leave its holes out."""
    with Path(target).open("wb") as copy:
        for start, data in written(Path(source)):
            copy.seek(start)
            copy.write(data)
        copy.truncate(Path(source).stat().st_size)


def written(file: Path) -> Iterator[tuple[int, bytes]]:
    """What was ever written to a file, with its place."""
    end = 0
    with file.open("rb") as content:
        while end < os.fstat(content.fileno()).st_size:
            try:
                start = os.lseek(content.fileno(), end, os.SEEK_DATA)
            except OSError:
                return  # nothing but a hole follows
            end = os.lseek(content.fileno(), start, os.SEEK_HOLE)
            yield start, os.pread(content.fileno(), end - start, start)


def plain(lab: Lab) -> dict[str, Any]:
    """The lab as JSON, with its passwords."""
    data = lab.model_dump(mode="json")
    for host, told in zip(lab.esxi, data["esxi"], strict=True):
        told["password"] = host.password.get_secret_value()
    return data


def main() -> None:
    """`vm_lab.py LAB.json HOME NUMBER MOMENT [HOST]`: the VMs move to HOST, or are made; 0 kills nothing."""
    lab_file, home, number, moment, *hosts = sys.argv[1:]
    if int(number):
        kill_at(int(number), moment)
    lab = Lab.model_validate(json.loads(Path(lab_file).read_text()))
    ended = bring(lab, Path(home), tuple(MoveVms(host) for host in hosts) or steps(*VM_STEPS))
    failed = [event_document(event) for event in ended.events if event.kind in ("failed", "blocked", "hand_over")]
    sys.stdout.write(json.dumps({"failed": failed, "left": plan_document(ended.plan)}, default=str))


if __name__ == "__main__":
    main()
