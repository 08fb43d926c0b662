"""Resource pools: the root, and those below it."""

from collections.abc import Iterator
from typing import Any

from pyVmomi import vim

from homelab.rehearsal.host.host import Host
from homelab.rehearsal.soap import vm_spec
from homelab.rehearsal.soap.managed import ref, writes
from homelab.rehearsal.soap.objects.inventory import Entity
from homelab.rehearsal.soap.taken import refuse_rest
from homelab.rehearsal.soap.wire import fault
from homelab.rehearsal.state.pools import ROOT, SHARES, Allocation, Pool
from homelab.rehearsal.state.refusals import DuplicateName, InvalidArgument

MIB = 1 << 20
# What is taken of a ResourceConfigSpec.
TAKEN = tuple(
    f"{kind}.{name}"
    for kind in ("cpuAllocation", "memoryAllocation")
    for name in ("reservation", "expandableReservation", "limit", "shares")
)


class ResourcePool(Entity):
    """A pool; what it promises is kept and shown, and nothing is scheduled by it."""

    @classmethod
    def ids(cls, face: Any, caller: Any) -> Iterator[str]:
        """The root, and those that somebody made."""
        yield ROOT
        yield from list(face.host.settings.pools)

    @property
    def name(self) -> str:
        """Its name; the root's is always the same."""
        return "Resources" if self._moid == ROOT else self._pool.name

    @property
    def parent(self) -> Any:
        """The pool above it, the compute resource above the root."""
        if self._moid == ROOT:
            return self.owner
        return ref("ResourcePool", self._pool.parent)

    @property
    def owner(self) -> Any:
        """The compute resource."""
        return ref("ComputeResource", "ha-compute-res")

    @property
    def resourcePool(self) -> Any:
        """The pools right below it."""
        pools = self._host.settings.pools
        return [ref("ResourcePool", moid) for moid, pool in pools.items() if pool.parent == self._moid]

    @property
    def vm(self) -> Any:
        """The VMs right in it."""
        pools = self._host.settings.vm_pools
        return [
            ref("VirtualMachine", moid) for moid in self._host.registered_vms if pools.get(moid, ROOT) == self._moid
        ]

    @property
    def config(self) -> Any:
        """What it promises."""
        cpu, memory = self._allocations
        return vim.ResourceConfigSpec(
            entity=self._ref, changeVersion="", cpuAllocation=_shown(cpu), memoryAllocation=_shown(memory)
        )

    @property
    def runtime(self) -> Any:
        """What there is, and what of it is used: by the configuration of VMs that run."""
        used = sum(vm.memory_mib for vm in self._host.registered_vms.values() if vm.powered_on)
        return vim.ResourcePool.RuntimeInfo(
            memory=_usage(self._host.model.memory_mib * MIB, used * MIB),
            cpu=_usage(_megahertz(self._host), 0),
            overallStatus="green",
        )

    @property
    def summary(self) -> Any:
        """The pool in short."""
        return vim.ResourcePool.Summary(name=self.name, config=self.config, runtime=self.runtime)

    @writes
    def CreateResourcePool(self, name: str, spec: Any) -> Any:
        """A pool below this one; DuplicateName."""
        refuse_rest(spec, TAKEN)
        with self._host.lock:
            settings = self._host.settings
            self._check_name(name, self._moid)
            cpu, memory = _wanted(spec.cpuAllocation, Allocation()), _wanted(spec.memoryAllocation, Allocation())
            numbers = [int(moid.removeprefix("pool")) for moid in settings.pools]
            moid = f"pool{max(numbers, default=0) + 1}"
            settings.pools[moid] = Pool(name, self._moid, cpu, memory)
            self._host.touch()
            return ref("ResourcePool", moid)

    @writes
    def UpdateConfig(self, name: str | None, config: Any) -> None:
        """Another name, other promises."""
        if config:
            refuse_rest(config, TAKEN, harmless={"entity": (self._ref,)})
        with self._host.lock:
            pool = self._pool
            if name and name != pool.name:
                self._check_name(name, pool.parent)
            cpu, memory = pool.cpu, pool.memory
            if config:
                cpu, memory = _wanted(config.cpuAllocation, cpu), _wanted(config.memoryAllocation, memory)
            pool.name, pool.cpu, pool.memory = name or pool.name, cpu, memory
            self._host.touch()

    @writes
    def Destroy_Task(self) -> None:
        """Remove the pool: its VMs and pools are its parent's from now on."""
        with self._host.lock:
            settings, parent = self._host.settings, self._pool.parent
            del settings.pools[self._moid]
            for pool in settings.pools.values():
                pool.parent = parent if pool.parent == self._moid else pool.parent
            for moid in [moid for moid, pool in settings.vm_pools.items() if pool == self._moid]:
                settings.vm_pools[moid] = parent
            self._host.touch()

    @writes
    def ImportVApp(self, spec: Any, folder: Any, host: Any) -> Any:
        """A new VM whose disks are to be sent; answers with the lease, which says when it is ready."""
        if not isinstance(spec, vim.vm.VmImportSpec):
            raise fault("NotSupported", "Only single VMs can be imported in the rehearsal")
        config = spec.configSpec
        refuse_rest(spec, ("configSpec",))
        vm_spec.check(self._host, config)

        def make() -> Any:
            vm = vm_spec.create(self._host, config)
            if self._moid != ROOT:
                self._host.settings.vm_pools[vm.moid] = self._moid
            return vm

        return ref("HttpNfcLease", self._face.leases.open(make).id)

    @property
    def _pool(self) -> Pool:
        if self._moid == ROOT:
            raise fault("NotSupported", "The root pool cannot be changed.")
        return self._host.settings.pools[self._moid]

    @property
    def _allocations(self) -> tuple[Allocation, Allocation]:
        if self._moid != ROOT:
            return self._pool.cpu, self._pool.memory
        cpu, memory = _megahertz(self._host), self._host.model.memory_mib
        return Allocation(cpu, False, cpu, "custom", 9000), Allocation(memory, False, memory, "custom", 9000)

    def _check_name(self, name: str, parent: str) -> None:
        for moid, pool in self._host.settings.pools.items():
            if (pool.name, pool.parent) == (name, parent):
                raise DuplicateName(f"The name '{name}' already exists.", name=name, object=ref("ResourcePool", moid))


