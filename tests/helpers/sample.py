"""The sample lab as models, without Ansible: for tests of what is pure."""

from datetime import UTC, datetime
from typing import Any

from homelab.formats.nfs.volume import volume_directory
from homelab.lab import Lab
from homelab.ports.vsphere import HostLook, ModuleLook, NasLook, NetworkLook, NicLook, PortGroupLook, VmLook
from homelab.ports.vsphere.host_look import CONFIGURED_SCRATCH, CURRENT_SCRATCH, PREFER_VMKLINUX

SHA = "a" * 64
BOOTED = datetime(2026, 1, 1, tzinfo=UTC)
DIRECTORY = volume_directory("192.168.2.5", "/volume1/homelab")
NAS = NasLook("nas", "192.168.2.5", "/volume1/homelab", "3", True, True, DIRECTORY)
SCRATCH = f"/vmfs/volumes/{DIRECTORY}/homelab/homelab/hosts/brix3"
LOGS = "Syslog.global.logDir"
OPTIONS = {
    LOGS: "[] /scratch/log",
    CONFIGURED_SCRATCH: "",
    CURRENT_SCRATCH: "/tmp/scratch",
    PREFER_VMKLINUX: False,
    "NFS.MaxVolumes": 8,
}
SETTLED = OPTIONS | {CONFIGURED_SCRATCH: SCRATCH, CURRENT_SCRATCH: SCRATCH}
NETWORK = NetworkLook(
    hostname="brix3",
    domain="lab.home.arpa",
    port_groups=(PortGroupLook("VM Network", 0, "vSwitch0"), PortGroupLook("Management Network", 0, "vSwitch0")),
    uplinks={"vSwitch0": ("vmnic0",)},
    management="vSwitch0",
)


def sample_lab(**changes: Any) -> Lab:
    """Four hosts, a NAS, three control planes, two balancers; `changes` replace top-level fields."""
    data: dict[str, Any] = {
        "name": "homelab",
        "domain": "lab.home.arpa",
        "network": "192.168.2.0/24",
        "gateway": "192.168.2.1",
        "api": {"vip": "192.168.2.100"},
        "image": {"source": "image.qcow2", "sha256": SHA},
        "guests": {},
        "kubernetes": {"version": "1.36.3"},
        "esxi": [{"name": f"brix{n}", "address": f"192.168.2.1{n}", "password": "secret"} for n in range(1, 5)],
        "nfs": [{"name": "nas", "server": "192.168.2.5", "export": "/volume1/homelab", "datastore": "nas"}],
        "control_plane": [{"name": f"cp{n}", "address": f"192.168.2.2{n}"} for n in range(1, 4)],
        "load_balancers": [{"name": f"lb{n}", "address": f"192.168.2.3{n}"} for n in range(1, 3)],
    }
    return Lab.model_validate(data | changes)


def host_look(
    *,
    version: str = "6.7.0",
    driver: str = "ne1000",
    modules: dict[str, tuple[bool, bool]] | None = None,
    nas: tuple[NasLook, ...] = (),
    vms: tuple[VmLook, ...] = (),
    boot_time: datetime = BOOTED,
    **more: Any,
) -> HostLook:
    """A GB-BRi7-8550 with its logs on the NAS; `modules` is NAME -> (loaded, enabled), `more` sets further fields."""
    found = {"ne1000": (driver == "ne1000", True), "e1000e": (driver == "e1000e", True)} | (modules or {})
    return HostLook(
        version=version,
        build="8169922",
        boot_time=boot_time,
        nics=(NicLook("vmnic0", driver, "8086:15d8", "00:11:22:33:44:55"),),
        modules={name: ModuleLook(*state) for name, state in found.items()},
        services={"TSM-SSH": False},
        nas=nas,
        vms=vms,
        **({"in_maintenance": False, "options": SETTLED, "network": NETWORK} | more),
    )


def vm_look(name: str, *, powered_on: bool = True, lab: str = "homelab", seed: str | None = None) -> VmLook:
    """A VM with our mark."""
    path = f"[nas] {name}/{name}.vmx"
    marks = {"homelab.lab": lab, "homelab.name": name, "homelab.id": f"id-of-{name} {path}"}
    return VmLook("1", name, powered_on, path, marks, seed, (), instance_uuid=f"id-of-{name}")
