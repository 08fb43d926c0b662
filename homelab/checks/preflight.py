"""What `doctor` asks before anything is changed: this machine, hosts, NAS, image, addresses. Reads only."""

import platform
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version

from homelab.checks.check import Answer, Check
from homelab.errors import Refused
from homelab.lab import Lab
from homelab.ports.files.home import cache_folder
from homelab.ports.guest.look import GuestLook
from homelab.ports.media.download import offered
from homelab.ports.vsphere import HostLook
from homelab.ports.world import World
from homelab.steps.guests.certificates import RENEWED, first_end, runs_out
from homelab.steps.hosts.driver_guards import remarks
from homelab.steps.hosts.first_boot import CLOCK_SECONDS, clock_words
from homelab.steps.hosts.nic_drivers import fixable, in_doubt, lost_at_boot, names, needs_fix
from homelab.steps.vms.allowed import Allowed
from homelab.steps.vms.placement import ESXI_MIB, Rooms, place_of, places, reserved_mib, rooms_of

GIB = 1 << 30
# The image as it is fetched and as it is laid out, sparse.
CACHE_BYTES = 5 * GIB
# How long a check may take beside the hosts' own deadlines: a name is looked up, a guest answers on SSH.
OWN_SECONDS = 20.0
LAPTOP, ALL_HOSTS, DOCTOR = "laptop", "esxi", "doctor"

OfHost = Callable[[World, Lab, str, HostLook], Answer]


def preflight(lab: Lab) -> list[Check]:
    """Every check, in the order in which a person would go about it."""
    checks = [_laptop()]
    for host in lab.esxi:
        checks += _host(lab, host.name)
    if len(lab.esxi) > 1:
        checks.append(_sticks())
    checks += [_nas(lab)] if lab.nfs else []
    if any(vm.managed for vm in lab.vms):
        checks += [_image(lab), _places(lab)]
        checks += [_address(vm.name, str(vm.address), (vm.name,)) for vm in lab.vms if vm.managed]
    checks += [_certificates(vm.name) for vm in lab.control_plane]
    if lab.load_balancers:
        checks.append(_address("api", str(lab.api.vip), tuple(vm.name for vm in lab.load_balancers)))
    # A host that is away is told after its own deadline; whatever else needs to know of it is then still in time.
    patience = OWN_SECONDS + max((host.api_timeout for host in lab.esxi), default=0)
    return [replace(check, seconds=patience) for check in checks]


def _check(concern: str, sentence: str, target: str, advice: str, probe: Callable[[World], Answer]) -> Check:
    return Check(sentence, target, DOCTOR, advice, probe, concern)


def _laptop() -> Check:
    def probe(world: World) -> Answer:
        cache = cache_folder()
        cache.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(cache).free
        text = (
            f"Python {platform.python_version()}, ansible-core {version('ansible-core')}, "
            f"{free / GIB:.0f} GiB free for images"
        )
        return Answer(free >= CACHE_BYTES, text, word=f"{free / GIB:.0f} GiB free")

    return _check(
        "programs",
        "this machine has what it needs",
        LAPTOP,
        f"Make room: {CACHE_BYTES // GIB} GiB are needed in the cache",
        probe,
    )


def _host(lab: Lab, name: str) -> list[Check]:
    def of_host(concern: str, sentence: str, advice: str, probe: OfHost) -> Check:
        return _check(concern, sentence, name, advice, lambda world: probe(world, lab, name, world.host(name)))

    return [
        of_host("answers", f"{name} answers and takes the password", "See the answer", _greeting),
        of_host(
            "clock",
            f"the clock of {name} is right",
            "Name time servers in lab_ntp_servers; bootstrap sets them",
            _clock,
        ),
        of_host(
            "NIC",
            f"the NIC of {name} has a driver, or can get the right one",
            f"Enable its driver again before anything boots it: homelab driver-fix {name} --undo; docs/hardware.md",
            _driver,
        ),
        of_host(
            "writes",
            f"{name} can be changed",
            "Assign a licence, or switch SSH on at its console (F2, Troubleshooting Options)",
            _writable,
        ),
        of_host(
            "memory",
            f"the memory of {name} suffices for its VMs",
            "Give the VMs less (vm_memory_mib), or place some elsewhere (vm_host)",
            _memory,
        ),
        of_host(
            "CPUs",
            f"the licence of {name} allows its VMs their CPUs",
            "Give the VMs fewer (vm_cpus), or assign another licence",
            _cpus,
        ),
        of_host("backup", f"the configuration of {name} is kept here", "See the answer", _backup),
    ]


