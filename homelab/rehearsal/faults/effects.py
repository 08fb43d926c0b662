"""What begins and ends each fault, on the lab's objects."""

import signal
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from ipaddress import IPv4Address
from typing import Any

import paramiko

from homelab.lab import Lab, short_name
from homelab.rehearsal.faults.guests import GuestHarm
from homelab.rehearsal.guests.network import Loopback, Network
from homelab.rehearsal.nas.nas import Nas
from homelab.rehearsal.served_host import ServedHost
from homelab.rehearsal.shell.server import new_host_key
from homelab.rehearsal.soap.certificate import self_signed
from homelab.rehearsal.state.refusals import Refusal

HOSTD_LATE_SECONDS = 20.0
SKEW = timedelta(hours=1)
API_SERVER = "kube-apiserver"


@dataclass
class SimulatedLab:
    """The lab's objects; `guests` is None where there are none. What a fault replaced is kept until it ends."""

    wanted: Lab
    hosts: Mapping[str, ServedHost]
    nas: Nas
    network: Network | Loopback
    guests: GuestHarm | None
    certificates: dict[str, tuple[bytes, bytes]] = field(default_factory=dict)
    host_keys: dict[str, paramiko.PKey] = field(default_factory=dict)
    licences: dict[str, str] = field(default_factory=dict)
    ssh_before: dict[str, tuple[bool, str]] = field(default_factory=dict)
    balancers: set[str] = field(default_factory=set)


Effect = Callable[[SimulatedLab, tuple[str, ...]], None]
OnHost = Callable[[SimulatedLab, ServedHost], None]


def on_hosts(begin: OnHost, end: OnHost) -> tuple[Effect, Effect]:
    """Two effects on single hosts as effects on many."""

    def effect(one: OnHost) -> Effect:
        def on_all(lab: SimulatedLab, targets: tuple[str, ...]) -> None:
            for target in targets:
                one(lab, lab.hosts[target])

        return on_all

    return effect(begin), effect(end)


def state(name: str, on: Any, then: OnHost = lambda lab, served: None) -> tuple[Effect, Effect]:
    """Set a field of the hosts' harm, and set it back; `then` puts right what it did meanwhile."""

    def end(lab: SimulatedLab, served: ServedHost) -> None:
        setattr(served.host.harm, name, type(on)())
        then(lab, served)

    return on_hosts(lambda lab, served: setattr(served.host.harm, name, on), end)


def on_nas(name: str) -> tuple[Effect, Effect]:
    """Put hosts into a set of the NAS's, by name and by address, and take them out."""

    def known(lab: SimulatedLab, targets: tuple[str, ...]) -> set[str]:
        # Where hosts share an address it does not tell who asks.
        addresses = [str(lab.hosts[target].wanted.address) for target in targets]
        return {*targets, *(() if isinstance(lab.network, Loopback) else addresses)}

    def begin(lab: SimulatedLab, targets: tuple[str, ...]) -> None:
        getattr(lab.nas, name).update(known(lab, targets))

    def end(lab: SimulatedLab, targets: tuple[str, ...]) -> None:
        getattr(lab.nas, name).difference_update(known(lab, targets))

    return begin, end


def vanish(lab: SimulatedLab, targets: tuple[str, ...]) -> None:
    """Take the NAS off the network."""
    lab.nas.away = True
    for address in _addresses(lab):
        lab.network.remove_address(address)


def reappear(lab: SimulatedLab, targets: tuple[str, ...]) -> None:
    """Bring the NAS back."""
    for address in _addresses(lab):
        lab.network.add_address(address)
    lab.nas.away = False


def _addresses(lab: SimulatedLab) -> list[IPv4Address]:
    found = []
    for server in lab.wanted.nfs:
        with suppress(ValueError):
            found.append(IPv4Address(server.server))
    return found


def fill(lab: SimulatedLab, targets: tuple[str, ...]) -> None:
    """Leave no space on the NAS's datastores."""
    lab.nas.full = True


def make_room(lab: SimulatedLab, targets: tuple[str, ...]) -> None:
    """Give the space back."""
    lab.nas.full = False


def boot_again(lab: SimulatedLab, served: ServedHost) -> None:
    """A person at the console switches a host that has no network off and on."""
    if served.host.power.state == "unreachable":
        served.host.power.reboot()


