"""What begins and ends each fault, on the lab's objects."""

import signal
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from ipaddress import IPv4Address
from typing import Any

import paramiko

from homelab.lab import Lab
from homelab.rehearsal.faults.guests import GuestHarm
from homelab.rehearsal.guests.network import Loopback, Network
from homelab.rehearsal.host.refusals import Refusal
from homelab.rehearsal.shell.server import new_host_key
from homelab.rehearsal.site import Site
from homelab.rehearsal.soap.certificate import self_signed
from homelab.rehearsal.storage.storage import Nas

HOSTD_LATE_SECONDS = 20.0
SKEW = timedelta(hours=1)
API_SERVER = "kube-apiserver"


@dataclass
class Stage:
    """The lab's objects; `guests` is None where there are none. What a fault replaced is kept until it ends."""

    lab: Lab
    sites: Mapping[str, Site]
    nas: Nas
    network: Network | Loopback
    guests: GuestHarm | None
    certificates: dict[str, tuple[bytes, bytes]] = field(default_factory=dict)
    host_keys: dict[str, paramiko.PKey] = field(default_factory=dict)
    licences: dict[str, str] = field(default_factory=dict)
    balancers: set[str] = field(default_factory=set)


Act = Callable[[Stage, tuple[str, ...]], None]
OnHost = Callable[[Stage, Site], None]


def on_hosts(begin: OnHost, end: OnHost) -> tuple[Act, Act]:
    """Two acts on single hosts as acts on many."""

    def act(one: OnHost) -> Act:
        def on_all(stage: Stage, targets: tuple[str, ...]) -> None:
            for target in targets:
                one(stage, stage.sites[target])

        return on_all

    return act(begin), act(end)


def state(name: str, on: Any, then: OnHost = lambda stage, site: None) -> tuple[Act, Act]:
    """Set a field of the hosts' harm, and set it back; `then` puts right what it did meanwhile."""

    def end(stage: Stage, site: Site) -> None:
        setattr(site.host.harm, name, type(on)())
        then(stage, site)

    return on_hosts(lambda stage, site: setattr(site.host.harm, name, on), end)


def on_nas(name: str) -> tuple[Act, Act]:
    """Put hosts into a set of the NAS's, by name and by address, and take them out."""

    def known(stage: Stage, targets: tuple[str, ...]) -> set[str]:
        # Where hosts share an address it does not tell who asks.
        addresses = [str(stage.sites[target].wanted.address) for target in targets]
        return {*targets, *(() if isinstance(stage.network, Loopback) else addresses)}

    def begin(stage: Stage, targets: tuple[str, ...]) -> None:
        getattr(stage.nas, name).update(known(stage, targets))

    def end(stage: Stage, targets: tuple[str, ...]) -> None:
        getattr(stage.nas, name).difference_update(known(stage, targets))

    return begin, end


def vanish(stage: Stage, targets: tuple[str, ...]) -> None:
    """Take the NAS off the network."""
    stage.nas.away = True
    for address in _addresses(stage):
        stage.network.remove_address(address)


def reappear(stage: Stage, targets: tuple[str, ...]) -> None:
    """Bring the NAS back."""
    for address in _addresses(stage):
        stage.network.add_address(address)
    stage.nas.away = False


def _addresses(stage: Stage) -> list[IPv4Address]:
    found = []
    for server in stage.lab.nfs:
        with suppress(ValueError):
            found.append(IPv4Address(server.server))
    return found


def fill(stage: Stage, targets: tuple[str, ...]) -> None:
    """Leave no space on the NAS's datastores."""
    stage.nas.full = True


def make_room(stage: Stage, targets: tuple[str, ...]) -> None:
    """Give the space back."""
    stage.nas.full = False


def boot_again(stage: Stage, site: Site) -> None:
    """A person at the console switches a host that has no network off and on."""
    if site.host.state == "unreachable":
        site.host.reboot()


def new_certificate(stage: Stage, site: Site) -> None:
    """The host makes itself another certificate."""
    before = site.api.use_certificate(self_signed(site.host.name, site.host.address))
    stage.certificates.setdefault(site.host.name, before)


def old_certificate(stage: Stage, site: Site) -> None:
    """The host gets its first certificate back."""
    site.api.use_certificate(stage.certificates.pop(site.host.name))


def change_host_key(stage: Stage, site: Site) -> None:
    """The host makes itself another SSH host key."""
    stage.host_keys.setdefault(site.host.name, site.shell.host_key)
    site.shell.host_key = new_host_key()


