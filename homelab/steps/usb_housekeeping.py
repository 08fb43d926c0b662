"""Step `usb-housekeeping`: a host that boots from a stick keeps its logs on a datastore, not in memory.

Everything takes effect with the next boot, which is the one that the driver fix needs too (esxi-facts, Hosts that boot
from USB).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from homelab.errors import Refused
from homelab.lab import Lab
from homelab.ports.vsphere import HostLook
from homelab.ports.vsphere.host_look import CONFIGURED_SCRATCH
from homelab.ports.world import World
from homelab.step import Blocked, Change, Node, Planned, Step
from homelab.steps.host_state import awaits_scratch, log_folder, log_store

LOG_DIR, LOG_DIR_UNIQUE = "Syslog.global.logDir", "Syslog.global.logDirUnique"
VOLUMES = "/vmfs/volumes"


@dataclass(frozen=True)
class KeepLogs(Change):
    """Put scratch and logs of one host on a datastore; its core dumps too where that is VMFS."""

    datastore: str
    directory: str
    folder: str
    core_dumps: bool
    worn_out: bool = False
    disruptive = True

    @property
    def sentence(self) -> str:
        """What will be done."""
        what = "scratch, logs and core dumps" if self.core_dumps else "scratch and logs"
        return f"keep {what} of {self.target} in [{self.datastore}] {self.folder}, from its next boot on"

    @property
    def reason(self) -> str:
        """Why."""
        more = "; from 7.0 on a stick wears out, give the host a disk" if self.worn_out else ""
        return f"{self.target} boots from a stick and keeps its logs in memory, where a reboot loses them{more}"

    @property
    def before(self) -> str:
        """As found."""
        return "in memory"

    @property
    def after(self) -> str:
        """As wanted."""
        return f"[{self.datastore}] {self.folder}"

    @property
    def undo(self) -> str:
        """How to go back."""
        return f'vim-cmd hostsvc/advopt/update {CONFIGURED_SCRATCH} string "" on {self.target}, then reboot'


@dataclass(frozen=True)
class Logs:
    """What the step sees: the host, and another host that shows the same certificate, if there is one."""

    look: HostLook
    twin: str | None = None


class UsbHousekeeping(Step):
    """One node a host."""

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

    def observe(self, world: World, target: str) -> Logs:
        """The host's look, and whether its stick is a copy: copies share the certificate."""
        return Logs(world.host(target), world.twin(target))

    def plan(self, lab: Lab, target: str, observed: Logs) -> Sequence[Planned]:
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
        on_vmfs = look.vmfs_named(store) is not None
        worn_out = int(look.version.split(".")[0]) >= 7
        return [KeepLogs(target, store, directory, folder, core_dumps=on_vmfs, worn_out=worn_out)]

    def apply(self, world: World, change: KeepLogs) -> None:
        """Core dumps and logs first, scratch last: its setting is what the next look goes by."""
        with world.writer(change.target) as writer:
            if change.core_dumps:
                writer.add_coredump_file(change.datastore, f"homelab-{change.target}")
            writer.make_folder(change.datastore, change.folder)
            writer.set_options({LOG_DIR: f"[{change.datastore}] {change.folder}/logs", LOG_DIR_UNIQUE: True})
            writer.set_options({CONFIGURED_SCRATCH: f"{VOLUMES}/{change.directory}/{change.folder}"})
