"""One simulated host with both faces on the loopback, and the host steps run on it: in this process or in another.

As a program it runs the steps on a lab told by a file, and kills itself at one of its writes, as a power cut would.
"""

import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from homelab.engine.events import Counts, Event
from homelab.engine.plan import Plan
from homelab.engine.runner import Runner
from homelab.engine.step import Step
from homelab.lab import Lab
from homelab.output.documents import event_document, plan_document
from homelab.ports.ansible.inventory import Vault
from homelab.ports.files import record
from homelab.ports.files.home import HomeFiles
from homelab.ports.open_world import open_world
from homelab.rehearsal.guests.network import Loopback
from homelab.rehearsal.host.host import Host
from homelab.rehearsal.nas.nas import Nas
from homelab.rehearsal.outside.overlay import free_ports
from homelab.rehearsal.served_host import Lan, ServedHost
from homelab.rehearsal.state.machines import GuestSpec, NoMachines
from homelab.rehearsal.state.parts import Timing
from homelab.rehearsal.state.vm import Vm
from homelab.rehearsal.storage.volumes import Volumes
from homelab.steps.product import all_steps
from tests.helpers.sample import sample_lab

HOST_STEPS = ("first-boot", "nfs-datastore", "local-datastore", "usb-housekeeping", "driver-fix", "reboot")
FAST = Timing(boot_seconds=0.05, api_delay_seconds=0.0, shut_down_seconds=0.0)


def lab_of(name: str = "brix3", **more: Any) -> Lab:
    """A lab of one host on the loopback; `more` are fields of the host."""
    api, shell = free_ports([name])[name]
    host = {
        "name": name,
        "address": "127.0.0.1",
        "password": "right",
        "api_port": api,
        "ssh_port": shell,
        "reboot_timeout": 20,
        "api_timeout": 5,
        **more,
    }
    return sample_lab(esxi=[host], control_plane=[], load_balancers=[], ntp_servers=["pool.ntp.org"])


@contextmanager
def standing(lab: Lab, folder: Path, prepare: Callable[[Host], None] = lambda host: None) -> Iterator[ServedHost]:
    """The lab's one host, on; `prepare` sets its state before it is met."""
    volumes = Volumes(folder / "volumes", Nas({nas.server for nas in lab.nfs}, {nas.export for nas in lab.nfs}))
    served = ServedHost(lab.esxi[0], Loopback(), volumes, NoMachines(), FAST, Lan.of_lab(lab))
    prepare(served.host)
    served.start()
    try:
        yield served
    finally:
        served.stop()


def run_a_vm(host: Host, name: str = "db", *, deaf: bool = False) -> None:
    """A VM that is on; a deaf one does not shut down when it is asked to."""
    vm = Vm("1", name, "nas", f"[nas] {name}/{name}.vmx", powered_on=True, boot_time=datetime.now(UTC))
    host.registered_vms[vm.moid] = vm
    host.vm_power.machines.power_on(GuestSpec(name, Path("/nonexistent"), "", "", None, 1, 256))
    if deaf:
        host.vm_power.machines.shut_down = lambda name: None  # type: ignore[method-assign]
    threading.Thread(target=host.vm_power.watch, args=(vm, vm.boot_time), daemon=True).start()


class Ended:
    """How a run ended: its events, its counts, and what is left to plan."""

    def __init__(self, events: list[Event], counts: Counts, plan: Plan) -> None:
        self.events, self.counts, self.plan = events, counts, plan

    def said(self, kind: str, step: str) -> list[dict[str, Any]]:
        """What the events of one kind say of one step."""
        return [event_document(e) for e in self.events if e.kind == kind and e.node and e.node.step == step]


def bring(lab: Lab, home: Path, steps: tuple[Step, ...] = ()) -> Ended:
    """Run the host steps (all unless told) to their end, consenting to everything, and plan once more."""
    chosen = steps or tuple(step for step in all_steps() if step.name in HOST_STEPS)
    events: list[Event] = []
    files = HomeFiles(home)
    world = open_world(lab, [home], Vault(None), files, lambda _: None)
    runner = Runner(lab, chosen, world, events.append)
    counts = runner.run(Plan(), lambda node, change: True)
    record.finish(files)
    return Ended(events, counts, plan(lab, home, chosen))


def plan(lab: Lab, home: Path, steps: tuple[Step, ...]) -> Plan:
    """What is planned by somebody who comes anew."""
    world = open_world(lab, [home], Vault(None), HomeFiles(home), lambda _: None)
    return Runner(lab, steps, world, lambda _: None).plan()


def kill_at(number: int, moment: str) -> None:
    """End this process by SIGKILL at its `number`-th write, before it is sent or after it was answered."""
    original, count, lock = record.recorded, 0, threading.Lock()

    @contextmanager
    def deadly(files: HomeFiles, kind: str, target: str, what: str, *, writes: bool) -> Iterator[None]:
        nonlocal count
        with lock:
            count += writes
            due = writes and count == number
        if due and moment == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        try:
            with original(files, kind, target, what, writes=writes):
                yield
        finally:
            # Also after an answer that is a fault, such as that a folder is there already.
            if due:
                os.kill(os.getpid(), signal.SIGKILL)

    for module in list(sys.modules.values()):
        if getattr(module, "recorded", None) is original:
            module.recorded = deadly  # type: ignore[attr-defined]


def main() -> None:
    """`one_host.py LAB.json HOME NUMBER MOMENT`; a number of 0 kills nothing."""
    lab_file, home, number, moment = sys.argv[1:]
    if int(number):
        kill_at(int(number), moment)
    lab = Lab.model_validate(json.loads(Path(lab_file).read_text()))
    ended = bring(lab, Path(home))
    failed = [event_document(event) for event in ended.events if event.kind in ("failed", "blocked", "hand_over")]
    sys.stdout.write(json.dumps({"failed": failed, "left": plan_document(ended.plan)}, default=str))


if __name__ == "__main__":
    main()