def new_certificate(lab: SimulatedLab, served: ServedHost) -> None:
    """The host makes itself another certificate."""
    before = served.api.use_certificate(self_signed(served.host.name, served.host.settings.network.address))
    lab.certificates.setdefault(served.host.name, before)


def old_certificate(lab: SimulatedLab, served: ServedHost) -> None:
    """The host gets its first certificate back."""
    served.api.use_certificate(lab.certificates.pop(served.host.name))


def change_host_key(lab: SimulatedLab, served: ServedHost) -> None:
    """The host makes itself another SSH host key."""
    lab.host_keys.setdefault(served.host.name, served.shell.host_key)
    served.shell.host_key = new_host_key()


def restore_host_key(lab: SimulatedLab, served: ServedHost) -> None:
    """The host gets its first SSH host key back."""
    served.shell.host_key = lab.host_keys.pop(served.host.name)


def unlock(lab: SimulatedLab, served: ServedHost) -> None:
    """Forget failed logins."""
    served.host.account.unlock()


def free_licence(lab: SimulatedLab, served: ServedHost) -> None:
    """Assign the free licence, and have SSH on: its owner switched it on at the console, for the API cannot."""
    lab.licences.setdefault(served.host.name, served.host.licence)
    served.host.licence = "free"
    ssh = served.host.services["TSM-SSH"]
    lab.ssh_before.setdefault(served.host.name, (ssh.running, ssh.policy))
    served.host.services.set("TSM-SSH", running=True, policy="on")


def old_licence(lab: SimulatedLab, served: ServedHost) -> None:
    """Assign the licence from before; SSH runs and starts as it did."""
    served.host.licence = lab.licences.pop(served.host.name)
    running, policy = lab.ssh_before.pop(served.host.name)
    served.host.services.set("TSM-SSH", running=running, policy=policy)


def skew(lab: SimulatedLab, served: ServedHost) -> None:
    """Put the host's clock forward."""
    served.host.set_clock(SKEW)


def set_right(lab: SimulatedLab, served: ServedHost) -> None:
    """Put the host's clock right."""
    served.host.set_clock(timedelta(0))


def on_guests(
    begin: Callable[[GuestHarm, tuple[str, ...]], None], end: Callable[[GuestHarm, tuple[str, ...]], None]
) -> tuple[Effect, Effect]:
    """Two effects on guests."""

    def effect(one: Callable[[GuestHarm, tuple[str, ...]], None]) -> Effect:
        def on_all(lab: SimulatedLab, targets: tuple[str, ...]) -> None:
            assert lab.guests is not None
            one(lab.guests, tuple(map(short_name, targets)))

        return on_all

    return effect(begin), effect(end)


def signalled(number: signal.Signals, program: str) -> tuple[Effect, Effect]:
    """Send a signal to a program of guests for as long as the fault lasts."""
    return on_guests(
        lambda harm, names: harm.send(number, program, names),
        lambda harm, names: harm.end_send(number, program, names),
    )


def unplug(lab: SimulatedLab, targets: tuple[str, ...]) -> None:
    """Pull the plug of balancers that are on."""
    for host in (served.host for served in lab.hosts.values()):
        for vm in [vm for vm in host.registered_vms.values() if vm.name in map(short_name, targets) and vm.powered_on]:
            lab.balancers.add(vm.name)
            host.vm_power.off(vm)


def plug_in(lab: SimulatedLab, targets: tuple[str, ...]) -> None:
    """Switch those on again that nobody has switched on meanwhile."""
    for name in map(short_name, targets):
        if name in lab.balancers:
            lab.balancers.discard(name)
            for served in lab.hosts.values():
                vm = served.host.vms.named(name)
                with suppress(Refusal):
                    if vm and not vm.powered_on:
                        served.host.vm_power.on(vm)


EFFECTS: Mapping[str, tuple[Effect, Effect]] = {
    "nas-refuses": on_nas("denied"),
    "nas-read-only": on_nas("read_only_to"),
    "nas-squashes-root": on_nas("squashed"),
    "nas-vanishes": (vanish, reappear),
    "reboot-hangs": state("reboot_hangs", True),
    "no-network-after-boot": state("no_driver", True, boot_again),
    "hostd-late": state("api_delay_seconds", HOSTD_LATE_SECONDS, lambda lab, served: served.host.power.answer_now()),
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