def pool_of(host: Host, moid: str) -> Any:
    """The pool of a VM."""
    return ref("ResourcePool", host.settings.vm_pools.get(moid, ROOT))


def _megahertz(host: Host) -> int:
    return host.model.cpu_mhz * host.model.cores


def _usage(most: int, used: int) -> Any:
    return vim.ResourcePool.ResourceUsage(
        reservationUsed=0,
        reservationUsedForVm=0,
        unreservedForPool=most,
        unreservedForVm=most,
        overallUsage=used,
        maxUsage=most,
    )


def _shown(one: Allocation) -> Any:
    return vim.ResourceAllocationInfo(
        reservation=one.reservation,
        expandableReservation=one.expandable,
        limit=one.limit,
        shares=vim.SharesInfo(shares=one.shares, level=one.level),
    )


def _wanted(spec: Any, now: Allocation) -> Allocation:
    """An allocation after what a specification names; InvalidArgument for less than nothing."""
    if spec is None:
        return now
    made = Allocation(now.reservation, now.expandable, now.limit, now.level, now.shares)
    made.reservation = made.reservation if spec.reservation is None else int(spec.reservation)
    made.expandable = made.expandable if spec.expandableReservation is None else bool(spec.expandableReservation)
    made.limit = made.limit if spec.limit is None else int(spec.limit)
    if made.reservation < 0 or made.limit < -1:
        raise InvalidArgument("A specified parameter was not correct: spec", invalidProperty="spec")
    if spec.shares is not None:
        made.level = str(spec.shares.level)
        made.shares = SHARES.get(made.level, int(spec.shares.shares))
    return made
