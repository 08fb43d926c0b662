"""Managers that a real host has and the rehearsal does not: each answers NotSupported to every method and property.

Names and ids are those of a real host (govmomi's capture, simulator/esx/). A client that finds no manager at all takes
that for an old host, or stumbles; one that is told so can say it.
"""

from typing import Any

from homelab.rehearsal.soap.managed import Managed
from homelab.rehearsal.soap.wire import fault

# Property of the service's content, or of HostSystem.configManager: type and id.
CONTENT = {
    "cryptoManager": ("CryptoManager", "ha-crypto-manager"),
    "datastoreNamespaceManager": ("DatastoreNamespaceManager", "ha-datastore-namespace-manager"),
    "dvSwitchManager": ("DistributedVirtualSwitchManager", "ha-dvsmanager"),
    "guestOperationsManager": ("GuestOperationsManager", "ha-guest-operations-manager"),
    "localizationManager": ("LocalizationManager", "ha-l10n-manager"),
    "serviceManager": ("ServiceManager", "ha-servicemanager"),
    "storageResourceManager": ("StorageResourceManager", "ha-storage-resource-manager"),
    "userDirectory": ("UserDirectory", "ha-user-directory"),
}
HOST = {
    "authenticationManager": ("HostAuthenticationManager", "ha-auth-manager"),
    "cpuScheduler": ("HostCpuSchedulerSystem", "cpuSchedulerSystem"),
    "diagnosticSystem": ("HostDiagnosticSystem", "diagnosticsystem"),
    "graphicsManager": ("HostGraphicsManager", "ha-graphics-manager"),
    "healthStatusSystem": ("HostHealthStatusSystem", "healthStatusSystem"),
    "hostAccessManager": ("HostAccessManager", "ha-host-access-manager"),
    "iscsiManager": ("IscsiManager", "iscsiManager"),
    "memoryManager": ("HostMemorySystem", "memoryManagerSystem"),
    "messageBusProxy": ("MessageBusProxy", "messageBusProxy"),
    "patchManager": ("HostPatchManager", "ha-host-patch-manager"),
    "pciPassthruSystem": ("HostPciPassthruSystem", "ha-pcipassthrusystem"),
    "powerSystem": ("HostPowerSystem", "ha-power-system"),
    "snmpSystem": ("HostSnmpSystem", "ha-snmp-agent"),
    "userDirectory": ("UserDirectory", "ha-user-directory"),
    "vFlashManager": ("HostVFlashManager", "ha-vflash-manager"),
    "vmotionSystem": ("HostVMotionSystem", "ha-vmotion-system"),
    "vsanInternalSystem": ("HostVsanInternalSystem", "ha-vsan-internal-system"),
}


class Absent(Managed):
    """A manager that is not simulated. Not a vSphere type by itself."""

    def _unfilled(self, name: str) -> Any:
        raise fault("NotSupported", f"{type(self).__name__}.{name} is not part of the rehearsal")


def _classes() -> dict[str, Any]:
    kinds = dict([*CONTENT.values(), *HOST.values()])
    return {kind: type(kind, (Absent,), {"moid": moid, "__doc__": "Not simulated."}) for kind, moid in kinds.items()}


CLASSES = _classes()
