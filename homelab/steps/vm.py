"""Step `vm`: every VM of the inventory exists, with its own disk and a seed, and is switched on. Pure vSphere."""

import hashlib
import io
import secrets
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from homelab.errors import HomelabError, Refused
from homelab.lab import Lab, Vm
from homelab.ports.vsphere import Session, VmLook
from homelab.ports.vsphere.storage import copy_disk, delete_file, extend_disk, file_size, make_folder, upload
from homelab.ports.vsphere.vms import VmSpec, create_vm, power_on
from homelab.ports.world import World
from homelab.render.cloud_init import seed
from homelab.render.seed_iso import seed_iso
from homelab.render.ssh_key import HostKey, new_key
from homelab.step import Change, Node, Planned, Step
from homelab.steps.image import image_path

COPY_SECONDS = 3600.0
TASK_SECONDS = 300.0
BEING_MADE = ".homelab-being-made"


@dataclass(frozen=True)
class CreateVm(Change):
    """Create one VM on one host from the image."""

    host: str
    datastore: str
    image: str

    @property
    def sentence(self) -> str:
        """What will be done."""
        return f"create the VM {self.target} on {self.host}, its disk a thin copy of the image on {self.datastore}"

    @property
    def reason(self) -> str:
        """Why."""
        return f"no host has a VM {self.target} of this lab"

    @property
    def undo(self) -> str:
        """How to go back."""
        return f"switch {self.target} off and delete it from disk on {self.host}"


@dataclass(frozen=True)
class PowerOnVm(Change):
    """Switch one VM on."""

    host: str

    @property
    def sentence(self) -> str:
        """What will be done."""
        return f"switch the VM {self.target} on"

    @property
    def reason(self) -> str:
        """Why."""
        return f"{self.target} is off"

    @property
    def before(self) -> str:
        """As found."""
        return "off"

    @property
    def after(self) -> str:
        """As wanted."""
        return "on"

    @property
    def undo(self) -> str:
        """How to go back."""
        return f"shut {self.target} down"


@dataclass(frozen=True)
class VmPlace:
    """Where the VM is, if a host that answers has it; `resting` when its host is in maintenance mode."""

    host: str | None
    vm: VmLook | None
    resting: bool = False


def placement(lab: Lab) -> Mapping[str, str]:
    """VM -> host: the inventory's choice, else spread so that peers do not share a host while there are enough."""
    hosts = [host.name for host in lab.esxi]
    placed: dict[str, str] = {vm.name: vm.host for vm in lab.vms if vm.host}
    for peers in (lab.control_plane, lab.load_balancers, lab.workers):
        for vm in peers:
            if vm.name in placed or not hosts:
                continue
            with_peers = Counter(placed[peer.name] for peer in peers if peer.name in placed)
            in_all = Counter(placed.values())
            placed[vm.name] = min(hosts, key=lambda h: (with_peers[h], in_all[h], hosts.index(h)))
    return placed


def mac_of(lab: Lab, vm: Vm) -> str:
    """The VM's MAC: the inventory's, else one of VMware's range for manual addresses, always the same for this VM."""
    if vm.mac:
        return vm.mac
    digest = hashlib.sha256(f"{lab.name}/{vm.name}".encode()).digest()
    return f"00:50:56:{digest[0] & 0x3F:02x}:{digest[1]:02x}:{digest[2]:02x}"


class VmStep(Step):
    """One node a VM that is ours to make."""

    name = "vm"

    def targets(self, lab: Lab) -> Sequence[str]:
        """Every managed VM, when there is a host to put it on."""
        return [vm.name for vm in lab.vms if vm.managed] if lab.esxi else []

    def after(self, lab: Lab, target: str) -> Sequence[Node]:
        """Its own host is ready, and the image is there."""
        host = placement(lab)[target]
        return [Node("reboot", host), Node("nfs-datastore", host), *(Node("image", nas.name) for nas in lab.nfs)]

    def observe(self, world: World, target: str) -> VmPlace:
        """Look for our mark on every host that answers."""
        found = world.vm(target)
        if found:
            return VmPlace(*found, world.host(found[0]).in_maintenance)
        # Raises when that very host is the one that does not answer.
        return VmPlace(None, None, world.host(placement(world.lab)[target]).in_maintenance)

    def plan(self, lab: Lab, target: str, observed: VmPlace) -> Sequence[Planned]:
        """Create and switch on what is missing; a host that its owner put into maintenance mode is left in peace."""
        if observed.resting and not (observed.vm and observed.vm.powered_on):
            host = observed.host or placement(lab)[target]
            raise Refused(
                f"{host} is in maintenance mode, so {target} cannot run there",
                where=target,
                advice=f"When you are done with {host}: esxcli system maintenanceMode set --enable=false; run again",
            )
        if observed.vm is None or observed.host is None:
            host = placement(lab)[target]
            datastore = lab.datastore_of(lab.vm(target))
            return [CreateVm(target, host, datastore, lab.image.sha256), PowerOnVm(target, host)]
        return [] if observed.vm.powered_on else [PowerOnVm(target, observed.host)]

    def apply(self, world: World, change: CreateVm | PowerOnVm) -> None:
        """Create: mark the folder, copy the disk, write the seed, create the VM. Power on: switch it on."""
        if isinstance(change, CreateVm):
            _create(world, change)
        else:
            _power_on(world, change)


