"""Licences of a simulated host: the keys that it knows, what each allows, and the evaluation's end.

Keys are made up. `Host.licence` is the kind in force: evaluation, paid or free; the evaluation is what a host has
without a key. Layout and properties of the free one as recorded on 7.0.
"""

from dataclasses import dataclass
from datetime import timedelta

from homelab.rehearsal.host.host import Host
from homelab.rehearsal.state.refusals import NotFound
from homelab.rehearsal.vms.states import CPUS

KEYS = {
    "evaluation": "00000-00000-00000-00000-00000",
    "paid": "AAAAA-BBBBB-CCCCC-DDDDD-EEEEE",
    "free": "FFFFF-GGGGG-HHHHH-JJJJJ-KKKKK",
}


def _smp(kind: str) -> tuple[str, str]:
    return f"vsmp:{CPUS[kind]}", f"Up to {CPUS[kind]}-way virtual SMP"


FEATURES = {
    "evaluation": (),
    "paid": (_smp("paid"), ("vmotion", "vSphere vMotion"), ("das", "vSphere HA")),
    "free": (_smp("free"),),
}
UNKNOWN = "License is not valid for this product"
PRODUCT = "VMware ESX Server"


@dataclass(frozen=True)
class Licence:
    """One licence: `total` 0 is without limit, `features` are name and sentence."""

    key: str
    edition: str
    name: str
    total: int
    unit: str
    version: str
    features: tuple[tuple[str, str], ...]
    unlimited: bool


def describe(host: Host, kind: str) -> Licence:
    """What a kind of licence is on this release."""
    major, minor = host.version.split(".")[:2]
    # Licences count cores since 7.0.
    suffix, cores = ("CoreLimited", ":32core") if int(major) >= 7 else ("", "")
    rows = {
        "evaluation": ("eval", "Evaluation Mode", 0, ""),
        "paid": (f"esx.standard.cpuPackage{suffix}", f"vSphere {major} Standard", 2, f"cpuPackage{cores}"),
        "free": (f"esx.hypervisor.cpuPackage{suffix}", f"vSphere {major} Hypervisor", 0, f"cpuPackage{cores}"),
    }
    edition, name, total, unit = rows[kind]
    version = f"{major}.{minor}"
    return Licence(KEYS[kind], edition, name, total, unit, version, FEATURES[kind], unlimited=kind == "free")


def kind_of(key: str) -> str | None:
    """The kind of a key; None for a key that is none."""
    return next((kind for kind, known in KEYS.items() if known == key.strip().upper()), None)


def known_kinds(host: Host) -> list[str]:
    """The kinds that the host has keys for, the one in force first."""
    return list(dict.fromkeys([host.licence, *host.settings.licences]))


def time_left(host: Host) -> timedelta:
    """How long the evaluation still lasts; negative once it is over."""
    return host.evaluation_ends - host.now()


def forbids_changes(host: Host) -> bool:
    """Whether the API only reads: with the free licence, and with an evaluation that is over."""
    return host.licence == "free" or (host.licence == "evaluation" and time_left(host) <= timedelta(0))


def add(host: Host, kind: str) -> None:
    """Keep a key without using it."""
    with host.lock:
        if kind not in host.settings.licences:
            host.settings.licences.append(kind)
        host.touch()


def use(host: Host, kind: str) -> None:
    """Put a licence in force."""
    with host.lock:
        if kind != "evaluation":
            add(host, kind)
        host.licence = kind
        host.touch()


def remove(host: Host, kind: str | None) -> None:
    """Forget a key; without one the host is in its evaluation. NotFound for a key that it does not have."""
    with host.lock:
        if kind is None or kind == "evaluation" or kind not in known_kinds(host):
            raise NotFound("The object or item referred to could not be found.")
        host.settings.licences = [one for one in host.settings.licences if one != kind]
        if host.licence == kind:
            host.licence = "evaluation"
        host.settings.licence_labels.pop(KEYS[kind], None)
        host.touch()
