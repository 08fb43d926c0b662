"""The drivers' maps: read line by line, in the shapes that public files have."""

import pytest

from homelab.formats.boot.driver_map import Claim, claims, found_claims

# theorypc.ca, "ESXi 5 on older MacBook 4,1": the vmklinux map of ESXi 5.0 with a line added by hand, in capitals.
SKY2 = """\
regtype=linux,bus=pci,id=11ab:4354 0000:0000,driver=sky2,class=network
regtype=linux,bus=pci,id=11ab:4362 0000:0000,driver=sky2,class=network
regtype=linux,bus=pci,id=11ab:436A 0000:0000,driver=sky2,class=network
"""
# A recording of a host with Mellanox NICs (two lines of default.map.d/nmlx5_core.map): the subsystem counts.
NMLX5 = """\
regtype=native,bus=pci,id=15b3101d15b30016......,driver=nmlx5_core
regtype=native,bus=pci,id=15b3101f15b30016......,driver=nmlx5_core
"""
# "ESXi 7 missing PERCs": a line added by hand to default.map.d/lsi_mr3.map.
LSI_MR3 = "regtype=native,bus=pci,id=10000079..............,driver=lsi_mr3\n"
LINE = "regtype=linux,bus=pci,id=8086:15d8 0000:0000,driver=e1000e,class=network"


def claimed(text: str, pci_id: str, subsystem: str = "1458:e000") -> list[str]:
    return [claim.driver for claim in claims(text.splitlines()) if claim.names(pci_id, subsystem)]


def test_a_vmklinux_map_claims_vendor_and_device_in_either_case() -> None:
    assert claimed(SKY2, "11ab:4354") == claimed(SKY2, "11ab:436a") == claimed(SKY2, "11AB:436A") == ["sky2"]
    assert claimed(SKY2, "11ab:4364") == []
    assert claims([LINE]) == (Claim("e1000e", "8086:15d8", "0000:0000", native=False),)


def test_a_native_map_claims_with_wildcards_and_subsystems() -> None:
    assert claimed(LSI_MR3, "1000:0079") == ["lsi_mr3"]
    assert claimed(NMLX5, "15b3:101d", "15b3:0016") == ["nmlx5_core"]
    assert claimed(NMLX5, "15b3:101d", "15b3:0017") == []
    assert claimed(NMLX5, "15b3:101d", "") == []


def test_a_line_in_capitals_claims() -> None:
    assert claimed(LINE.upper(), "8086:15d8") == ["e1000e"]


@pytest.mark.parametrize(
    "line",
    [
        f"#{LINE}",
        f"  # {LINE}",
        "",
        "regtype=linux,bus=pci,id=,driver=e1000e,class=network",
        "regtype=linux,bus=pci,id=8086:15d80 0000:0000,driver=e1000e,class=network",
        "regtype=linux,bus=pci,id=8086:15d8 0000:0000,driver=,class=network",
        "regtype=linux,bus=usb,id=8086:15d8 0000:0000,driver=e1000e,class=network",
        "# id=8086:15d8",
        "note,driver=e1000e,id=8086:15d8",
    ],
)
def test_what_is_no_claim_claims_nothing(line: str) -> None:
    assert claimed(line, "8086:15d8") == []


@pytest.mark.parametrize("nothing", ["", "8086", "8086:", ":15d8", "....:....", "8086:15d8 "])
def test_an_id_that_is_none_is_claimed_by_nobody(nothing: str) -> None:
    assert claimed(LINE + "\nregtype=native,bus=pci,id=" + "." * 22 + ",driver=all", nothing) == []


def test_a_vmklinux_line_of_one_subsystem_claims_no_other() -> None:
    line = "regtype=linux,bus=pci,id=8086:10fb 103c:17d0,driver=ixgbe,class=network"
    assert claimed(line, "8086:10fb", "103C:17D0") == ["ixgbe"]
    assert claimed(line, "8086:10fb", "8086:0003") == []


def test_only_maps_of_drivers_count_in_what_was_found() -> None:
    found = f"/etc/vmware/driver.map.d/e1000e.map:{LINE}\n/etc/vmware/old/e1000e.map:{LINE}\ngrep: /x: denied\n{LINE}\n"
    assert found_claims(found) == claims([LINE])
    assert found_claims(found.replace(LINE, f"#{LINE}")) == ()
