"""The VMs that live on the hosts now, for the collection's inventory plugin `vms`; changes nothing."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from homelab.commands.lab_run import LabRun, open_run
from homelab.commands.options import Options
from homelab.errors import HomelabError
from homelab.lab import Lab, Vm, meant
from homelab.output.ui import Ui
from homelab.ports.guest.look import GuestLook
from homelab.ports.vsphere import HostLook, VmLook
from homelab.ports.vsphere.vm_look import IMAGE, LAB, MADE, NAME
from homelab.ports.world import pinned_keys

GROUPS = ("control_plane", "load_balancers", "workers")
LOOKS = 16


class Told(Ui):
    """Sentences for whoever asks; the inventory is the result."""

    def __init__(self, say: Callable[[str], None]) -> None:
        super().__init__(color=False)
        self._say = say

    @property
    def there(self) -> bool:
        """Nobody is asked."""
        return False

    def note(self, text: str) -> None:
        """As Ui; what is only remarked does not belong among an inventory's warnings."""

    def warn(self, text: str) -> None:
        """As Ui."""
        self._say(self._masks.text(text))


@dataclass(frozen=True)
class LivingVm:
    """One VM: what the inventory calls it, the inventory's groups that it is in, and its variables."""

    name: str
    groups: tuple[str, ...]
    variables: Mapping[str, Any]


def living_vms(sources: Sequence[Path], say: Callable[[str], None], *, facts: bool) -> list[LivingVm]:
    """Every VM with a mark of this lab on a host that answers; with what the guests tell, when `facts` are wanted.

    `say` is told which hosts cannot be asked. Raises HomelabError where the inventory itself cannot be read.
    """
    run = open_run(Options(tuple(sources), None, False, Told(say)), ())
    with run.world.run.connected():
        looks = run.world.reachable_hosts()
        for name in run.world.silent_hosts:
            say(f"{name} cannot be asked; its VMs are left out")
        found = living(run.lab, looks)
        with ThreadPoolExecutor(LOOKS) as pool:
            guests = list(pool.map(lambda vm: _of_guest(run, vm) if facts else {}, found))
    login = _login(run)
    return [
        LivingVm(vm.name, vm.groups, {**vm.variables, **(login if vm.groups else {}), **guest})
        for vm, guest in zip(found, guests, strict=True)
    ]


def living(lab: Lab, looks: Mapping[str, HostLook]) -> list[LivingVm]:
    """The VMs with a mark of this lab that the hosts tell of; copies of them are none. Pure."""
    found = []
    for host, look in looks.items():
        for vm in look.vms:
            if vm.marks.get(LAB) == lab.name and vm.marks.get(NAME) and vm.original:
                name = vm.marks[NAME]
                own = lab.vm(known) if (known := meant(name, [one.name for one in lab.vms])) else None
                found.append(LivingVm(own.name if own else name, _groups(lab, own), _variables(lab, host, vm, own)))
    return found


def _groups(lab: Lab, vm: Vm | None) -> tuple[str, ...]:
    return tuple(group for group in GROUPS if vm in getattr(lab, group))


def _variables(lab: Lab, host: str, vm: VmLook, own: Vm | None) -> dict[str, Any]:
    """An address is known of those alone that are in the inventory."""
    address = {"ansible_host": str(own.address), "ansible_user": lab.guests.user} if own else {}
    return {
        **address,
        "homelab_lab": lab.name,
        "homelab_host": host,
        "homelab_power": "on" if vm.powered_on else "off",
        "homelab_datastore": vm.path.removeprefix("[").partition("]")[0],
        "homelab_image": vm.marks.get(IMAGE, ""),
        "homelab_made": vm.marks.get(MADE, ""),
        "homelab_cpus": vm.cpus,
        "homelab_memory_mib": vm.memory_mib,
        "homelab_macs": [nic.mac for nic in vm.nics],
        "homelab_wanted": own is not None,
    }


def _of_guest(run: LabRun, vm: LivingVm) -> dict[str, Any]:
    """What a guest tells of itself; a template in it would be one of somebody else's, and Ansible trusts none here."""
    if not vm.groups or vm.variables["homelab_power"] != "on":
        return {"homelab_answers": False}
    try:
        look = run.world.guest(vm.name)
    except HomelabError as error:
        return {"homelab_answers": False, "homelab_problem": error.what}
    if not isinstance(look, GuestLook):
        return {"homelab_answers": False, "homelab_problem": look.reason}
    return {
        "homelab_answers": True,
        "homelab_cloud_init": look.cloud_init,
        "homelab_roles": sorted(look.receipts),
        "homelab_drifted": sorted(role for role, receipt in look.receipts.items() if receipt.drift),
        "homelab_kubernetes_version": look.kubernetes_version,
    }


def _login(run: LabRun) -> dict[str, str]:
    """How somebody else's playbook logs in as homelab does, trusting the host keys that the VMs' marks told."""
    key = {} if run.lab.guests.authorized_keys else {"ansible_ssh_private_key_file": str(run.files.trust.key)}
    return {**key, "ansible_ssh_common_args": pinned_keys(run.files)}
