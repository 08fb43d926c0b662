"""esxcli over 443 against a simulated host: rows, settings, its own words, and the free licence."""

from pathlib import Path

import pytest

from homelab.errors import HostFault
from homelab.ports.files.home import HomeFiles
from homelab.ports.vsphere import open_session
from homelab.ports.vsphere.coredump import add_coredump_file
from homelab.ports.vsphere.esxcli import esxcli
from homelab.ports.vsphere.hosts import installation_id
from tests.helpers.one_host import lab_of, standing


def test_rows_settings_and_refusals(tmp_path: Path) -> None:
    lab = lab_of()
    with (
        standing(lab, tmp_path) as served,
        open_session(lab.esxi[0], HomeFiles(tmp_path / "home"), lambda _: None) as session,
    ):
        modules = {row["Name"]: row for row in esxcli(session, "system module list")}
        assert modules["ne1000"] == {"Name": "ne1000", "IsLoaded": "true", "IsEnabled": "true"}
        esxcli(session, "system module set", writes=True, module="ne1000", enabled=False)
        assert served.host.drivers.modules["ne1000"].enabled is False
        with pytest.raises(HostFault, match=r"`esxcli system module set` said: .*nosuch"):
            esxcli(session, "system module set", writes=True, module="nosuch", enabled=False)
        assert installation_id(session) == served.host.stick_uuid
        assert not served.shell.calls


def test_what_the_free_licence_forbids_is_said_in_the_host_s_words(tmp_path: Path) -> None:
    lab = lab_of()
    with (
        standing(lab, tmp_path) as served,
        open_session(lab.esxi[0], HomeFiles(tmp_path / "home"), lambda _: None) as session,
    ):
        served.host.licence = "free"
        assert esxcli(session, "system module list")
        with pytest.raises(HostFault, match="Current license or ESXi version prohibits"):
            esxcli(session, "system module set", writes=True, module="ne1000", enabled=False)


def test_core_dumps_go_to_one_file_however_often_it_is_asked_for(tmp_path: Path) -> None:
    lab = lab_of()
    with (
        standing(lab, tmp_path) as served,
        open_session(lab.esxi[0], HomeFiles(tmp_path / "home"), lambda _: None) as session,
    ):
        disk = next(disk for disk in served.host.disks.values() if disk.ssd)
        served.host.datastores.leave_vmfs(disk, "ssd")
        for _ in range(2):
            add_coredump_file(session, "ssd", "homelab-brix3")
        assert served.host.settings.dump_active
        assert served.api.calls["ExecuteSoap"] == 6  # get, list, add, list, set; then get alone
