"""A VM's NICs, and how devices are plugged in."""

from functools import partial
from typing import Any

from homelab.rehearsal.host.host import Host
from homelab.rehearsal.soap.device_faults import bad
from homelab.rehearsal.soap.vm_disk_acts import DiskActs
from homelab.rehearsal.soap.wire import fault
from homelab.rehearsal.state.vm import Vm, VmCdRom, VmNic
from homelab.rehearsal.vms.states import must_be

NICS = ("Vmxnet3", "E1000", "E1000e")


def add(host: Host, vm: Vm, device: Any) -> None:
    """A new NIC."""
    kind = type(device)._wsdlName.removeprefix("Virtual")
    if kind not in NICS:
        raise fault("NotSupported", f"{type(device)._wsdlName} is not part of the rehearsal")
    key = max((nic.key for nic in vm.nics), default=3999) + 1
    nic = VmNic(key, "", _network(host, device), kind=kind)
    manual = _is_manual(device, "manual" if device.macAddress else "generated")
    if manual != bool(device.macAddress):
        raise bad("InvalidDeviceSpec", "macAddress")
    if manual:
        nic.mac, nic.address_type = device.macAddress.lower(), "manual"
    nic.connected = vm.powered_on
    connect(vm, nic, device)
    vm.nics.append(nic)


def edit(host: Host, vm: Vm, nic: VmNic, device: Any, acts: DiskActs) -> None:
    """Another network, address or plug; a VM that runs keeps its addresses."""
    if device.backing is not None:
        nic.network = _network(host, device)
    mac, manual = (device.macAddress or nic.mac).lower(), _is_manual(device, nic.address_type)
    if mac != nic.mac and not manual:
        raise bad("InvalidDeviceSpec", "macAddress")
    if mac != nic.mac or manual != (nic.address_type == "manual"):
        must_be(vm, on=False, wanted="poweredOff")
        nic.mac, nic.address_type = (mac, "manual") if manual else ("", "generated")
    connect(vm, nic, device)
    if vm.powered_on and nic is vm.nics[0]:
        acts.later(partial(host.vm_power.machines.plug, vm.machine_name, connected=nic.connected))


def _is_manual(device: Any, usual: str) -> bool:
    """Whether a client chooses a NIC's address; a vCenter that would assign it is not there."""
    kind = (device.addressType or usual).lower()
    if kind not in ("manual", "generated", "assigned"):
        raise bad("InvalidDeviceSpec", "addressType")
    return bool(kind == "manual")


def connect(vm: Vm, device: VmNic | VmCdRom, said: Any) -> None:
    """What a client says of a device's plug; it is in only while the VM runs."""
    if isinstance(device, VmNic):
        device.wake_on_lan = device.wake_on_lan if said.wakeOnLanEnabled is None else said.wakeOnLanEnabled
        direct = said.uptCompatibilityEnabled
        device.direct_path = device.direct_path if direct is None else direct
    plug = said.connectable
    if plug is not None:
        device.start_connected = plug.startConnected
        device.connected = vm.powered_on and plug.connected
        device.guest_control = plug.allowGuestControl


def _network(host: Host, device: Any) -> str:
    """The port group that a NIC is plugged into; a fault where the host has none of that name."""
    network = getattr(device.backing, "deviceName", None)
    if network not in host.network.vm_port_groups:
        raise bad("InvalidDeviceBacking", "backing.deviceName")
    return str(network)
