"""Finding objects by what is known of them."""

from typing import Any
from urllib.parse import unquote

from homelab.rehearsal.soap import properties
from homelab.rehearsal.soap.managed import Managed, ref
from homelab.rehearsal.soap.objects.inventory import children_of
from homelab.rehearsal.state.vm import Vm


class SearchIndex(Managed):
    """Each search has a form for the first and one for all. VMs have no known address: their tools report none."""

    moid = "ha-searchindex"

    def FindByUuid(self, datacenter: Any, uuid: str, vmSearch: bool, instanceUuid: bool | None) -> Any:
        """A VM by its BIOS UUID or its instance's, or the host by its hardware's."""
        return _first(self.FindAllByUuid(datacenter, uuid, vmSearch, instanceUuid))

    def FindAllByUuid(self, datacenter: Any, uuid: str, vmSearch: bool, instanceUuid: bool | None) -> Any:
        """All of them: copies can have the same."""
        if not vmSearch:
            return self._hosts(not instanceUuid and uuid.lower() == self._host.system_uuid)
        with self._host.lock:
            vms = list(self._host.registered_vms.values())
        return [_ref(vm) for vm in vms if (vm.instance_uuid if instanceUuid else vm.uuid).lower() == uuid.lower()]

    def FindByDatastorePath(self, datacenter: Any, path: str) -> Any:
        """The VM of a .vmx."""
        with self._host.lock:
            return _first([_ref(vm) for vm in self._host.registered_vms.values() if vm.vmx_path == path])

    def FindByDnsName(self, datacenter: Any, dnsName: str, vmSearch: bool) -> Any:
        """The host by its name."""
        return _first(self.FindAllByDnsName(datacenter, dnsName, vmSearch))

    def FindAllByDnsName(self, datacenter: Any, dnsName: str, vmSearch: bool) -> Any:
        """The host by its name."""
        network = self._host.settings.network
        return self._hosts(not vmSearch and dnsName.lower() in (network.full_name.lower(), network.host_name.lower()))

    def FindByIp(self, datacenter: Any, ip: str, vmSearch: bool) -> Any:
        """The host by its address."""
        return _first(self.FindAllByIp(datacenter, ip, vmSearch))

    def FindAllByIp(self, datacenter: Any, ip: str, vmSearch: bool) -> Any:
        """The host by its address."""
        return self._hosts(not vmSearch and ip == self._host.settings.network.address)

    def FindByInventoryPath(self, inventoryPath: str) -> Any:
        """An object of the tree by the names on the way to it from the root, `ha-datacenter/vm/cp1`; or nothing."""
        here = ref("Folder", "ha-folder-root")
        for name in inventoryPath.strip("/").split("/"):
            here = self.FindChild(here, unquote(name)) if here else None
        return here

    def FindChild(self, entity: Any, name: str) -> Any:
        """What is called so right below an object of the tree; or nothing."""
        with self._host.lock:
            below = children_of(self._face, self._caller, entity)
            return _first([item for item in below if self._name_of(item) == name])

    def _hosts(self, found: bool) -> list[Any]:
        return [ref("HostSystem", "ha-host")] if found else []

    def _name_of(self, target: Any) -> Any:
        found = self._face.find(target, self._caller)
        return properties.read(found, "name") if found else None


def _ref(vm: Vm) -> Any:
    return ref("VirtualMachine", vm.moid)


def _first(found: list[Any]) -> Any:
    return found[0] if found else None
