"""What keeps `driver-fix` from doing harm, each guard in words; and why a host is left alone. Pure."""

from collections.abc import Sequence

from homelab.errors import Refused
from homelab.lab import Lab
from homelab.ports.esxi.shell import BootLook
from homelab.ports.vsphere import HostLook, NicLook
from homelab.steps.hosts.nic_drivers import (
    OPT_OUT,
    RIGHT,
    WRONG,
    fixable,
    names,
    needs_fix,
    unclaimed,
    unused_of_wrong,
)

VIB = "net-e1000e"


def check_drivers(target: str, look: HostLook, nics: Sequence[NicLook], vibs: Sequence[str] | None) -> None:
    """Refuse whenever no driver would be left for the NICs; nobody can overrule that. `vibs` is None when not asked."""
    if not fixable(look):
        raise Refused(
            f"ESXi {look.version} has no other driver than {WRONG} for {names(nics)}; disabling it would take the "
            "host off the network",
            where=target,
            advice=f"Leave this host as it is; the fix is for 6.5 and 6.7 only. {_opt_out()}",
        )
    if vibs is not None and VIB not in vibs:
        raise Refused(
            f"the package {VIB} is not installed, so no driver would be left for {names(nics)}",
            where=target,
            advice=f"Install {VIB} for ESXi {look.version} first, then run again. {_opt_out()}",
        )
    if RIGHT not in look.modules:
        raise Refused(
            f"the module {RIGHT} is not there, so no driver would be left for {names(nics)}",
            where=target,
            advice=f"Install {VIB} for ESXi {look.version} again, then run again. {_opt_out()}",
        )
    _check_missing(target, look)


def _check_missing(target: str, look: HostLook) -> None:
    """Refuse while a NIC has no driver that the next boot may give to ne1000: it would be taken away again unseen."""
    missing = ", ".join(look.network.missing)
    if missing and not look.modules[WRONG].loaded:
        raise Refused(
            f"{missing} has no driver now, and {WRONG}, which was enabled since the last boot, may be the one for it",
            where=target,
            advice=f"Reboot the host first: then it shows which driver takes {missing}. If it is not in the host any "
            "more, take it out of its switch",
        )


def check_claims(target: str, nics: Sequence[NicLook], boot: BootLook, look: HostLook) -> None:
    """Refuse when the map of e1000e does not name a NIC that it would have to take."""
    left = unclaimed(nics, boot, look)
    if left:
        raise Refused(
            f"the driver map of {RIGHT} does not name {_ids(left)}, so no driver would be left for "
            f"{', '.join(nic.name for nic in left)}",
            where=target,
            advice=f"Look at /etc/vmware/driver.map.d/{RIGHT}.map on the host; nothing was changed. {_opt_out()}",
        )


def _ids(nics: Sequence[NicLook]) -> str:
    return ", ".join(dict.fromkeys(nic.pci_id or "a NIC without a PCI id" for nic in nics))


def check_medium(target: str, boot: BootLook) -> None:
    """Refuse to set what the next boot would not know: a host that lost its boot medium goes on from memory."""
    if boot.medium_problem:
        raise Refused(
            f"{boot.medium_problem}: its boot medium was lost, so nothing that is set now outlives a reboot, and it "
            "may not start again",
            where=target,
            advice="Do not switch it off yet: move its VMs away or back them up, and look at its stick (`ls -l /`, "
            "`esxcli storage core device list` there). Make a new one (`homelab usb build`) and restore the "
            "configuration that is kept in .homelab/backups; nothing was changed",
        )


def _opt_out() -> str:
    return f"Where {WRONG} works, {OPT_OUT} in the inventory leaves the host alone"


def remarks(lab: Lab, target: str, look: HostLook, *, asked: bool) -> list[str]:
    """Why nothing is done about a host, where a person might expect it; `asked` when one named the host."""
    said = [remark for remark in (_misnamed(lab, target, look),) if remark]
    wrong = needs_fix(lab, target, look)
    if wrong and not fixable(look) and not asked:
        said.append(
            f"{names(wrong)}: held by {WRONG}, and left alone: ESXi {look.version} has no other driver. If it works, "
            f"{OPT_OUT} in the inventory ends this remark"
        )
    others = [nic for nic in look.management_nics if nic.driver not in (WRONG, RIGHT)]
    if not wrong and others and (asked or any(nic.on_usb for nic in others)):
        held = ", ".join(f"{nic} by {nic.driver or 'nothing'}" for nic in others)
        said.append(f"the management network is left alone: {WRONG} does not hold it ({held})")
        if unused := unused_of_wrong(look):
            said.append(f"{names(unused)}: held by {WRONG}, and left alone: no switch uses it")
    return said


def _misnamed(lab: Lab, target: str, look: HostLook) -> str | None:
    """What the inventory says of the management NIC is told apart from what the host says; the host's word counts."""
    said, switch = lab.host(target).management_nic, look.network.management
    uplinks = look.network.uplinks.get(switch, ())
    if said is None or not uplinks or said in uplinks:
        return None
    return (
        f"esxi_management_nic is {said}, and the management network is on {switch} with {', '.join(uplinks)}; these "
        "are what is judged"
    )
