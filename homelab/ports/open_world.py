"""The world of one run, put together: what is asked for once, and how."""

import functools
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from homelab.errors import Starting, TrustError, Unreachable
from homelab.formats.trust.known_hosts import known_host_name
from homelab.formats.trust.ssh_key import BadKey, host_key
from homelab.lab import EsxiHost, Lab, short_name
from homelab.ports import ssh
from homelab.ports.ansible.inventory import Vault
from homelab.ports.ansible.sources import role_digest
from homelab.ports.esxi.kept_shells import KeptShells
from homelab.ports.esxi.shell import SERVICE as SSH
from homelab.ports.esxi.shell import backup_path
from homelab.ports.files.data import data_folder
from homelab.ports.files.home import HomeFiles
from homelab.ports.files.named import named_file, sha256_of, text_of
from homelab.ports.files.ssh_notes import ssh_seen_off
from homelab.ports.guest import look as guest
from homelab.ports.guest.look import GuestAway, GuestLook
from homelab.ports.kubernetes.cluster import ClusterReader
from homelab.ports.lan import Lan
from homelab.ports.looks import Looks
from homelab.ports.net.nfs import look_at_export
from homelab.ports.run_context import RunContext
from homelab.ports.vsphere import HostLook, look
from homelab.ports.vsphere.hosts import configuration_backup
from homelab.ports.vsphere.kept_sessions import KeptSessions
from homelab.ports.vsphere.storage import download
from homelab.ports.vsphere.vm_look import HOST_KEY
from homelab.ports.world import GUEST_SSH_PORT, GUEST_SSH_TIMEOUT, PLAYS, Copies, World

STARTING_PAUSE = 1.0


def open_world(
    lab: Lab, inventories: Sequence[Path], vault: Vault, files: HomeFiles, note: Callable[[str], None]
) -> World:
    """The world of one run. Nothing is asked before a step asks."""
    stop = threading.Event()
    sessions = KeptSessions(files, note, stop)
    lying: Looks[Any] = Looks(_unasked)
    hosts: Looks[HostLook] = Looks(functools.partial(_look_at_host, lab, files, sessions, stop), lying.forget_all)
    shells = KeptShells(files, note, stop)
    exports = Looks(lambda _: look_at_export(lab.nfs[0], [host.address for host in lab.esxi], files))
    world: World

    def look_at_guest(name: str) -> GuestLook | GuestAway:
        return _look_at_guest(world, lab, name)

    world = World(
        _known=lab,
        inventories=tuple(inventories),
        files=files,
        note=note,
        waiting=lambda *_: None,
        run=RunContext(files, stop, sessions, note),
        lan=Lan(lab, files, exports),
        cluster=ClusterReader(
            lab, files, lambda name: world.guest(name), lambda name: world.guest_shell(name, writes=False)
        ),
        _vault=vault,
        _vm_hosts={},
        _hosts=hosts,
        _lying=lying,
        _guests=Looks(look_at_guest),
        _backups=Looks(functools.partial(_keep_backup, lab, files, note, hosts, shells, sessions)),
        _role_digests=Looks(functools.partial(role_digest, data_folder("playbooks"))),
        _file_digests=Looks(lambda path: sha256_of(named_file(inventories[0], path))),
        _file_texts=Looks(lambda path: text_of(named_file(inventories[0], path))),
        _copies=Copies(),
        _plays=threading.BoundedSemaphore(PLAYS),
        _shells=shells,
        _told=set(),
    )
    return world


def _unasked(name: str) -> None:
    raise AssertionError(f"nobody said how {name} is asked for")


def _keep_backup(
    lab: Lab,
    files: HomeFiles,
    note: Callable[[str], None],
    hosts: Looks[HostLook],
    shells: KeptShells,
    sessions: KeptSessions,
    name: str,
) -> Path:
    """Before the first write ever to a host its configuration is kept here: sticks die."""
    if kept := files.backups_of(name):
        return kept[-1]
    host, found = lab.host(name), hosts.get(name)
    if found.api_writes:
        with sessions.use(host) as session:
            path = files.keep_backup(name, configuration_backup(session))
    else:
        made = backup_path(shells.get(host))
        with sessions.use(host) as session:
            path = files.keep_backup(name, download(session, made))
    note(f"{name} is about to be changed for the first time; its configuration is kept in {path}")
    return path


def _look_at_host(lab: Lab, files: HomeFiles, sessions: KeptSessions, stop: threading.Event, name: str) -> HostLook:
    """One look; a host that is just starting is given its API's deadline to know itself."""
    host: EsxiHost = lab.host(name)
    end = time.monotonic() + host.api_timeout
    while True:
        try:
            found = sessions.ask(host, look)
            break
        except Starting:
            if time.monotonic() > end or stop.wait(STARTING_PAUSE):
                raise
    if not found.services.get(SSH, False):
        ssh_seen_off(files, name)
    return found


def _is_nowhere(world: World, lab: Lab, name: str) -> bool:
    """Whether no host has a VM of that name: all of them answered, and tell of each VM what and where it is."""
    vms = [vm for look in world.reachable_hosts().values() for vm in look.vms]
    own = short_name(name)
    told = all(vm.path and vm.name != own and not vm.path.endswith(f"/{own}.vmx") for vm in vms)
    return bool(lab.esxi) and not world.silent_hosts and told


def _look_at_guest(world: World, lab: Lab, name: str) -> GuestLook | GuestAway:
    """A managed guest's host key is known before the first contact: it is in the VM's mark."""
    server = next((nas for nas in lab.nfs if nas.name == name), None)
    address = server.server if server else str(lab.vm(name).address)
    user = (server.user if server else None) or lab.guests.user
    untouched = False
    if server is None and lab.vm(name).managed:
        found = world.vm(name)
        if found is None:
            return GuestAway(f"VM {name} exists", untouched=_is_nowhere(world, lab, name))
        if not found[1].powered_on:
            return GuestAway(f"VM {name} is switched on", untouched=found[1].seeded)
        # Its seed is taken away at the end of its first boot.
        untouched = found[1].seeded
        if mark := found[1].marks.get(HOST_KEY):
            _trust_mark(world.files, name, address, mark, host=found[0])
    key_file = None if lab.guests.authorized_keys or server else world.files.trust.key
    if key_file:
        world.files.trust.own_key()
    login = ssh.Login(name, address, GUEST_SSH_PORT, user, GUEST_SSH_TIMEOUT, key=key_file)
    try:
        with ssh.connect(login, world.files, world.note) as shell:
            return guest.look(shell)
    except Unreachable as error:
        return GuestAway(f"{name} answers on SSH ({error.what})", untouched)


def _trust_mark(files: HomeFiles, name: str, address: str, mark: str, *, host: str) -> None:
    """The key in a VM's mark is this VM's alone. The mark is a host's answer, so it is checked like any other's.

    Raises TrustError when it is no key, or another one than is known for that address.
    """
    where = f"the mark homelab.host_key of the VM {name} on {host}"
    try:
        key = host_key(mark)
    except BadKey as error:
        raise TrustError(
            f"the mark {error}, so nothing is trusted because of it",
            where=where,
            advice=f"Somebody changed it: look at the VM's settings on {host}, or have the VM made anew",
        ) from error
    files.trust.meet_host_key(known_host_name(address, GUEST_SSH_PORT), key, machine=name, where=where)
