"""The door to vSphere: sessions, one look at a host, tasks, and the few writes that the steps need."""

from homelab.ports.vsphere.host_look import (
    AutostartLook,
    DiskLook,
    HostLook,
    ModuleLook,
    NasLook,
    NetworkLook,
    NicLook,
    PortGroupLook,
    StartLook,
    VmfsLook,
)
from homelab.ports.vsphere.look import look
from homelab.ports.vsphere.session import Session, open_session
from homelab.ports.vsphere.vm_look import VmLook

__all__ = [
    "AutostartLook",
    "DiskLook",
    "HostLook",
    "ModuleLook",
    "NasLook",
    "NetworkLook",
    "NicLook",
    "PortGroupLook",
    "Session",
    "StartLook",
    "VmLook",
    "VmfsLook",
    "look",
    "open_session",
]
