"""Which driver holds each NIC of a host, which one will after a boot, and what is wrong with that. Pure.

What is judged is what the host needs: the uplinks of its switches, above all those of the management network.
"""

from collections.abc import Sequence

from homelab.lab import Lab
from homelab.ports.esxi.shell import BootLook
from homelab.ports.vsphere import HostLook, NicLook

WRONG, RIGHT = "ne1000", "e1000e"
# The only releases that have both drivers (esxi-facts, The driver fix).
FIXABLE = ("6.5.", "6.7.")
WITH_VMKLINUX = ("5.", "6.")
OPT_OUT = "esxi_disabled_modules: []"


def fixable(look: HostLook) -> bool:
    """Whether the release has both drivers."""
    return look.version.startswith(FIXABLE)


def wanted_as_it_is(lab: Lab, target: str) -> bool:
    """Whether the inventory says that ne1000 stays on this host."""
    modules = lab.host(target).disabled_modules
    return modules is not None and WRONG not in modules


def enabled(look: HostLook, driver: str) -> bool:
    """Whether a driver is there for the next boot. One that is no module, as of a NIC on USB, cannot be disabled."""
    module = look.modules.get(driver)
    return module is None or module.enabled


def needs_fix(lab: Lab, target: str, look: HostLook) -> tuple[NicLook, ...]:
    """The NICs in use that ne1000 holds, or will again, and ought not to; empty when the host stays as it is."""
    wrong = look.modules.get(WRONG)
    if wanted_as_it_is(lab, target) or wrong is None or not wrong.enabled:
        return ()
    return tuple(nic for nic in look.used_nics if nic.driver in (WRONG, RIGHT))


def to_undo(look: HostLook) -> bool:
    """Whether the fix is there to be taken back: ne1000 is disabled."""
    wrong = look.modules.get(WRONG)
    return wrong is not None and not wrong.enabled


def unused_of_wrong(look: HostLook) -> tuple[NicLook, ...]:
    """The NICs that ne1000 holds and that are the uplink of no switch: the fix touches them too."""
    used = {nic.name for nic in look.used_nics}
    return tuple(nic for nic in look.nics if nic.driver == WRONG and nic.name not in used)


def unclaimed(nics: Sequence[NicLook], boot: BootLook, look: HostLook) -> tuple[NicLook, ...]:
    """The NICs that e1000e does not hold and that its map does not name."""
    return tuple(nic for nic in nics if nic.driver != RIGHT and RIGHT not in claimants(nic, boot, look))


def claimants(nic: NicLook, boot: BootLook, look: HostLook) -> set[str]:
    """The drivers whose map names a NIC, and that this release can load; a legacy one needs vmklinux."""
    legacy = look.version.startswith(WITH_VMKLINUX) and not any(
        name.startswith("vmklinux") and not module.enabled for name, module in look.modules.items()
    )
    return {c.driver for c in boot.claims if (c.native or legacy) and c.names(nic.pci_id, nic.subsystem)}


def lost_at_boot(look: HostLook, boot: BootLook | None) -> tuple[NicLook, ...]:
    """The NICs of the management network that no enabled driver would claim after a boot.

    A driver that holds a NIC now, and stays enabled, keeps it or leaves it to another one. Only where it is disabled
    the maps decide. Unread (`boot` is None) they are taken for naming the other one of ne1000 and e1000e.
    """
    return tuple(nic for nic in look.management_nics if not enabled(look, nic.driver) and not _taken(nic, look, boot))


def _taken(nic: NicLook, look: HostLook, boot: BootLook | None) -> bool:
    if boot is not None:
        return any(name in look.modules and look.modules[name].enabled for name in claimants(nic, boot, look))
    other = {WRONG: RIGHT, RIGHT: WRONG}.get(nic.driver)
    return other is None or (other in look.modules and look.modules[other].enabled)


def in_doubt(look: HostLook) -> tuple[NicLook, ...]:
    """The NICs of the management network of which only the maps tell whether a boot finds a driver for them."""
    return tuple(nic for nic in look.management_nics if not enabled(look, nic.driver))


def names(nics: Sequence[NicLook]) -> str:
    """NICs as people read them: `vmnic0 (8086:15d8), vmnic1 (8086:1539)`."""
    return ", ".join(map(str, nics))