def _greeting(world: World, lab: Lab, name: str, look: HostLook) -> Answer:
    sticks = {disk.name for disk in look.disks if disk.usb}
    wears_out = sticks and int(look.version.split(".")[0]) >= 7 and sticks & world.reader(name).boot_disks()
    warning = "; from 7.0 on a stick wears out" if wears_out else ""
    return Answer(
        True, f"ESXi {look.version} build {look.build}, {look.licence or 'licence unknown'}{warning}", word=look.version
    )


def _clock(world: World, lab: Lab, name: str, look: HostLook) -> Answer:
    right = abs(look.clock_error) <= CLOCK_SECONDS
    to_be_set = look.ntp_servers != lab.ntp_servers and bool(lab.ntp_servers)
    text = f"{clock_words(look.clock_error)} compared with this machine's"
    word = "right" if right else f"{look.clock_error:+.0f} s"
    if right or not to_be_set:
        return Answer(right, text, word=word)
    return Answer(True, f"{text}; bootstrap sets its time servers", word=word)


def _driver(world: World, lab: Lab, name: str, look: HostLook) -> Answer:
    """What holds the NICs in use; a host that the next boot would cost its network is no sound one."""
    held = ", ".join(f"{nic} is held by {nic.driver or 'nothing'}" for nic in look.used_nics) or "there is no NIC"
    boot = world.reader(name).boot() if in_doubt(look) else None
    if lost := lost_at_boot(look, boot):
        return Answer(False, f"{held}; after the next boot no enabled driver would claim {names(lost)}", word="lost")
    said = remarks(lab, name, look, asked=False)
    if needs_fix(lab, name, look) and fixable(look):
        said.append("driver-fix changes that")
    drivers = dict.fromkeys(nic.driver or "nothing" for nic in look.used_nics)
    return Answer(bool(look.nics), "; ".join([held, *said]), word=", ".join(drivers))


def _writable(world: World, lab: Lab, name: str, look: HostLook) -> Answer:
    if look.api_writes:
        return Answer(True, "over its API", word="API")
    ssh = look.services.get("TSM-SSH", False)
    text = f"the API only reads ({look.licence}); {'over SSH' if ssh else 'and SSH is off'}"
    return Answer(ssh, text, word="SSH" if ssh else "nothing")


def _cpus(world: World, lab: Lab, name: str, look: HostLook) -> Answer:
    """Whether the licence allows every VM its CPUs; they would be made, and never come on."""
    allowed, placed = Allowed.at(look), places(lab, rooms_of(lab, world.reachable_hosts(first=True)))
    wrong = [allowed.too_many(vm) for vm in lab.vms if vm.managed and placed[vm.name].host == name]
    limit = "no limit" if allowed.cpus is None else f"{allowed.cpus} a VM"
    return Answer(not any(wrong), "; ".join(filter(None, wrong)) or limit, word="too many" if any(wrong) else "")


def _memory(world: World, lab: Lab, name: str, look: HostLook) -> Answer:
    rooms = rooms_of(lab, world.reachable_hosts(first=True))
    wanted = reserved_mib(lab, rooms, name) << 20
    others = look.memory - (ESXI_MIB << 20) - (rooms[name].memory_mib << 20) if name in rooms else 0
    text = f"{wanted / GIB:.1f} GiB of {look.memory / GIB:.1f} GiB"
    more = f", and {others / GIB:.1f} GiB for VMs of others that are on" if others else ""
    used = wanted + others + (ESXI_MIB << 20)
    return Answer(used <= look.memory, text + more, word=f"{100 * used / look.memory:.0f} %" if look.memory else "")


