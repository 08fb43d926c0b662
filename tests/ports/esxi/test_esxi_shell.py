"""The ESXi shell's port against the simulated shell."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from homelab.errors import HostFault, LoginRefused, TrustError, Unreachable
from homelab.ports import ssh
from homelab.ports.esxi.shell import (
    keep_configuration,
    kernel_setting,
    look_at_boot,
    modules,
    parse_table,
    set_kernel_setting,
    set_module_enabled,
)
from homelab.ports.files.home import HomeFiles
from homelab.rehearsal.host.host import Host
from homelab.rehearsal.shell.server import ShellFace, new_host_key
from homelab.rehearsal.state.hardware import MODELS
from homelab.rehearsal.state.machines import NoMachines
from homelab.rehearsal.storage.volumes import Volumes

NICS = """\
Name     PCI Device    Driver  Admin Status  Link Status  Speed  Duplex  MAC Address         MTU  Description
-------  ------------  ------  ------------  -----------  -----  ------  -----------------  ----  ----------------
vmnic0   0000:00:1f.6  ne1000  Up            Up            1000  Full    70:5a:0f:XX:XX:XX  1500  Intel I219-V
vmnic32  Pseudo        r8152   Up            Up            1000  Full    3c:18:a0:XX:XX:XX  9000  Unknown Unknown
"""


@pytest.fixture
def face(tmp_path: Path) -> Iterator[ShellFace]:
    volumes = Volumes(tmp_path / "volumes")
    host = Host("brix3", "127.0.0.2", MODELS["GB-BRi7-8550"], "root", "right", volumes=volumes, machines=NoMachines())
    face = ShellFace(host, "127.0.0.2", 0)
    face.start()
    yield face
    face.stop()


def login(face: ShellFace, password: str = "right") -> ssh.Login:
    return ssh.Login("brix3", "127.0.0.2", face.port, "root", 10, password)


def test_rows_are_cut_at_the_dashes() -> None:
    first, second = parse_table(NICS)
    assert (first["Name"], first["Driver"], first["Speed"]) == ("vmnic0", "ne1000", "1000")
    assert first["Description"] == "Intel I219-V"
    assert second["PCI Device"] == "Pseudo"
    assert parse_table("") == []


def test_a_module_is_disabled_read_back_and_kept(face: ShellFace, tmp_path: Path) -> None:
    with ssh.connect(login(face), HomeFiles(tmp_path / "home"), print) as shell:
        set_module_enabled(shell, "ne1000", False)
        assert modules(shell)["ne1000"] is False
        assert kernel_setting(shell, "preferVmklinux") == "false"
        set_kernel_setting(shell, "preferVmklinux", "TRUE")
        assert kernel_setting(shell, "preferVmklinux") == "true"
        assert face.host.dirty
        keep_configuration(shell)
        assert not face.host.dirty
        with pytest.raises(HostFault, match="ended with status 1"):
            set_module_enabled(shell, "ne1000e", False)


def test_the_maps_of_all_drivers_and_the_boot_bank_are_read(face: ShellFace, tmp_path: Path) -> None:
    with ssh.connect(login(face), HomeFiles(tmp_path / "home"), print) as shell:
        boot = look_at_boot(shell)
        claiming = {claim.driver for claim in boot.claims if claim.names("8086:15d8")}
        assert claiming == {"ne1000", "e1000e"}
        assert {claim.driver for claim in boot.claims if claim.native} == {"ne1000"}
        assert boot.bank.startswith("/vmfs/volumes/")
        assert boot.medium_problem is None
        assert not face.host.dirty


@pytest.mark.parametrize(
    ("how", "problem"), [("late", "/bootbank lies in memory (/tmp/"), ("gone", "/bootbank (/vmfs/volumes/")]
)
def test_a_lost_boot_stick_is_seen(face: ShellFace, tmp_path: Path, how: Any, problem: str) -> None:
    face.host.harm.stick_lost = how
    with ssh.connect(login(face), HomeFiles(tmp_path / "home"), print) as shell:
        assert (look_at_boot(shell).medium_problem or "").startswith(problem)


def test_the_host_key_is_pinned_and_a_wrong_password_is_tried_once(face: ShellFace, tmp_path: Path) -> None:
    files, notes = HomeFiles(tmp_path / "home"), []
    with pytest.raises(LoginRefused), ssh.connect(login(face, "wrong"), files, notes.append):
        pass
    with ssh.connect(login(face), files, notes.append):
        pass
    assert len(notes) == 1
    face.stop()
    face.host_key = new_host_key()
    face.start()
    with pytest.raises(TrustError, match="the SSH host key changed") as caught, ssh.connect(login(face), files, print):
        pass
    assert "homelab trust brix3 --forget" in caught.value.advice


def test_a_closed_port_is_said_at_once(face: ShellFace, tmp_path: Path) -> None:
    wanted = login(face)
    face.stop()
    began = time.monotonic()
    with pytest.raises(Unreachable, match="no SSH connection"), ssh.connect(wanted, HomeFiles(tmp_path / "h"), print):
        pass
    assert time.monotonic() - began < 5