def _power_on(world: World, change: PowerOnVm) -> None:
    found = world.vm(change.target)
    if found is None:
        raise HomelabError(
            f"the VM {change.target} is not there any more", where=change.host, advice="Run again; it is made anew"
        )
    host, vm = found
    sentence = f"{change.target} is on"
    with world.session(host) as session:
        power_on(session, vm.moid, vm.name, seconds=TASK_SECONDS, progress=world.progress(sentence, TASK_SECONDS))


def _create(world: World, change: CreateVm) -> None:
    lab, vm = world.lab, world.lab.vm(change.target)
    key = new_key(vm.name)
    with world.copying(change.host, change.datastore), world.session(change.host) as session:
        _begin_folder(world, session, change)
        _copy_image(world, session, change, vm)
        iso = seed_iso(seed(vm, lab, mac_of(lab, vm), _authorized_keys(world), key, secrets.token_hex(4)))
        upload(session, change.datastore, f"{vm.name}/seed.iso", io.BytesIO(iso), len(iso))
        progress = world.progress(f"the VM {vm.name} is created", TASK_SECONDS)
        world.files.forget_host_keys({str(vm.address)})  # it gets a key of its own
        create_vm(session, _spec(lab, vm, change, key), seconds=TASK_SECONDS, progress=progress)
        world.remember_vm(vm.name, change.host)
        delete_file(session, change.datastore, f"{vm.name}/{BEING_MADE}", seconds=TASK_SECONDS, progress=progress)


def _begin_folder(world: World, session: Session, change: CreateVm) -> None:
    """A folder with our note in it is a leftover of an interrupted run and is removed; any other is somebody's."""
    note = f"{change.target}/{BEING_MADE}"
    if file_size(session, change.datastore, note) is not None:
        world.log(f"[{change.datastore}] {change.target} is left over from an interrupted run; it is made anew")
        progress = world.progress(f"the leftover folder of {change.target} is removed", TASK_SECONDS)
        delete_file(session, change.datastore, change.target, seconds=TASK_SECONDS, progress=progress)
    elif file_size(session, change.datastore, f"{change.target}/{change.target}.vmdk") is not None:
        raise Refused(
            f"the folder [{change.datastore}] {change.target} holds a disk that no VM of this lab uses",
            where=change.host,
            advice="A host that is off may have that VM; else register, rename or delete the folder yourself",
        )
    make_folder(session, change.datastore, change.target)
    upload(session, change.datastore, note, io.BytesIO(b"homelab\n"), 8)


def _copy_image(world: World, session: Session, change: CreateVm, vm: Vm) -> None:
    lab = world.lab
    image_datastore = lab.nfs[0].datastore if lab.nfs else change.datastore
    disk = _disk(vm, change.datastore)
    progress = world.progress(f"the disk of {vm.name} is copied", COPY_SECONDS)
    copy_disk(session, f"[{image_datastore}] {image_path(lab)}", disk, seconds=COPY_SECONDS, progress=progress)
    extend_disk(session, disk, vm.disk_gib, seconds=TASK_SECONDS, progress=progress)


def _disk(vm: Vm, datastore: str) -> str:
    return f"[{datastore}] {vm.name}/{vm.name}.vmdk"


def _authorized_keys(world: World) -> tuple[str, ...]:
    return world.lab.guests.authorized_keys or (world.files.own_key(),)


def _spec(lab: Lab, vm: Vm, change: CreateVm, key: HostKey) -> VmSpec:
    return VmSpec(
        name=vm.name,
        datastore=change.datastore,
        cpus=vm.cpus,
        memory_mib=vm.memory_mib,
        disk=_disk(vm, change.datastore),
        seed=f"[{change.datastore}] {vm.name}/seed.iso",
        network=vm.network,
        mac=mac_of(lab, vm),
        marks={
            "homelab.lab": lab.name,
            "homelab.name": vm.name,
            "homelab.image": change.image,
            "homelab.host_key": key.public,
        },
    )
