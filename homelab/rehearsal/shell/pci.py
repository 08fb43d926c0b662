"""The blocks of `esxcli hardware pci list`, and what lspci makes of the same devices.

The order of fields is recorded; values that the model does not know are assumed.
"""

from homelab.rehearsal.host.host import Host
from homelab.rehearsal.shell.layouts import Block
from homelab.rehearsal.state.hardware import PciModel
from homelab.rehearsal.state.parts import Nic

CLASS_NAMES = {"0200": "Ethernet controller", "0106": "SATA controller", "0c03": "USB controller"}


def pci_blocks(host: Host) -> tuple[Block, ...]:
    """A block for every device, ordered by address."""
    blocks = [_nic(host, nic) for nic in host.nics if nic.pci_id] + [_other(host, device) for device in host.model.pci]
    return tuple(sorted(blocks, key=lambda block: block.title or ""))


def devices(host: Host) -> list[tuple[str, str, str, str, str]]:
    """Address, class, ids, text and VMkernel name of every device, for lspci."""
    found = []
    for block in pci_blocks(host):
        values = {key: str(value) for key, value in block.fields.items()}
        ids = f"{values['Vendor ID'][2:]}:{values['Device ID'][2:]}"
        text = f"{values['Vendor Name']} {values['Device Name']}"
        found.append((values["Address"], values["Device Class"][2:], ids, text, values["VMkernel Name"]))
    return found


def _nic(host: Host, nic: Nic) -> Block:
    model = next((one for one in host.model.nics if one.name == nic.name), None)
    vendor, device = (model.vendor, model.device) if model else ("Unknown", nic.description)
    return _block(host, nic.pci_address, nic.pci_id, "0200", vendor, device, nic.name, nic.driver)


def _other(host: Host, device: PciModel) -> Block:
    holder = next((m.name for m in host.drivers.modules.values() if m.loaded and device.pci_id in m.claims), None)
    return _block(host, device.address, device.pci_id, device.device_class, device.vendor, device.device, "", holder)


def _block(
    host: Host, address: str, pci_id: str, device_class: str, vendor: str, device: str, name: str, holder: str | None
) -> Block:
    """One device's fields in the recorded order."""
    segment, bus, slot = address.split(":")
    slot, function = slot.split(".")
    vendor_id, device_id = pci_id.split(":")
    fields: dict[str, str | int | bool] = {
        "Address": address,
        "Segment": f"0x{segment}",
        "Bus": f"0x{bus}",
        "Slot": f"0x{slot}",
        "Function": f"0x{function}",
        "VMkernel Name": name,
        "Vendor Name": vendor,
        "Device Name": device,
        "Configured Owner": "Unknown",
        "Current Owner": "VMkernel",
        "Vendor ID": f"0x{vendor_id}",
        "Device ID": f"0x{device_id}",
        "SubVendor ID": "0x1458",
        "SubDevice ID": "0xe000",
        "Device Class": f"0x{device_class}",
        "Device Class Name": CLASS_NAMES.get(device_class, "Unclassified device"),
        "Programming Interface": "0x00",
        "Revision ID": "0x21",
        "Interrupt Line": "0xff",
        "IRQ": 255,
        "Interrupt Vector": "0x2b",
        "PCI Pin": "0x00",
        "Spawned Bus": "0x00",
        "Flags": "0x3201",
        "Module ID": 4096 + [*host.drivers.modules].index(holder) if holder in host.drivers.modules else -1,
        "Module Name": holder or "None",
        "Chassis": 0,
        "Physical Slot": 4294967295,
        "Slot Description": "",
        "Passthru Capable": True,
        "Parent Device": "PCI 0:0:0:0",
        "Dependent Device": f"PCI {int(segment, 16)}:{int(bus, 16)}:{int(slot, 16)}:{int(function, 16)}",
        "Reset Method": "Function reset",
        "FPT Sharable": True,
    }
    return Block(fields, address)
