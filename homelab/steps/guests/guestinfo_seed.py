"""Taking a seed out of a VM's own configuration, once its guest has read it.

Over the API that is done while the VM runs. In a host's shell a .vmx can be changed only of a VM that is off, and what
the guest itself sets by vmware-rpctool is not known to reach the file. So there the fresh guest starts once more.
"""

from dataclasses import dataclass

from homelab.engine.step import Change, Words
from homelab.formats.guest.guestinfo import KEYS
from homelab.ports.vsphere.vm_look import SEEDED
from homelab.ports.world import World
from homelab.steps.vms.vm_changes import PowerOnVm, ShutDownVm
from homelab.steps.vms.vm_ends import SHUT_DOWN_SECONDS
from homelab.steps.vms.vm_power import shut_down, switch_on

TASK_SECONDS = 120.0
REASON = "it was read, and it holds secrets"
UNDO = "not needed: a guest reads its seed once"


@dataclass(frozen=True)
class ClearGuestinfo(Change):
    """Take our seed out of the configuration of the VM of a .vmx, which is on."""

    host: str
    vmx: str

    def _words(self) -> Words:
        return Words(
            sentence=f"take the seed out of the configuration of the VM {self.target} on {self.host}",
            reason=REASON,
            undo=UNDO,
            before="in guestinfo.metadata and guestinfo.userdata",
            after="gone",
        )


@dataclass(frozen=True)
class RestartWithoutGuestinfo(Change):
    """Shut down the VM of a .vmx, take our seed out of that file, switch it on again, and wait for its guest.

    So many seconds at most, at its address.
    """

    disruptive = True

    host: str
    vmx: str
    address: str
    seconds: int

    def _words(self) -> Words:
        return Words(
            sentence=f"restart the VM {self.target} on {self.host}, and take the seed out of its .vmx meanwhile",
            reason=f"{REASON}; the API of {self.host} only reads, and the .vmx of a VM that runs cannot be changed",
            undo=UNDO,
            before=f"in {self.vmx}",
            after="gone",
        )


def clear(world: World, change: ClearGuestinfo | RestartWithoutGuestinfo) -> None:
    """Take it away; a VM that starts once more for that is switched on, and its guest not waited for."""
    restarts = isinstance(change, RestartWithoutGuestinfo)
    if restarts:
        shut_down(world, ShutDownVm(change.target, change.host, change.vmx, SHUT_DOWN_SECONDS))
    progress = world.progress(f"the seed of {change.target} is gone", TASK_SECONDS)
    with world.vm_writer(change.host) as writer:
        # The mark goes with it: whatever stands in guestinfo later is somebody else's.
        keys = (*KEYS, SEEDED)
        writer.clear_settings(change.vmx, change.target, keys, seconds=TASK_SECONDS, progress=progress)
    if restarts:
        switch_on(world, PowerOnVm(change.target, change.host, change.vmx))
