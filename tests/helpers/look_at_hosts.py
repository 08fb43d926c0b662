"""Runs inside the lab: prints how its hosts stand, asked by pyVmomi itself, not by our port."""

import json
import ssl
import sys
from pathlib import Path

from pyVim.connect import Disconnect, SmartConnect


def main() -> None:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    found = {}
    for host in json.loads(sys.argv[1]):
        address = host["api"].removeprefix("https://")
        password = Path(host["password_file"]).read_text().strip()
        instance = SmartConnect(host=address, user=host["user"], pwd=password, sslContext=context)
        [system] = instance.content.rootFolder.childEntity[0].hostFolder.childEntity[0].host
        found[host["name"]] = {
            "booted": system.runtime.bootTime.timestamp(),
            "maintenance": system.runtime.inMaintenanceMode,
            "scratch": {o.key: o.value for o in system.config.option}["ScratchConfig.CurrentScratchLocation"],
            "name": f"{system.config.network.dnsConfig.hostName}.{system.config.network.dnsConfig.domainName}",
            "driver": system.config.network.pnic[0].driver,
            "modules": {m.name: [m.loaded, m.enabled] for m in system.configManager.kernelModuleSystem.QueryModules()},
            "ssh": {s.key: s.running for s in system.config.service.service}["TSM-SSH"],
            "mounts": [[d.info.nas.remoteHost, d.info.nas.remotePath, d.name] for d in system.datastore],
            "vms": {vm.name: vm.runtime.powerState for vm in system.vm},
            "seeds": [
                device.backing.fileName
                for vm in system.vm
                for device in vm.config.hardware.device
                if hasattr(getattr(device, "backing", None), "fileName") and device.backing.fileName.endswith(".iso")
            ],
        }
        Disconnect(instance)
    print(json.dumps(found))


main()
