"""Step `usb-housekeeping`: a host that boots from a stick keeps its logs on a datastore, not in memory.

Everything takes effect with the next boot, which is the one that the driver fix needs too (esxi-facts, Hosts that boot
from USB).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from homelab.engine.step import Blocked, Change, Node, Planned, Step, Words
from homelab.errors import Refused
from homelab.lab import Lab
from homelab.ports.vsphere import HostLook
from homelab.ports.vsphere.folders import Folder
from homelab.ports.vsphere.host_look import CONFIGURED_SCRATCH
from homelab.ports.world import World
from homelab.steps.hosts.host_state import awaits_scratch, log_folder, log_store

LOG_DIR, LOG_DIR_UNIQUE = "Syslog.global.logDir", "Syslog.global.logDirUnique"
DEFAULT_LOGS = ("", "[] /scratch/log", "/scratch/log")
VOLUMES = "/vmfs/volumes"
# An empty folder of this name tells whose a folder is; a MAC address follows.
MARK = ".homelab-"
SHOWN = 5
# What ESXi itself makes in a scratch folder, and the folder for logs that we name.
MADE_BY_ESXI = {".locker", "core", "downloads", "log", "logs", "osdata", "var", "vmkdump", "vsantraces"}


@dataclass(frozen=True)
class KeepLogs(Change):
    """Put scratch of one host on a datastore, in a folder with its mark.

    `logs` and `core_dumps` follow where nobody chose a place for them; `dump_file` is the name of the file.
    """

    datastore: str
    directory: str
    folder: str
    mark: str
    dump_file: str
    logs: bool = True
    core_dumps: bool = False
    worn_out: bool = False
    disruptive = True

    def _words(self) -> Words:
        return Words(
            sentence=self._sentence,
            reason=self._reason,
            undo=self._undo,
            before="in memory",
            after=f"[{self.datastore}] {self.folder}",
        )

    @property
    def _sentence(self) -> str:
        parts = ["scratch", *(["logs"] if self.logs else []), *(["core dumps"] if self.core_dumps else [])]
        what = " and ".join(filter(None, (", ".join(parts[:-1]), parts[-1])))
        return f"keep {what} of {self.target} in [{self.datastore}] {self.folder}, from its next boot on"

    @property
    def _reason(self) -> str:
        more = "; from 7.0 on a stick wears out, give the host a disk" if self.worn_out else ""
        return f"{self.target} boots from a stick and keeps its logs in memory, where a reboot loses them{more}"

    @property
    def _undo(self) -> str:
        ways = [f'vim-cmd hostsvc/advopt/update {CONFIGURED_SCRATCH} string ""']
        ways += [f'vim-cmd hostsvc/advopt/update {LOG_DIR} string "[] /scratch/log"'] if self.logs else []
        ways += ["esxcli system coredump file set --unconfigure"] if self.core_dumps else []
        return f"{'; '.join(ways)} on {self.target}, then reboot"


@dataclass(frozen=True)
class UsbHousekeepingState:
    """What the step sees: the host, and another host that shows the same certificate, if there is one.

    `folder` is what lies already where its logs are to go, `dump_file` the file for core dumps that it has.
    """

    look: HostLook
    twin: str | None = None
    folder: Folder | None = None
    dump_file: str = ""


class UsbHousekeeping(Step[UsbHousekeepingState, KeepLogs]):
    """One node for each host."""

    name = "usb-housekeeping"

    def targets(self, lab: Lab) -> Sequence[str]:
        """Every ESXi host, when there is a datastore for its logs."""
        return [host.name for host in lab.esxi if log_store(lab, host.name)]

    def after(self, lab: Lab, target: str) -> Sequence[Node]:
        """The host has answered."""
        return [Node("boot-media", target)]

    def settled(self, lab: Lab, target: str) -> Sequence[Node]:
        """The datastores have been tried."""
        return [Node("nfs-datastore", target), Node("local-datastore", target)]

    def observe(self, world: World, lab: Lab, target: str) -> UsbHousekeepingState:
        """The host's look, whether its stick is a copy (copies share the certificate), and what a change would meet."""
        look, twin = world.host(target), world.lan.twin(target)
        store = log_store(lab, target) or ""
        if twin or not awaits_scratch(lab, target, look) or look.directory_of(store) is None:
            return UsbHousekeepingState(look, twin)
        dump_file = world.reader(target).dump_file() if look.vmfs_named(store) else ""
        return UsbHousekeepingState(look, None, world.reader(target).folder(store, log_folder(lab, target)), dump_file)

    def plan(self, lab: Lab, target: str, observed: UsbHousekeepingState) -> Sequence[Planned[KeepLogs]]:
        """Give logs a place when they have none; a place that somebody chose is left alone."""
        look = observed.look
        if observed.twin:
            raise Refused(
                f"{target} shows the same certificate as {observed.twin}: one of their sticks is a copy of the other",
                where=target,
                advice="Copies share UUIDs and keys, which ESXi does not support: install one of the two sticks anew",
            )
        if not awaits_scratch(lab, target, look):
            return []
        store = log_store(lab, target) or ""
        directory = look.directory_of(store)
        if directory is None:
            return [Blocked(target, f"the datastore {store} is mounted on {target} and answers")]
        folder = log_folder(lab, target)
        if problem := _taken(look, observed.folder):
            raise Refused(
                f"[{store}] {folder} is to hold the logs of {target}, and {problem}",
                where=target,
                advice="Move it away or delete it yourself, or give this lab another lab_name, and run again",
            )
        return [
            KeepLogs(
                target,
                datastore=store,
                directory=directory,
                folder=folder,
                mark=_marks(look)[0],
                dump_file=f"homelab-{lab.host(target).short_name}",
                logs=look.options.get(LOG_DIR) in (*DEFAULT_LOGS, _log_dir(store, folder)),
                core_dumps=look.vmfs_named(store) is not None and not observed.dump_file,
                worn_out=int(look.version.split(".")[0]) >= 7,
            )
        ]

    def apply(self, world: World, change: KeepLogs) -> None:
        """Core dumps and logs first, scratch last: its setting is what the next look goes by."""
        with world.writer(change.target) as writer:
            writer.make_folder(change.datastore, f"{change.folder}/{change.mark}")
            if change.core_dumps:
                writer.add_coredump_file(change.datastore, change.dump_file)
            if change.logs:
                writer.set_options({LOG_DIR: _log_dir(change.datastore, change.folder), LOG_DIR_UNIQUE: True})
            writer.set_options({CONFIGURED_SCRATCH: f"{VOLUMES}/{change.directory}/{change.folder}"})


def _log_dir(datastore: str, folder: str) -> str:
    return f"[{datastore}] {folder}/logs"


def _marks(look: HostLook) -> list[str]:
    """The marks that a folder of this machine may carry: another stick in it is still the same machine."""
    macs = [nic.mac for nic in sorted(look.nics, key=lambda nic: nic.name) if nic.mac]
    return [f"{MARK}{mac.replace(':', '').lower()}" for mac in macs] or [f"{MARK}unknown"]


def _taken(look: HostLook, folder: Folder | None) -> str | None:
    """Whose a folder is, when it is not this host's; one that only ESXi wrote to and nobody marked is taken over."""
    names = set(folder.names) if folder else set()
    marks = {name for name in names if name.startswith(MARK)}
    if marks and not marks & set(_marks(look)):
        return f"it carries the mark of another machine ({', '.join(sorted(marks))})"
    strange = sorted(names - marks - MADE_BY_ESXI)
    if strange:
        more = f" and {len(strange) - SHOWN} more" if len(strange) > SHOWN else ""
        return f"something else lies there: {', '.join(strange[:SHOWN])}{more}"
    return None
