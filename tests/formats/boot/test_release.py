"""Which ESXi an installer is, from files in the shapes that releases have (docs/reference/fixtures.md)."""

import io
import zipfile

import pytest

from homelab.formats.boot.release import Release, find, of_build_line, of_metadata, of_name, of_profile
from tests.helpers.esxi_iso import profile


@pytest.mark.parametrize(
    ("line", "release"),
    [
        ("", None),
        ("what", None),
        ("6.7.0-8169922", Release((6, 7, 0), "8169922")),
        ("6.7.0-0.0.8169922", Release((6, 7, 0), "8169922")),
        ("7.0.3-0.35.19482537", Release((7, 0, 3), "19482537")),
        ("8.0.0-1.0.20513097", Release((8, 0, 0), "20513097")),
        ("8.0.3", Release((8, 0, 3))),
    ],
)
def test_the_build_line(line: str, release: Release | None) -> None:
    assert of_build_line(line) == release


@pytest.mark.parametrize(
    ("name", "release"),
    [
        ("VMware-VMvisor-Installer-6.7.0-8169922.x86_64.iso", Release((6, 7, 0), "8169922")),
        ("VMware-VMvisor-Installer-6.5.0.update03-13932383.x86_64.iso", Release((6, 5, 0), "13932383")),
        ("VMware-VMvisor-Installer-201908001-14320388.x86_64.iso", None),
        ("VMware-ESXi-6.5.0.update02-9298722-LNV-20180919.iso", Release((6, 5, 0), "9298722")),
        ("VMware-ESXi-7.0.1.-16850804-LNV-20200917.iso", Release((7, 0, 1), "16850804")),
        ("VMware-ESXi-7.0u2-17630552-HPE-702.0.0.10.6.5.27-Mar2021-Synergy.iso", None),
        ("ESXI-6.7.0-20190402001-STANDARD", Release((6, 7, 0))),
        ("esxi.iso", None),
    ],
)
def test_names(name: str, release: Release | None) -> None:
    assert of_name(name) == release


def test_a_profile_names_the_package_of_the_system() -> None:
    assert of_profile(profile("6.7.0").decode()) == Release((6, 7, 0), "8169922")
    renamed = profile("6.5.0").decode().replace("ESXi-6.5.0-4564106-standard", "my own")
    assert of_profile(renamed) == Release((6, 5, 0), "4564106")
    assert of_profile("<imageprofile><name>ESXi-6.7.0-20190402001-standard</name></imageprofile>") == Release((6, 7, 0))
    assert of_profile("<html>") is None


def test_metadata_is_looked_into_and_may_be_damaged() -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("vibs/x.xml", "<vib/>")
        archive.writestr("profiles/ESXi-6.7.0-8169922-standard", profile("6.7.0"))
    assert of_metadata(packed.getvalue()) == Release((6, 7, 0), "8169922")
    assert of_metadata(packed.getvalue()[:-30]) is None
    assert of_metadata(b"") is None


def test_the_first_that_tells_a_release_counts_and_another_may_add_its_build() -> None:
    files = {("UPGRADE", "PROFILE.XML"): b"<name>ESXi-6.7.0-20190402001-standard</name>"}
    named = "VMware-VMvisor-Installer-6.7.0.update02-13006603.x86_64.iso"
    assert find(files.get, "", "ESXI-6.7.0-20190402001-STANDARD", named) == Release((6, 7, 0), "13006603")
    assert find(files.get, "8.0.3", "", named) == Release((8, 0, 3))
    assert find({}.get, "", "", "esxi.iso") is None
