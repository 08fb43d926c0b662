"""Linked VMs of the inventory that no host has registered: their disks sit on a base all the same."""

from homelab.errors import HomelabError
from homelab.lab import Lab, Vm
from homelab.ports.world import World
from homelab.steps.vms.vm_identity import making_of


def unregistered_children(world: World, lab: Lab, via: str) -> tuple[str, ...]:
    """Those whose files lie on the shared datastore, as the host `via` sees it.

    A move that was killed leaves one so, and so does whoever unregisters a VM in a host's web page.
    """
    shared = [vm for vm in lab.vms if vm.managed and lab.datastore_of(vm) == lab.nfs[0].datastore]
    left = [vm for vm in shared if not is_somewhere(world, vm.name) and _has_child(world, lab, via, vm)]
    return tuple(f"{vm.name}, which no host has registered," for vm in left)


def is_somewhere(world: World, name: str) -> bool:
    """Whether a host has it; one that cannot be told which it is, for two carry its mark, is on a host."""
    try:
        return world.vm(name) is not None
    except HomelabError:
        return True


def _has_child(world: World, lab: Lab, via: str, vm: Vm) -> bool:
    making = making_of(lab, vm)
    folder = world.reader(via).folder(making.datastore, making.vm)
    return folder is not None and any(name in folder.files for name in making.child_data)
