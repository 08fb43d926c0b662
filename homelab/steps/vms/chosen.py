"""Where a run makes VMs: by what the hosts had when it first saw them, and by what it has said before. Reads only."""

from homelab.lab import Lab
from homelab.ports.world import World
from homelab.steps.vms.placement import Chosen, Rooms, rooms_of, to_keep


def seen_and_chosen(world: World, lab: Lab) -> tuple[Rooms, Chosen]:
    """What the hosts have, and which VM is made where: what can be said of that by now stays for the rest of a run."""
    rooms = rooms_of(lab, world.reachable_hosts(first=True))
    return rooms, world.places.keep(lambda before: to_keep(lab, rooms, before))
