"""The names of guest systems by their ids, as ESXi shows them and as a .vmx has them, and since when each is known."""

import re

# Ids that came after 6.5, by the release that brought them: what govmomi's generated types (vim25/types/enum.go) had
# more after each of its updates. What VMware's 9 brought is known to none of the releases here.
NEW = {
    (6, 7, 0): (
        *("asianux8_64Guest", "centos8_64Guest", "darwin17_64Guest", "darwin18_64Guest", "freebsd11Guest"),
        *("freebsd11_64Guest", "freebsd12Guest", "freebsd12_64Guest", "oracleLinux8_64Guest", "other4xLinux64Guest"),
        *("other4xLinuxGuest", "rhel8_64Guest", "sles15_64Guest"),
    ),
    (6, 7, 1): ("amazonlinux2_64Guest",),
    (7, 0, 0): (
        *("crxPod1Guest", "darwin19_64Guest", "debian11Guest", "debian11_64Guest", "vmkernel7Guest"),
        *("windows2019srv_64Guest",),
    ),
    (7, 0, 1): (
        *("amazonlinux3_64Guest", "asianux9_64Guest", "centos9_64Guest", "darwin20_64Guest", "darwin21_64Guest"),
        *("freebsd13Guest", "freebsd13_64Guest", "oracleLinux9_64Guest", "other5xLinux64Guest", "other5xLinuxGuest"),
        *("rhel9_64Guest", "sles16_64Guest", "windows2019srvNext_64Guest"),
    ),
    (8, 0, 0): (
        *("almalinux_64Guest", "darwin22_64Guest", "darwin23_64Guest", "debian12Guest", "debian12_64Guest"),
        *("freebsd14Guest", "freebsd14_64Guest", "other6xLinux64Guest", "other6xLinuxGuest", "rockylinux_64Guest"),
        *("vmkernel8Guest", "windows11_64Guest", "windows12_64Guest", "windows2022srvNext_64Guest"),
    ),
    (8, 0, 3): ("crxSys1Guest",),
    (9, 0, 0): (
        *("debian13Guest", "debian13_64Guest", "flatcar_64Guest", "freebsd15Guest", "freebsd15_64Guest"),
        *("fusionos_64Guest", "kylinlinux_64Guest", "miraclelinux_64Guest", "oracleLinux10_64Guest"),
        *("other7xLinux64Guest", "other7xLinuxGuest", "pardus_64Guest", "prolinux_64Guest", "rhel10_64Guest"),
        *("vmkernel9Guest",),
    ),
}

# The common ones; the API's own list of ids is longer.
NAMES = {
    "centos64Guest": "CentOS 4/5 or later (64-bit)",
    "centos7_64Guest": "CentOS 7 (64-bit)",
    "centos8_64Guest": "CentOS 8 (64-bit)",
    "coreos64Guest": "CoreOS Linux (64-bit)",
    "debian10_64Guest": "Debian GNU/Linux 10 (64-bit)",
    "debian11_64Guest": "Debian GNU/Linux 11 (64-bit)",
    "debian12_64Guest": "Debian GNU/Linux 12 (64-bit)",
    "debian8_64Guest": "Debian GNU/Linux 8 (64-bit)",
    "debian9_64Guest": "Debian GNU/Linux 9 (64-bit)",
    "freebsd64Guest": "FreeBSD Pre-11 versions (64-bit)",
    "other3xLinux64Guest": "Other 3.x or later Linux (64-bit)",
    "other4xLinux64Guest": "Other 4.x or later Linux (64-bit)",
    "otherGuest": "Other (32-bit)",
    "otherGuest64": "Other (64-bit)",
    "otherLinux64Guest": "Other Linux (64-bit)",
    "otherLinuxGuest": "Other Linux (32-bit)",
    "rhel7_64Guest": "Red Hat Enterprise Linux 7 (64-bit)",
    "rhel8_64Guest": "Red Hat Enterprise Linux 8 (64-bit)",
    "rhel9_64Guest": "Red Hat Enterprise Linux 9 (64-bit)",
    "ubuntu64Guest": "Ubuntu Linux (64-bit)",
    "ubuntuGuest": "Ubuntu Linux (32-bit)",
    "vmwarePhoton64Guest": "VMware Photon OS (64-bit)",
    "windows9_64Guest": "Microsoft Windows 10 (64-bit)",
    "windows9Server64Guest": "Microsoft Windows Server 2016 (64-bit)",
}


def full_name(guest_id: str) -> str:
    """The name of a guest system; one that is not in the list is told by its id."""
    return NAMES.get(guest_id, f"{guest_id.removesuffix('Guest')} (not named in the rehearsal)")


def vmx_name(guest_id: str) -> str:
    """The id as a .vmx has it: `debian10_64Guest` is `debian10-64` there."""
    bits = "-64" if "64" in guest_id.partition("Guest")[0][-2:] or guest_id.endswith("Guest64") else ""
    return re.sub(r"_?64$", "", guest_id.partition("Guest")[0]).lower() + bits


IDS = {vmx_name(guest_id): guest_id for guest_id in NAMES}


def guest_id_of(name: str) -> str:
    """The id behind the name in a .vmx; one that is not in the list is put together."""
    known = IDS.get(name.lower())
    return known or f"{name.removesuffix('-64')}{'64' if name.endswith('-64') else ''}Guest"


def is_too_new(guest_id: str, release: str) -> bool:
    """Whether an id came with a later release than `6.7.0`, say."""
    mine = tuple(int(part) for part in release.split("."))
    return any(guest_id in ids for since, ids in NEW.items() if since > mine)
