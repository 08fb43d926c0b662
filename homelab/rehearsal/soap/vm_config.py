"""`config` of a VM."""

from typing import Any

from pyVmomi import vim

from homelab.rehearsal.host.host import Host
from homelab.rehearsal.soap import vm_kept, vm_shown
from homelab.rehearsal.soap.managed import data
from homelab.rehearsal.state.guest_names import full_name
from homelab.rehearsal.state.vm import Vm


def config_of(host: Host, vm: Vm) -> Any:
    """How a VM is configured."""
    folder = vm.folder + "/"
    made = vm_kept.kept(vm)
    made.changeVersion, made.name, made.version = vm.change_version, vm.name, vm.hardware_version
    made.uuid, made.instanceUuid, made.locationId = vm.uuid, vm.instance_uuid, vm.location
    made.guestId, made.guestFullName = vm.guest_id, full_name(vm.guest_id)
    made.annotation, made.firmware = vm.annotation, vm.firmware
    made.files = data(
        vim.vm.FileInfo,
        vmPathName=vm.vmx_path,
        snapshotDirectory=folder,
        suspendDirectory=folder,
        logDirectory=folder,
    )
    made.hardware = data(
        vim.vm.VirtualHardware,
        numCPU=vm.cpus,
        numCoresPerSocket=vm_kept.cores_per_socket(vm),
        memoryMB=vm.memory_mib,
        virtualICH7MPresent=False,
        virtualSMCPresent=False,
        device=vm_shown.devices(host, vm),
    )
    made.extraConfig = [data(vim.option.OptionValue, key=key, value=value) for key, value in vm.extra_config.items()]
    return made
