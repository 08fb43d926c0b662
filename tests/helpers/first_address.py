"""Runs inside a lab: gives a host that DHCP put at FIRST its own address, and tells what a client saw meanwhile."""

import json
import socket
import sys
import time
from pathlib import Path
from typing import Any

from pyVim.connect import SmartConnect
from pyVmomi import vim

PATIENCE = 2
DEADLINE = 20


def main() -> None:
    first, own, password_file = sys.argv[1:]
    password = Path(password_file).read_text().strip()
    told: dict[str, Any] = {"own_before": answers(own)}
    system = meet(first, password)
    told["name"] = system.name
    ip = vim.host.IpConfig(dhcp=False, ipAddress=own, subnetMask="255.255.255.0")
    try:
        system.configManager.networkSystem.UpdateVirtualNic("vmk0", vim.host.VirtualNic.Specification(ip=ip))
        told["answer"] = "an answer"
    except OSError as error:
        told["answer"] = type(error).__name__
    deadline = time.monotonic() + DEADLINE
    while not answers(own) and time.monotonic() < deadline:
        time.sleep(0.1)
    told["first_after"] = answers(first)
    told["address"] = meet(own, password).config.network.vnic[0].spec.ip.ipAddress
    print(json.dumps(told))


def meet(address: str, password: str) -> Any:
    instance = SmartConnect(
        host=address, user="root", pwd=password, disableSslCertValidation=True, httpConnectionTimeout=PATIENCE
    )
    return vim.HostSystem("ha-host", instance._stub)


def answers(address: str) -> bool:
    try:
        socket.create_connection((address, 443), 1).close()
    except OSError:
        return False
    return True


main()
