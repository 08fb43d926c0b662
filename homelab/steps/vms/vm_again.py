"""A VM that is destroyed to be made anew: it goes only when the new one can be made. The check is pure."""

from dataclasses import dataclass, field

from homelab.errors import Refused
from homelab.formats.disk.vmdk import GIB, capacity
from homelab.lab import Lab
from homelab.ports.world import World
from homelab.steps.vms.allowed import Allowed
from homelab.steps.vms.chosen import seen_and_chosen
from homelab.steps.vms.image_paths import image_path
from homelab.steps.vms.placement import places
from homelab.steps.vms.vm_folder import Making
from homelab.steps.vms.vm_identity import making_of
from homelab.steps.vms.vm_seed import too_large_a_seed


@dataclass(frozen=True)
class AgainLook:
    """What the new VM needs of its host: that it does not rest, a port group, its datastore, and the whole image.

    `image_bytes` is the size of the image's disk, `namesake` the .vmx of another VM of its name there, `no_room` why
    the host cannot have it. `allowed` is what its licence allows; a linked disk is only made where the API writes.
    """

    host: str
    resting: bool
    port_groups: tuple[str, ...]
    datastore: bool
    image: bool
    image_bytes: int = 0
    allowed: Allowed = field(default_factory=Allowed)
    namesake: str | None = None
    no_room: str = ""


def look_again(world: World, lab: Lab, target: str) -> AgainLook:
    """Ask the host that the VM will be made on. Raises Unreachable."""
    place = places(lab, *seen_and_chosen(world, lab))[target]
    host = place.host
    making = making_of(lab, lab.vm(target))
    look, images = world.host(host), making.datastore
    whole = look.directory_of(images) is not None and world.reader(host).disk_whole(images, image_path(lab))
    text = world.reader(host).small_file(images, image_path(lab)) if whole else None
    others = [vm.path for vm in look.vms if vm.name == making.vm and not vm.carries(lab.name, making.vm)]
    return AgainLook(
        host=host,
        resting=look.in_maintenance,
        port_groups=tuple(group.name for group in look.network.port_groups),
        datastore=look.directory_of(making.datastore) is not None,
        image=whole,
        image_bytes=capacity(text),
        allowed=Allowed.at(look),
        namesake=others[0] if others else None,
        no_room=place.problem[0] if place.problem else "",
    )


def check_again(lab: Lab, target: str, look: AgainLook, gone: Making, strangers: tuple[str, ...]) -> None:
    """Raises Refused, with everything that would keep the VM from being made once the one that is there is gone."""
    vm, host = lab.vm(target), look.host
    making = making_of(lab, vm)
    problems = {
        f"{host} is in maintenance mode": look.resting,
        f"{host} has no port group {vm.network}": vm.network not in look.port_groups,
        f"{host} has no datastore {making.datastore} that answers": not look.datastore,
        f"the image is not whole at [{making.datastore}] {image_path(lab)}": not look.image,
        f"a disk of {vm.disk_gib} GiB cannot be made of an image of {look.image_bytes / GIB:.4g} GiB": (
            look.image_bytes > vm.disk_gib * GIB
        ),
        f"its disk cannot be linked on {host}, where the API only reads": making.linked and not look.allowed.api_writes,
        f"{host} has another VM of its name, {look.namesake}": look.namesake,
        look.allowed.too_many(vm): look.allowed.too_many(vm),
        look.no_room: look.no_room,
        (seed := too_large_a_seed(lab, vm)): seed,
        f"{making.place} holds what is not ours: {', '.join(strangers)}": strangers and gone.place == making.place,
    }
    if found := [what for what, true in problems.items() if true]:
        raise Refused(
            f"{target} is not destroyed, for it could not be made again: {'; '.join(found)}",
            where=target,
            advice="Put that right (homelab bootstrap lays the image and the networks down), and run again; homelab vm "
            f"destroy {target} destroys it all the same",
        )
