"""What the host steps conclude from a look: shared by those that configure and by the one that reboots. Pure."""

from collections.abc import Sequence

from homelab.engine.step import Row
from homelab.lab import Lab
from homelab.ports.vsphere import HostLook
from homelab.ports.vsphere.host_look import CONFIGURED_SCRATCH, CURRENT_SCRATCH
from homelab.steps.hosts.nic_drivers import WRONG

IN_MEMORY = ("", "/tmp/scratch")


def row_of(hosts: Sequence[str]) -> Row:
    """Hosts reboot one after another; the first that does not come back stops the rest.

    Where a person named them (`hosts`), one that is refused stops the rest as well.
    """
    return Row("named hosts", "failure") if hosts else Row("hosts")


def log_store(lab: Lab, target: str) -> str | None:
    """The datastore for a host's logs: its own, which needs no network, else the NAS; None when there is neither."""
    return lab.host(target).local_datastore or next((nas.datastore for nas in lab.nfs), None)


def log_folder(lab: Lab, target: str) -> str:
    """The folder of a host's own for scratch and logs, on whatever datastore they lie."""
    return f"homelab/{lab.name}/hosts/{lab.host(target).short_name}"


def awaits_scratch(lab: Lab, target: str, look: HostLook) -> bool:
    """Whether the host keeps its logs in memory and is not told otherwise yet; a place of its own choice is left."""
    known = CURRENT_SCRATCH in look.options
    return known and log_store(lab, target) is not None and look.options.get(CONFIGURED_SCRATCH, "") in IN_MEMORY


def scratch_pending(look: HostLook) -> bool:
    """Whether scratch is configured on a datastore, and still in memory until the next boot."""
    configured = look.options.get(CONFIGURED_SCRATCH, "")
    return configured not in IN_MEMORY and look.options.get(CURRENT_SCRATCH, "") in IN_MEMORY


def differences(look: HostLook) -> list[str]:
    """Everything that is configured and does not run yet, a sentence each."""
    wrong = look.modules.get(WRONG)
    disabled = wrong is not None and not wrong.enabled
    found = []
    if disabled and wrong is not None and wrong.loaded:
        found.append(f"{WRONG} is disabled and still runs")
    if disabled and look.prefers_vmklinux:
        found.append(f"{WRONG} is disabled, and the boot option preferVmklinux that did its work is still set")
    if scratch_pending(look):
        found.append("scratch is configured on a datastore and still lies in memory")
    return found
