"""The world as steps see it: looks, sessions, shells and plays, all by the inventory's names."""

import shlex
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from itertools import chain, repeat
from pathlib import Path
from typing import Any

from homelab.errors import DeadlinePassed, HomelabError, Interrupted, Refused
from homelab.lab import EsxiHost, Lab, short_name
from homelab.ports import ssh
from homelab.ports.ansible.inventory import Vault
from homelab.ports.choices import Choices
from homelab.ports.esxi.kept_shells import KeptShells
from homelab.ports.esxi.shell import SERVICE as SSH
from homelab.ports.esxi.shell import esxi_shell, switch_off
from homelab.ports.files.data import data_folder
from homelab.ports.files.home import HomeFiles
from homelab.ports.files.record import recorded
from homelab.ports.guest.look import GuestAway, GuestLook
from homelab.ports.host_reader import HostReader
from homelab.ports.host_writer import HostWriter
from homelab.ports.kubernetes.cluster import ClusterReader
from homelab.ports.lan import Lan
from homelab.ports.looks import Looks
from homelab.ports.run_context import RunContext
from homelab.ports.vm_writer import VmWriter
from homelab.ports.vsphere import HostLook, Session, VmLook, look, open_session
from homelab.ports.vsphere.autostart import PutByUs
from homelab.ports.vsphere.vm_look import the_one
from homelab.ports.vsphere.vm_writer import ApiVmWriter

PLAY_SECONDS = 1800.0
# Each is a process or two of Ansible, with some 80 MB.
PLAYS = 8
GUEST_SSH_PORT = 22
GUEST_SSH_TIMEOUT = 15.0
# How often a wait says that it still waits, when its answer stays the same.
REPEAT_SECONDS = 10.0
# What comes soon is seen soon; for all else there is patience.
FIRST_PAUSES = (0.05, 0.1, 0.2)

Report = Callable[[str, datetime, str], None]


