"""Whether a VM's own configuration can hold the seed that the inventory wants there. Pure."""

from homelab.errors import Refused
from homelab.formats.guest.cloud_init import first_boot, seed
from homelab.formats.guest.guestinfo import guestinfo, too_large
from homelab.formats.trust.ssh_key import HostKey
from homelab.lab import Lab, Vm
from homelab.steps.vms.vm_identity import mac_of

# More than an ed25519 key pair in OpenSSH's form takes: it is made when the VM is.
KEY_BYTES = 1 << 10


def too_large_a_seed(lab: Lab, vm: Vm) -> str:
    """Why it cannot, with the numbers; empty when it can, or is not to."""
    if lab.guests.seed != "guestinfo":
        return ""
    files = seed(first_boot(lab, vm, mac_of(lab, vm)), HostKey("", ""), "0" * 8)
    return too_large(guestinfo(files), reserve=KEY_BYTES)


def check_seed(lab: Lab, vm: Vm) -> None:
    """Raises Refused when it cannot."""
    if why := too_large_a_seed(lab, vm):
        raise seed_refused(vm.name, why)


def seed_refused(name: str, why: str) -> Refused:
    """The refusal of a seed that is too large."""
    return Refused(
        f"{name} cannot be told what it is: {why}",
        where=name,
        advice="Write fewer guest_authorized_keys, or guest_seed: nocloud, which has room for any number",
    )