def restore_host_key(stage: Stage, site: Site) -> None:
    """The host gets its first SSH host key back."""
    site.shell.host_key = stage.host_keys.pop(site.host.name)


def unlock(stage: Stage, site: Site) -> None:
    """Forget failed logins."""
    site.host.unlock_account()


def free_licence(stage: Stage, site: Site) -> None:
    """Assign the free licence."""
    stage.licences.setdefault(site.host.name, site.host.licence)
    site.host.licence = "free"


def old_licence(stage: Stage, site: Site) -> None:
    """Assign the licence from before."""
    site.host.licence = stage.licences.pop(site.host.name)


def skew(stage: Stage, site: Site) -> None:
    """Put the host's clock forward; it tells the boot's time by the clock of now."""
    site.host.boot_time += SKEW - site.host.harm.clock_skew
    site.host.harm.clock_skew = SKEW


def set_right(stage: Stage, site: Site) -> None:
    """Put the host's clock right."""
    site.host.boot_time -= site.host.harm.clock_skew
    site.host.harm.clock_skew = timedelta(0)


def on_guests(
    begin: Callable[[GuestHarm, tuple[str, ...]], None], end: Callable[[GuestHarm, tuple[str, ...]], None]
) -> tuple[Act, Act]:
    """Two acts on guests."""

    def act(one: Callable[[GuestHarm, tuple[str, ...]], None]) -> Act:
        def on_all(stage: Stage, targets: tuple[str, ...]) -> None:
            assert stage.guests is not None
            one(stage.guests, targets)

        return on_all

    return act(begin), act(end)


def signalled(number: signal.Signals, program: str) -> tuple[Act, Act]:
    """Send a signal to a program of guests for as long as the fault lasts."""
    return on_guests(
        lambda harm, names: harm.send(number, program, names),
        lambda harm, names: harm.end_send(number, program, names),
    )


def unplug(stage: Stage, targets: tuple[str, ...]) -> None:
    """Pull the plug of balancers that are on."""
    for host in (site.host for site in stage.sites.values()):
        for vm in [vm for vm in host.vms.values() if vm.name in targets and vm.powered_on]:
            stage.balancers.add(vm.name)
            host.power_off(vm)


def plug_in(stage: Stage, targets: tuple[str, ...]) -> None:
    """Switch those on again that nobody has switched on meanwhile."""
    for name in targets:
        if name in stage.balancers:
            stage.balancers.discard(name)
            for site in stage.sites.values():
                vm = site.host.vm_named(name)
                with suppress(Refusal):
                    if vm and not vm.powered_on:
                        site.host.power_on(vm)


ACTS: Mapping[str, tuple[Act, Act]] = {
    "nas-refuses": on_nas("denied"),
    "nas-read-only": on_nas("read_only_to"),
    "nas-squashes-root": on_nas("squashed"),
    "nas-vanishes": (vanish, reappear),
    "reboot-hangs": state("reboot_hangs", True),
    "no-network-after-boot": state("no_driver", True, boot_again),
    "hostd-late": state("api_delay_seconds", HOSTD_LATE_SECONDS, lambda stage, site: site.host.answer_now()),
    "api-mute": state("api_mute", True),
    "api-slow": state("api_slow", True),
    "connection-reset": state("resets", True),
    "certificate-changed": on_hosts(new_certificate, old_certificate),
    "host-key-changed": on_hosts(change_host_key, restore_host_key),
    "wrong-password": state("password_changed", True, unlock),
    "account-locked": state("account_locked", True, unlock),
    "free-licence": on_hosts(free_licence, old_licence),
    "task-fails": state("task_fails", True),
    "datastore-full": (fill, make_room),
    "upload-cut": state("upload_cut", True),
    "lease-dies": state("lease_dies", True),
    "clock-skew": on_hosts(skew, set_right),
    "power-on-refused": state("power_on_refused", True),
    "guest-never-comes": on_guests(GuestHarm.stillborn, GuestHarm.end_stillborn),
    "guest-disk-full": on_guests(GuestHarm.full, GuestHarm.end_full),
    "api-server-crashes": signalled(signal.SIGKILL, API_SERVER),
    "api-server-hangs": signalled(signal.SIGSTOP, API_SERVER),
    "api-server-unready": on_guests(GuestHarm.unready, GuestHarm.end_unready),
    "balancer-dies": (unplug, plug_in),
}