@dataclass(frozen=True)
class World:
    """All doors to the lab. `waiting` is told condition, deadline and last answer, `note` sentences for people."""

    inventories: tuple[Path, ...]
    files: HomeFiles
    note: Callable[[str], None]
    waiting: Report
    run: RunContext
    lan: Lan
    cluster: ClusterReader
    # How machines are reached: addresses, credentials, ports. What is wanted of them is the steps' matter.
    _known: Lab
    _vault: Vault
    _vm_hosts: dict[str, str]
    _hosts: Looks[HostLook]
    # What lies on datastores, kept until anything is written anywhere.
    _lying: Looks[Any]
    _guests: Looks[GuestLook | GuestAway]
    _backups: Looks[Path]
    _role_digests: Looks[str]
    _file_digests: Looks[str]
    _file_texts: Looks[str]
    _copies: "Copies"
    _plays: threading.BoundedSemaphore
    _shells: KeptShells
    _told: set[str]
    # What this run has put among the VMs that start with a host.
    starts: PutByUs = field(default_factory=PutByUs)
    # Where this run has said that it makes VMs, and why.
    places: Choices[Any] = field(default_factory=Choices)

    def at(self, report: Report) -> "World":
        """The same world, reporting its waits as one node's."""
        return replace(self, waiting=report)

    # -- looks

    def host(self, name: str) -> HostLook:
        """One look at an ESXi host, asked for once until something is written to it."""
        return self._hosts.get(name)

    def host_at(self, name: str, address: str) -> HostLook:
        """One look at a host at another address than its own, not kept."""
        with open_session(_at(self._known.host(name), address), self.files, self.note) as session:
            return look(session)

    def reachable_hosts(self, *, first: bool = False) -> dict[str, HostLook]:
        """The looks of all hosts that answer; or, as they were `first` seen, of all that ever did."""
        names = [host.name for host in self._known.esxi]
        return self._hosts.first(names) if first else self._hosts.answered(names)

    @property
    def silent_hosts(self) -> tuple[str, ...]:
        """The hosts that cannot be asked, so that nobody knows what VMs they have."""
        looks = self.reachable_hosts()
        return tuple(host.name for host in self._known.esxi if host.name not in looks)

    def vm(self, name: str) -> tuple[str, VmLook] | None:
        """The host that has the VM that is ours, and the VM; None when no reachable host has it.

        Raises Refused when that cannot be told: two VMs carry its mark, or the only one is a copy.
        """
        before, own = self._vm_hosts.get(name), short_name(name)
        if before:
            # A look at a host that was written to since costs two calls: the one that had it is enough.
            with suppress(HomelabError):
                marked = self.host(before).vms_marked(self._known.name, own)
                if len(marked) == 1 and marked[0].original:
                    return before, marked[0]
        hosts = self.reachable_hosts().items()
        found = the_one(name, [(host, vm) for host, look in hosts for vm in look.vms_marked(self._known.name, own)])
        if found:
            self.remember_vm(name, found[0])
        return found

    def remember_vm(self, name: str, host: str) -> None:
        """Ask this host first for that VM."""
        self._vm_hosts[name] = host

    def guest(self, name: str) -> GuestLook | GuestAway:
        """One look at a guest, asked for once until something is written to it."""
        return self._guests.get(name)

    def forget(self, name: str) -> None:
        """Look at a host or guest anew the next time, and at what lies on datastores."""
        self._hosts.forget(name)
        self._guests.forget(name)

    def reader(self, host: str) -> HostReader:
        """What is asked of a host only when it matters, beside its look."""
        return HostReader(
            self._known.host(host),
            self.files,
            self.note,
            self.progress,
            lambda: self.host(host),
            self.run.sessions,
            self._lying,
        )

    def role_digest(self, role: str) -> str:
        """The digest of all that a role is made of."""
        return self._role_digests.get(role)

    def file_digest(self, path: str) -> str:
        """The SHA-256 of a file that the inventory names, relative to its own folder. Raises UsageError."""
        return self._file_digests.get(path)

    def file_text(self, path: str) -> str:
        """The text of a file that the inventory names, relative to its own folder. Raises UsageError."""
        return self._file_texts.get(path)

    # -- writing: whoever opens one of these is about to write, so the look is forgotten afterwards

    @contextmanager
    def session(self, host: str) -> Iterator[Session]:
        """A vSphere session at a host."""
        self._backups.get(host)
        try:
            with self.run.sessions.use(self._known.host(host)) as session:
                yield session
        finally:
            self._hosts.forget(host)

    @contextmanager
    def session_at(self, host: str, address: str) -> Iterator[Session]:
        """A vSphere session at a host that is still at another address than its own."""
        try:
            with open_session(_at(self._known.host(host), address), self.files, self.note, self.run.stop) as session:
                yield session
        finally:
            self._hosts.forget(host)

    @contextmanager
    def writer(self, host: str) -> Iterator[HostWriter]:
        """Whatever the licence lets write to a host: its API, else its shell."""
        if self._api_writes(host):
            from homelab.ports.vsphere.api_writer import ApiWriter

            with self.session(host) as session:
                yield ApiWriter(session)
        else:
            from homelab.ports.esxi.shell_writer import ShellWriter

            with self.shell(host) as shell:
                yield ShellWriter(shell, self.host(host).version)

    @contextmanager
    def vm_writer(self, host: str) -> Iterator[VmWriter]:
        """The same for the host's VMs and their files."""
        if self._api_writes(host):
            with self.session(host) as session:
                yield ApiVmWriter(session)
        else:
            from homelab.ports.esxi.vm_writer import ShellVmWriter
            from homelab.ports.sftp import RemoteFiles

            with self.shell(host) as shell, self.session(host) as session:
                yield ShellVmWriter(session, shell, RemoteFiles(shell, self.run.stop), self.run.stop)

    def _api_writes(self, host: str) -> bool:
        """Whether the licence lets the API write; where it does not, that is told once."""
        look = self._hosts.last(host)
        if not look.api_writes and host not in self._told:
            self._told.add(host)
            self.note(f"{host}: the API only reads ({look.licence}); changes go over SSH")
        return look.api_writes

    @contextmanager
    def copying(self, host: str, datastore: str) -> Iterator[None]:
        """One of the places for copies on a datastore (esxi_copies at once)."""
        with self._copies.place(datastore, self._known.host(host).copies):
            yield

    @contextmanager
    def shell(self, host: str) -> Iterator[ssh.Shell]:
        """The ESXi shell of a host; SSH is left as it was found. One connection a run where nothing else writes."""
        look = self.host(host)
        if not look.api_writes and not look.services.get(SSH, False):
            raise Refused(
                f"the API only reads ({look.licence}), and SSH is off, so nothing can be changed",
                where=f"{host} ({self._known.host(host).address})",
                advice="Switch SSH on at its console (F2, Troubleshooting Options, Enable SSH) and run again",
            )
        running = look.services.get(SSH, False)
        self._backups.get(host)
        try:
            if not look.api_writes:
                yield self._shells.get(self._known.host(host))
                return
            with esxi_shell(
                self._known.host(host),
                running,
                self.files,
                self.note,
                ours=self.reader(host).ssh_left_on(),
                boot_time=look.boot_time,
                stop=self.run.stop,
            ) as shell:
                yield shell
        finally:
            self._hosts.forget(host)

    @contextmanager
    def guest_shell(self, name: str, *, writes: bool = True, seconds: float = GUEST_SSH_TIMEOUT) -> Iterator[ssh.Shell]:
        """A shell of a guest of ours, as the user that its seed made, with or without the intention to write.

        Each answer may take so many seconds.
        """
        key = None if self._known.guests.authorized_keys else self.files.trust.key
        address, user = str(self._known.vm(name).address), self._known.guests.user
        login = ssh.Login(name, address, GUEST_SSH_PORT, user, seconds, key=key)
        try:
            with ssh.connect(login, self.files, self.note) as shell:
                yield shell
        finally:
            if writes:
                self._guests.forget(name)

    def switch_ssh_off(self, host: str) -> None:
        """Switch off what a run of ours left on."""
        try:
            switch_off(self._known.host(host), self.files, self.note)
        finally:
            self._hosts.forget(host)

    def play(self, playbook: str, target: str, variables: Mapping[str, Any], *, skip: Sequence[str] = ()) -> int:
        """Run one of our playbooks for one guest, without some of its roles; how many tasks changed something."""
        from homelab.ports.ansible import play as ansible

        ours = any(vm.name == target for vm in self._known.vms) and not self._known.guests.authorized_keys
        key = {"ansible_ssh_private_key_file": str(self.files.trust.key)} if ours else {}
        play = ansible.Play(
            playbook=data_folder("playbooks") / playbook,
            limit=target,
            skip=skip,
            inventories=self.inventories,
            variables={**variables, **key, "ansible_ssh_common_args": pinned_keys(self.files)},
            environment={"ANSIBLE_HOST_KEY_CHECKING": "1"},
            seconds=PLAY_SECONDS,
            vault=self._vault,
        )
        sentence = f"{playbook} on {target}"
        try:
            with self._plays, recorded(self.files, "play", target, playbook, writes=True):
                deadline = at(PLAY_SECONDS)
                self.run.log(f"--- {sentence}")
                return ansible.run_play(
                    play, self.run.log, lambda last: self.waiting(sentence, deadline, last), self.run.stop
                )
        finally:
            self._guests.forget(target)
            self._lying.forget_all()
            self.lan.exports.forget(target)

    # -- waiting

    def wait(self, sentence: str, probe: Callable[[], str | None], *, seconds: float, where: str, advice: str) -> None:
        """Poll until `probe` returns None; its text is the last answer. Raises DeadlinePassed, Interrupted."""
        end, deadline, last, said = time.monotonic() + seconds, at(seconds), "", 0.0
        pauses = chain(FIRST_PAUSES, repeat(0.25 if seconds < 300 else 0.5))
        while (answer := probe()) is not None:
            if answer != last or time.monotonic() - said > REPEAT_SECONDS:
                self.waiting(sentence, deadline, answer)
                last, said = answer, time.monotonic()
            if time.monotonic() > end:
                raise DeadlinePassed(
                    f"waited {seconds:g} s for: {sentence}; last answer: {answer}", where=where, advice=advice
                )
            if self.run.stop.wait(next(pauses)):
                raise Interrupted("interrupted", where=where, advice="Run again; it goes on where it stopped")

    def progress(self, sentence: str, seconds: float) -> Callable[[str], None]:
        """A reporter of the last answer of something that waits by itself (a task, a transfer)."""
        deadline = at(seconds)
        return lambda last: self.waiting(sentence, deadline, last)


def _at(host: EsxiHost, address: str) -> EsxiHost:
    """A host that is still at another address than its own."""
    return host.model_copy(update={"address": IPv4Address(address)})


def pinned_keys(files: HomeFiles) -> str:
    """Options of ssh: the hosts that are known here, and no others."""
    option = ssh.file_option("UserKnownHostsFile", files.trust.known_hosts)
    return f"-o {shlex.quote(option)} -o StrictHostKeyChecking=yes"


class Copies:
    """At most so many copies at once on one datastore."""

    def __init__(self) -> None:
        self._places: dict[str, threading.BoundedSemaphore] = {}
        self._guard = threading.Lock()

    def place(self, datastore: str, limit: int) -> threading.BoundedSemaphore:
        """The semaphore of a datastore."""
        with self._guard:
            return self._places.setdefault(datastore, threading.BoundedSemaphore(limit))


def at(seconds: float) -> datetime:
    """The moment so many seconds from now."""
    return datetime.now(UTC) + timedelta(seconds=seconds)
