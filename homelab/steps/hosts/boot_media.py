"""Step `boot-media`: a host that has never answered needs its stick, and a person who plugs it in."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath

from homelab.engine.step import Change, HandOver, Planned, Step, Words
from homelab.errors import DeadlinePassed, HomelabError, PersonNeeded, Unreachable
from homelab.lab import EsxiHost, Lab
from homelab.ports.world import World


@dataclass(frozen=True)
class AwaitHost(Change):
    """Wait until one host answers for the first time, at most `seconds`, while a person boots it from its stick."""

    address: str
    do: str
    seconds: float

    def _words(self) -> Words:
        return Words(
            sentence=f"wait until {self.target} answers at {self.address}",
            reason=self.do,
            undo="nothing to undo",
            before="never answered",
            after="answers",
        )


@dataclass(frozen=True)
class BootMediaState:
    """Whether a host answers, whether it ever did, and why not now."""

    answers: bool
    known: bool
    why_not: str = ""


class BootMedia(Step[BootMediaState, AwaitHost]):
    """One node for each host. `wait` in seconds: how long to wait for a person, 0 for not at all."""

    name = "boot-media"

    def __init__(self, wait: float = 0.0) -> None:
        self.wait = wait

    def targets(self, lab: Lab) -> Sequence[str]:
        """Every ESXi host that has an ISO to be installed from; any other is expected to run."""
        return [host.name for host in lab.esxi if host.iso]

    def observe(self, world: World, lab: Lab, target: str) -> BootMediaState:
        """Whether it answers; any answer but silence is one, and a pinned certificate tells of an earlier one."""
        host = lab.host(target)
        known = world.files.trust.knows(target, str(host.address), host.api_port)
        try:
            world.host(target)
        except Unreachable as error:
            elsewhere = lab.host(target).dhcp_address
            if elsewhere is not None and _answers_at(world, target, str(elsewhere)):
                return BootMediaState(True, known)
            return BootMediaState(False, known, error.what)
        except HomelabError:
            return BootMediaState(True, known)
        return BootMediaState(True, known)

    def plan(self, lab: Lab, target: str, observed: BootMediaState) -> Sequence[Planned[AwaitHost]]:
        """Hand over to a person, or wait for one; a host that answered before is missed by the steps that need it."""
        if observed.answers or observed.known:
            return []
        host = lab.host(target)
        do = instructions(host, observed.why_not)
        return [AwaitHost(target, str(host.address), do, self.wait)] if self.wait else [HandOver(target, do)]

    def apply(self, world: World, change: AwaitHost) -> None:
        """Wait; raises PersonNeeded with the instructions when nobody came."""
        world.note(f"{change.target}: {change.do}")
        try:
            world.wait(
                f"{change.target} answers at {change.address} for the first time",
                lambda: _silent(world, change.target),
                seconds=change.seconds,
                where=f"{change.target} ({change.address})",
                advice="",
            )
        except DeadlinePassed as error:
            raise PersonNeeded(error.what, where=error.where, advice=change.do) from error


def instructions(host: EsxiHost, why_not: str) -> str:
    """What a person does to a host that has never answered: which image, which port, which key, what will be seen."""
    name, iso = host.name, PurePath(host.iso or "").name
    return (
        f"{name} has never answered at {host.address} ({why_not}). If it is installed already, check its cable and "
        f"ansible_host. If not: `homelab usb build {name}` makes {host.short_name}.img from {iso}, and "
        f"`homelab usb write {name} DEVICE` puts it on a stick. Plug that stick, and no other, into the rear USB port "
        "and switch on; if the machine does not start from it, F12 opens the boot menu: choose the entry that begins "
        "with UEFI. Touch no key: the screen shows the installer, then a restart, and at last the grey and yellow "
        f"console with {host.address}. Bootstrap goes on from there"
    )


def _answers_at(world: World, target: str, address: str) -> bool:
    try:
        world.host_at(target, address)
    except Unreachable:
        return False
    except HomelabError:
        return True
    return True


def _silent(world: World, target: str) -> str | None:
    world.forget(target)
    try:
        world.host(target)
    except Unreachable as error:
        return error.what
    except HomelabError:
        return None
    return None
