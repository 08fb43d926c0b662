"""What the lab's name and a VM's name make of it, always the same: its MAC, its instance UUID, its folder. Pure."""

import hashlib
import uuid

from homelab.lab import Lab, Vm
from homelab.steps.vms.vm_folder import Making

# The namespace of our VMs' instance UUIDs.
INSTANCES = uuid.UUID("6f1c53a8-6a5e-4c8f-9d5b-2f6a0c5d7e11")


def mac_of(lab: Lab, vm: Vm) -> str:
    """The VM's MAC: the inventory's, else one of VMware's range for manual addresses, always the same for this VM."""
    if vm.mac:
        return vm.mac
    digest = hashlib.sha256(f"{lab.name}/{vm.short_name}".encode()).digest()
    return f"00:50:56:{digest[0] & 0x3F:02x}:{digest[1]:02x}:{digest[2]:02x}"


def making_of(lab: Lab, vm: Vm) -> Making:
    """How the lab makes a VM: always with the same instance UUID."""
    datastore, name = lab.datastore_of(vm), vm.short_name
    instance = str(uuid.uuid5(INSTANCES, f"{lab.name}/{name}"))
    return Making(lab.name, name, instance, datastore, linked=vm.clone == "linked")
