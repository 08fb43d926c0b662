"""The esxcli commands about running VMs, their ports and the switches, each named after its path.

Names of structures and fields as a real host tells them (govmomi's capture, simulator/esx/type_info.go).
"""

from homelab.rehearsal.host.host import Host
from homelab.rehearsal.shell.answers import table
from homelab.rehearsal.shell.layouts import Block, Blocks, Output, Value
from homelab.rehearsal.state.vm import Vm
from homelab.rehearsal.storage.datastores import VOLUMES
from homelab.rehearsal.storage.paths import split

FIRST_WORLD = 2_098_000
PORTS = 1792


def vm_process_list(host: Host) -> Output:
    """The VMs that run, a block each."""
    return Blocks("VirtualMachine", tuple(Block(_process(host, vm), vm.name) for vm in _running(host)))


def network_vm_list(host: Host) -> Output:
    """The VMs that run, with their port groups."""
    rows = tuple((_world(vm), vm.name, len(vm.nics), tuple(nic.network for nic in vm.nics)) for vm in _running(host))
    return table("VM", ("World ID", "Name", "Num Ports", "Networks"), rows)


def network_vswitch_standard_list(host: Host, vswitch_name: str | None = None) -> Output:
    """The standard switches, a block each."""
    names = [name for name in host.settings.switches if vswitch_name in (None, name)]
    return Blocks("VirtualSwitch", tuple(Block(_switch(host, name), name) for name in names))


def _switch(host: Host, name: str) -> dict[str, Value]:
    groups = [group for group in host.network.port_groups if host.settings.switch_of(group) == name]
    switch = host.settings.switches[name]
    discovery = switch.bridge["linkDiscoveryProtocolConfig"] if switch.uplinks else {}
    beacon = switch.in_force["nicTeaming"]["failureCriteria"]["checkBeacon"]
    ports = sum(nic.network in groups for vm in _running(host) for nic in vm.nics)
    return {
        "Name": name,
        "Class": "etherswitch" if host.version.startswith("6.0") else "cswitch",
        "Num Ports": PORTS,
        "Used Ports": 1 + len(switch.uplinks) + ports,
        "Configured Ports": switch.ports,
        "MTU": switch.mtu,
        "CDP Status": discovery.get("operation", "listen"),
        "Beacon Enabled": beacon,
        "Beacon Interval": switch.bridge["beacon"]["interval"],
        "Beacon Threshold": 3,
        "Beacon Required By": "",
        "Uplinks": tuple(switch.uplinks),
        "Portgroups": tuple(groups),
    }


def _process(host: Host, vm: Vm) -> dict[str, Value]:
    world = _world(vm)
    store, path = split(vm.vmx_path)
    mount = host.datastores.mounts.get(store)
    plain = vm.uuid.replace("-", "")
    octets = [plain[place : place + 2] for place in range(0, len(plain), 2)]
    return {
        "World ID": world,
        "Process ID": 0,
        "VMX Cartel ID": world - 1,
        "UUID": f"{' '.join(octets[:8])}-{' '.join(octets[8:])}",
        "Display Name": vm.name,
        "Config File": f"{VOLUMES}/{mount.volume.directory if mount else store}/{path}",
    }


def _running(host: Host) -> list[Vm]:
    return [vm for vm in host.registered_vms.values() if vm.powered_on]


def _world(vm: Vm) -> int:
    return FIRST_WORLD + 10 * int(vm.moid)
