"""The tree of a standalone host: folders, datacenter, compute resource, pool and networks."""

from collections.abc import Iterator
from operator import attrgetter
from typing import Any, ClassVar

from pyVmomi import VmomiSupport, vim

from homelab.rehearsal.host.host import Host
from homelab.rehearsal.soap import vm_spec
from homelab.rehearsal.soap.managed import Managed, ref, writes
from homelab.rehearsal.soap.wire import NAMESPACE, fault


class Entity(Managed):
    """What all objects of the tree have. Not a vSphere type by itself."""

    # Nothing is ever wrong here.
    STATUS: ClassVar = "green"
    overallStatus = configStatus = property(attrgetter("STATUS"))

    @property
    def recentTask(self) -> Any:
        """The last tasks about it."""
        return [ref("Task", task.key) for task in self._face.tasks.recent() if task.entity == self._ref]


class Folder(Entity):
    """The folders of a standalone host; they are fixed."""

    NAMES: ClassVar = {
        "ha-folder-root": "ha-folder-root",
        "ha-folder-vm": "vm",
        "ha-folder-host": "host",
        "ha-folder-datastore": "datastore",
        "ha-folder-network": "network",
    }
    TYPES: ClassVar = {
        "ha-folder-root": ["Datacenter"],
        "ha-folder-vm": ["VirtualMachine"],
        "ha-folder-host": ["ComputeResource"],
        "ha-folder-datastore": ["Datastore"],
        "ha-folder-network": ["Network"],
    }

    @classmethod
    def ids(cls, face: Any, caller: Any) -> Iterator[str]:
        """The five folders."""
        yield from cls.NAMES

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.NAMES[self._moid]

    @property
    def parent(self) -> Any:
        """The datacenter, or nothing for the root."""
        return None if self._moid == "ha-folder-root" else ref("Datacenter", "ha-datacenter")

    @property
    def childType(self) -> Any:
        """What the folder may hold."""
        return [VmomiSupport.GetWsdlType(NAMESPACE, name) for name in self.TYPES[self._moid]]

    @property
    def childEntity(self) -> Any:
        """What the folder holds."""
        host = self._host
        children = {
            "ha-folder-root": [ref("Datacenter", "ha-datacenter")],
            "ha-folder-vm": [ref("VirtualMachine", moid) for moid in host.registered_vms],
            "ha-folder-host": [ref("ComputeResource", "ha-compute-res")],
            "ha-folder-datastore": [ref("Datastore", mount.moref) for mount in host.datastores.mounts.values()],
            "ha-folder-network": networks(host),
        }
        return children[self._moid]

    @writes
    def CreateVM_Task(self, config: Any, pool: Any, host: Any) -> Any:
        """A new VM; its disks are attached or made as the specification says."""
        self._must_hold_vms()
        with self._host.lock:
            vm = vm_spec.create(self._host, config)
            self._place(vm.moid, pool)
            return ref("VirtualMachine", vm.moid)

    @writes
    def RegisterVM_Task(self, path: str, name: str | None, asTemplate: bool, pool: Any, host: Any) -> Any:
        """A VM that lies on a datastore comes into the inventory."""
        self._must_hold_vms()
        if asTemplate:
            raise fault("NotSupported", "A standalone host has no templates")
        vm = self._host.vms.register(path, name)
        self._place(vm.moid, pool)
        return ref("VirtualMachine", vm.moid)

    def _place(self, moid: str, pool: Any) -> None:
        if pool is not None and pool._moId in self._host.settings.pools:
            self._host.settings.vm_pools[moid] = pool._moId

    def _must_hold_vms(self) -> None:
        if self._moid != "ha-folder-vm":
            raise fault("NotSupported", "The operation is not supported on the object.")


class Datacenter(Entity):
    """The one datacenter."""

    moid = "ha-datacenter"

    @property
    def name(self) -> str:
        """Always the same on a standalone host."""
        return "ha-datacenter"

    @property
    def parent(self) -> Any:
        """The root folder."""
        return ref("Folder", "ha-folder-root")

    @property
    def vmFolder(self) -> Any:
        """Where VMs are."""
        return ref("Folder", "ha-folder-vm")

    @property
    def hostFolder(self) -> Any:
        """Where the host is."""
        return ref("Folder", "ha-folder-host")

    @property
    def datastoreFolder(self) -> Any:
        """Where datastores are."""
        return ref("Folder", "ha-folder-datastore")

    @property
    def networkFolder(self) -> Any:
        """Where networks are."""
        return ref("Folder", "ha-folder-network")

    @property
    def datastore(self) -> Any:
        """All datastores."""
        return [ref("Datastore", mount.moref) for mount in self._host.datastores.mounts.values()]

    @property
    def network(self) -> Any:
        """All networks."""
        return networks(self._host)


class ComputeResource(Entity):
    """The host as a place to run VMs."""

    moid = "ha-compute-res"

    @property
    def name(self) -> str:
        """The host's name."""
        return self._host.name

    @property
    def parent(self) -> Any:
        """The host folder."""
        return ref("Folder", "ha-folder-host")

    @property
    def host(self) -> Any:
        """The one host."""
        return [ref("HostSystem", "ha-host")]

    @property
    def resourcePool(self) -> Any:
        """The root pool."""
        return ref("ResourcePool", "ha-root-pool")

    @property
    def environmentBrowser(self) -> Any:
        """What VMs can be made."""
        return ref("EnvironmentBrowser", "ha-compute-res-env-browser")

    @property
    def datastore(self) -> Any:
        """All datastores."""
        return [ref("Datastore", mount.moref) for mount in self._host.datastores.mounts.values()]

    @property
    def network(self) -> Any:
        """All networks."""
        return networks(self._host)


class Network(Entity):
    """A port group that VMs can use."""

    @classmethod
    def ids(cls, face: Any, caller: Any) -> Iterator[str]:
        """One for each port group."""
        yield from (network_id(name) for name in face.host.network.vm_port_groups)

    @property
    def name(self) -> str:
        """The port group's name."""
        return self._moid.removeprefix("HaNetwork-")

    @property
    def parent(self) -> Any:
        """The network folder."""
        return ref("Folder", "ha-folder-network")

    @property
    def host(self) -> Any:
        """The one host."""
        return [ref("HostSystem", "ha-host")]

    @property
    def vm(self) -> Any:
        """The VMs with a NIC on it."""
        vms = self._host.registered_vms.values()
        return [ref("VirtualMachine", vm.moid) for vm in vms if any(nic.network == self.name for nic in vm.nics)]

    @property
    def summary(self) -> Any:
        """Name and whether it can be used."""
        return vim.Network.Summary(network=self._ref, name=self.name, accessible=True)


def children_of(face: Any, caller: Any, container: Any) -> list[Any]:
    """What lies right below an object of the tree."""
    item = face.find(container, caller)
    if isinstance(item, Folder):
        return list(item.childEntity)
    if item is not None and type(item).__name__ == "ResourcePool":
        return [*item.resourcePool, *item.vm]
    if isinstance(item, Datacenter):
        return [item.vmFolder, item.hostFolder, item.datastoreFolder, item.networkFolder]
    if isinstance(item, ComputeResource):
        return [*item.host, item.resourcePool]
    return []


def network_id(name: str) -> str:
    """The managed object id of a port group."""
    return f"HaNetwork-{name}"


def networks(host: Host) -> list[Any]:
    """The port groups for VMs."""
    return [ref("Network", network_id(name)) for name in host.network.vm_port_groups]
