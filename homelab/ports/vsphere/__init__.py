"""The door to vSphere: sessions, one look at a host, tasks, and the few writes that the steps need."""

from homelab.ports.vsphere.look import HostLook, ModuleLook, NasLook, NicLook, VmLook, look
from homelab.ports.vsphere.session import Session, open_session

__all__ = ["HostLook", "ModuleLook", "NasLook", "NicLook", "Session", "VmLook", "look", "open_session"]