def _backup(world: World, lab: Lab, name: str, look: HostLook) -> Answer:
    """Whether a whole copy is kept, and, where SSH runs, whether the host itself can keep anything."""
    boot = world.reader(name).boot()
    if boot is not None and boot.medium_problem:
        return Answer(
            False, f"{boot.medium_problem}: its boot medium was lost, and it may not start again", word="lost"
        )
    kept = world.files.backups_of(name)
    if not kept:
        return Answer(True, "not yet; it is kept before the first change", word="not yet")
    age = datetime.now(UTC) - datetime.fromtimestamp(kept[-1].stat().st_mtime, UTC)
    return Answer(True, f"{kept[-1].name}, {age.days} day(s) old", word=f"{age.days} d old")


def _certificates(name: str) -> Check:
    def probe(world: World) -> Answer:
        look = world.guest(name)
        first = first_end(look) if isinstance(look, GuestLook) else None
        if not isinstance(look, GuestLook) or first is None:
            return Answer(True, "there are none yet", word="none yet")
        soon = runs_out(look, datetime.now(UTC))
        end = f"{first[1]:%Y-%m-%d}"
        return Answer(not soon, soon or f"the first one ends on {end}", word=f"to {end}")

    advice = "Run `homelab bootstrap`: it renews them, one control plane after another; then `kubernetes kubeconfig`"
    return _check(
        "certificates", f"the cluster's certificates on {name} last {RENEWED.days} days more", name, advice, probe
    )


def _sticks() -> Check:
    def probe(world: World) -> Answer:
        ids = {name: world.reader(name).installation_id() for name in world.reachable_hosts()}
        copies = [name for name, uuid in ids.items() if Counter(ids.values())[uuid] > 1]
        text = f"copies of each other: {', '.join(copies)}" if copies else f"{len(ids)} sticks, {len(ids)} ids"
        return Answer(not copies, text, word="copies" if copies else f"{len(ids)} ids")

    advice = "Copied sticks share UUIDs and keys, which ESXi does not support: install all but one of them anew"
    return _check("sticks", "every host runs from a stick of its own", ALL_HOSTS, advice, probe)


def _nas(lab: Lab) -> Check:
    nas = lab.nfs[0]

    def probe(world: World) -> Answer:
        export = world.lan.export()
        if export is None:
            return Answer(True, "not asked: the hosts are on this machine's loopback", word="not asked")
        finding = export.problem or export.doubt
        served = f"NFS {', '.join(export.versions)}" if export.versions else "no NFS"
        text = f"{served}; {finding.what}. {finding.advice}" if finding else served
        return Answer(export.problem is None, text, word=served)

    return _check("export", f"{nas.name} exports {nas.export}", nas.name, "See the answer", probe)


def _image(lab: Lab) -> Check:
    def probe(world: World) -> Answer:
        return Answer(True, offered(lab.image.source), word="there")

    advice = "Correct image_source in the inventory"
    return _check("image", "the image of the VMs can be had", LAPTOP, advice, probe)


def _places(lab: Lab) -> Check:
    def probe(world: World) -> Answer:
        rooms = rooms_of(lab, world.reachable_hosts(first=True))
        problems = [what for vm in lab.vms if vm.managed for what in _problem(lab, vm.name, rooms)]
        return Answer(
            not problems, "; ".join(dict.fromkeys(problems)) or "each has one", word="too few" if problems else ""
        )

    advice = "Give the VMs less (vm_memory_mib, vm_cpus), or add a host"
    return _check("places", "every VM has a host with room for it", ALL_HOSTS, advice, probe)


def _problem(lab: Lab, name: str, rooms: Rooms) -> list[str]:
    try:
        place_of(lab, name, rooms)
    except Refused as error:
        return [error.what]
    return []


def _address(name: str, address: str, owners: tuple[str, ...]) -> Check:
    def probe(world: World) -> Answer:
        # First, for the hosts may take their time meanwhile.
        used = world.lan.somebody_at(address)
        ours = [owner for owner in owners if world.vm(owner)]
        if ours:
            return Answer(True, f"its VM is there ({', '.join(ours)})", word="its own")
        if used:
            return Answer(False, f"somebody answers there ({used})", word="taken")
        return Answer(True, "nobody answers there", word="free")

    return _check(
        "address", f"the address {address} of {name} is free, or its own", name, "Give it another address", probe
    )
