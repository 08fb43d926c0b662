"""Runs inside a lab: makes 50 VMs, and tells what a look at 20 of them costs the lab's process. By pyVmomi alone."""

import json
import os
import ssl
import sys
import time
from pathlib import Path
from typing import Any

from pyVim.connect import Disconnect, SmartConnect
from pyVim.task import WaitForTasks
from pyVmomi import vim, vmodl
from pyVmomi.SoapAdapter import Serialize

PATHS = [
    "name",
    "config.hardware.numCPU",
    "config.hardware.memoryMB",
    "config.files.vmPathName",
    "config.extraConfig",
    "runtime.powerState",
    "runtime.bootTime",
    "guest.toolsRunningStatus",
]
FIRST, ALL = 20, 50
# The kernel counts CPU time in ticks of 10 ms. The best of some rounds is the least disturbed one.
ROUNDS, CALLS = 5, 30


def main() -> None:
    hosts, nas, leader = json.loads(sys.argv[1]), json.loads(sys.argv[2]), sys.argv[3]
    first, *others = (connect(host) for host in hosts)
    for instance in (first, *others):
        mount(instance, nas)
    make(first, range(FIRST))
    for index, instance in enumerate(others):
        make(instance, range(FIRST + index, ALL, len(others)))
    spec = look_spec(first)
    collector = first.content.propertyCollector
    answer = collector.RetrievePropertiesEx([spec], vmodl.query.PropertyCollector.RetrieveOptions())
    spent = min(cpu_seconds_of_a_round(collector, spec, leader) for _ in range(ROUNDS))
    figures = {
        "vms": len(answer.objects),
        "cpu_ms": 1000 * spent / CALLS,
        "serializer_ms": 1000 * min(serializing_seconds(answer) for _ in range(ROUNDS)) / CALLS,
        "peak_mib": peak_mib(leader),
    }
    print(json.dumps(figures))
    for instance in (first, *others):
        Disconnect(instance)


def connect(host: dict[str, str]) -> Any:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    address, _, port = host["api"].removeprefix("https://").partition(":")
    password = Path(host["password_file"]).read_text().strip()
    return SmartConnect(host=address, port=int(port or 443), user=host["user"], pwd=password, sslContext=context)


def mount(instance: Any, nas: dict[str, str]) -> None:
    system = vim.HostSystem("ha-host", instance._stub)
    spec = vim.host.NasVolume.Specification(
        remoteHost=nas["server"], remotePath=nas["export"], localPath="nas", accessMode="readWrite", type="NFS"
    )
    system.configManager.datastoreSystem.CreateNasDatastore(spec)


def make(instance: Any, numbers: range) -> None:
    folder = vim.Folder("ha-folder-vm", instance._stub)
    pool = vim.ResourcePool("ha-root-pool", instance._stub)
    tasks = []
    for number in numbers:
        marks = [vim.option.OptionValue(key=f"homelab.{key}", value=f"vm{number}") for key in ("lab", "name", "digest")]
        config = vim.vm.ConfigSpec(
            name=f"vm{number}",
            numCPUs=2,
            memoryMB=4096,
            guestId="otherLinux64Guest",
            files=vim.vm.FileInfo(vmPathName="[nas]"),
            extraConfig=marks,
        )
        tasks.append(folder.CreateVM_Task(config=config, pool=pool))
    WaitForTasks(tasks, si=instance)


def look_spec(instance: Any) -> Any:
    collector = vmodl.query.PropertyCollector
    vms = collector.TraversalSpec(name="vm", type=vim.HostSystem, path="vm")
    start = collector.ObjectSpec(obj=vim.HostSystem("ha-host", instance._stub), skip=True, selectSet=[vms])
    return collector.FilterSpec(
        propSet=[collector.PropertySpec(type=vim.VirtualMachine, pathSet=PATHS)], objectSet=[start]
    )


def cpu_seconds_of_a_round(collector: Any, spec: Any, leader: str) -> float:
    before = cpu_seconds(leader)
    for _ in range(CALLS):
        collector.RetrievePropertiesEx([spec], vmodl.query.PropertyCollector.RetrieveOptions())
    return cpu_seconds(leader) - before


def serializing_seconds(answer: Any) -> float:
    """The floor of a look: what pyVmomi's serializer alone needs for the same answers."""
    began = time.process_time()
    for _ in range(CALLS):
        Serialize(answer)
    return time.process_time() - began


def cpu_seconds(pid: str) -> float:
    """User and system time of a process and of its threads, those that ended included."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_mib(pid: str) -> float:
    """The most memory that a process ever had."""
    [line] = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) / 1024


main()
