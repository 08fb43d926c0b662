"""The kickstart file of a host: its lines, and its first boot run by a real shell, with stand-ins for programs."""

import os
import subprocess
from pathlib import Path

import pytest

from homelab.errors import UsageError
from homelab.formats.boot.kickstart import kickstart
from homelab.formats.boot.kickstart_lint import errors, lint
from homelab.lab import Lab
from tests.helpers.sample import sample_lab

NTP = {"ntp_servers": ["pool.ntp.org", "192.168.2.1"]}


def text_of(lab: Lab, release: tuple[int, int] = (6, 7), *, driver_fix: bool = True) -> str:
    return kickstart(lab, lab.host("brix3"), release, driver_fix=driver_fix)


def test_the_file_says_what_the_inventory_says() -> None:
    lines = text_of(sample_lab(nameservers=["192.168.2.1", "192.168.2.2"])).split("\n")
    assert lines[1] == "vmaccepteula"
    assert lines[2].startswith("rootpw --iscrypted $6$")
    assert lines[3] == "install --firstdisk=usb --overwritevmfs --novmfsondisk"
    assert lines[4] == (
        "network --bootproto=static --device=vmnic0 --ip=192.168.2.13 --netmask=255.255.255.0 --gateway=192.168.2.1 "
        "--nameserver=192.168.2.1,192.168.2.2 --hostname=brix3.lab.home.arpa --addvmportgroup=1"
    )
    assert lines[5:8] == ["reboot", "", "%firstboot --interpreter=busybox"]


def test_a_vlan_and_another_nic_are_taken() -> None:
    host = {"name": "brix3", "address": "192.168.2.13", "password": "secret", "vlan": 7, "management_nic": "vmnic1"}
    assert " --device=vmnic1 " in text_of(sample_lab(esxi=[host]))
    assert " --vlanid=7 " in text_of(sample_lab(esxi=[host]))


def test_the_password_is_not_in_the_file_and_the_file_is_the_same_every_time() -> None:
    assert "secret" not in text_of(sample_lab())
    assert text_of(sample_lab()) == text_of(sample_lab())


@pytest.mark.parametrize("release", [(5, 1), (6, 0), (6, 5), (6, 7), (7, 0), (8, 0)])
@pytest.mark.parametrize("driver_fix", [True, False])
def test_our_own_linter_finds_nothing_wrong(release: tuple[int, int], driver_fix: bool) -> None:
    text = text_of(sample_lab(**NTP), release, driver_fix=driver_fix)
    assert errors(lint(text.encode())) == []


def test_what_a_fresh_host_cannot_have_is_refused() -> None:
    host = {"name": "brix3", "address": "192.168.2.13", "password": "secret", "user": "admin"}
    with pytest.raises(UsageError, match="account root only"):
        text_of(sample_lab(esxi=[host]))


@pytest.mark.parametrize("server", ["a b", "x\ninclude", "$(reboot)", "'", ""])
def test_a_time_server_is_a_name_and_never_code(server: str) -> None:
    with pytest.raises(UsageError, match="time server"):
        text_of(sample_lab(ntp_servers=[server]))


class FirstBoot:
    """The script in a folder of its own: programs write their words into a log, /etc and /sbin lie in the folder."""

    def __init__(self, folder: Path, text: str) -> None:
        self.folder = folder
        for name in ("etc/vmware/driver.map.d", "etc/init.d", "sbin", "bin"):
            (folder / name).mkdir(parents=True)
        script = text.partition("%firstboot --interpreter=busybox\n")[2]
        for path in ("/etc/", "/sbin/"):
            script = script.replace(f" {path}", f" {folder}{path}").replace(f">{path}", f">{folder}{path}")
            script = script.replace(f"\n{path}", f"\n{folder}{path}")
        self.script = script
        for name in ("bin/esxcli", "bin/vim-cmd", "bin/lspci", "bin/chkconfig", "bin/reboot", "bin/sleep"):
            self.program(name)
        for name in ("sbin/auto-backup.sh", "etc/init.d/ntpd"):
            self.program(name)
        self.program("bin/lspci", "echo '0000:00:1f.6 Class 0200: 8086:15d8 [vmnic0]'")
        self.modules("true")
        self.map("8086:15d8")

    def program(self, name: str, more: str = "") -> None:
        path = self.folder / name
        path.write_text(f'#!/bin/sh\necho "${{0##*/}} $*" >>{self.folder}/log\n{more}\n')
        path.chmod(0o755)

    def modules(self, enabled: str) -> None:
        self.program("bin/esxcli", f'[ "$3" != list ] || echo "ne1000                 true        {enabled}"')

    def map(self, pci_id: str) -> None:
        line = f"regtype=linux,bus=pci,id={pci_id} 0000:0000,driver=e1000e,class=network\n"
        (self.folder / "etc/vmware/driver.map.d/e1000e.map").write_text(line)

    def run(self) -> list[str]:
        env = {"PATH": f"{self.folder}/bin:{os.environ['PATH']}"}
        subprocess.run(["sh", "-c", self.script], env=env, check=False, timeout=20)
        return (self.folder / "log").read_text().splitlines()


FIX = "esxcli system module set --enabled=false --module=ne1000"
UNSET = "esxcli system settings kernel set --setting=preferVmklinux --value=FALSE"


def test_the_first_boot_takes_the_nic_from_ne1000_keeps_that_and_reboots(tmp_path: Path) -> None:
    said = FirstBoot(tmp_path, text_of(sample_lab(**NTP))).run()
    order = ["vim-cmd hostsvc/enable_ssh", FIX, UNSET, "auto-backup.sh ", "reboot "]
    assert [line for line in said if line in order] == order
    assert "esxcli system settings advanced set --option=/UserVars/SuppressShellWarning --int-value=1" in said
    assert "esxcli network firewall ruleset set --ruleset-id=ntpClient --enabled=true" in said
    assert (tmp_path / "etc/ntp.conf").read_text().splitlines()[-2:] == ["server pool.ntp.org", "server 192.168.2.1"]


def test_run_again_the_first_boot_does_not_reboot_again(tmp_path: Path) -> None:
    boot = FirstBoot(tmp_path, text_of(sample_lab()))
    boot.modules("false")
    assert not {FIX, UNSET, "reboot "} & set(boot.run())


@pytest.mark.parametrize("pci_id", ["8086:15d7", "10ec:8168"])
def test_a_nic_that_e1000e_does_not_name_keeps_its_driver_and_the_boot_option(tmp_path: Path, pci_id: str) -> None:
    boot = FirstBoot(tmp_path, text_of(sample_lab()))
    boot.map(pci_id)
    assert not {FIX, UNSET, "reboot "} & set(boot.run())


def test_a_commented_line_of_the_map_is_no_claim(tmp_path: Path) -> None:
    boot = FirstBoot(tmp_path, text_of(sample_lab()))
    path = tmp_path / "etc/vmware/driver.map.d/e1000e.map"
    path.write_text(f"#{path.read_text()}")
    assert not {FIX, UNSET, "reboot "} & set(boot.run())
    boot.map("8086:15D8")
    assert FIX in boot.run()


def test_without_the_driver_fix_no_module_is_touched(tmp_path: Path) -> None:
    said = FirstBoot(tmp_path, text_of(sample_lab(), driver_fix=False)).run()
    assert not [line for line in said if "module" in line or "reboot" in line]
    assert said[-1] == "auto-backup.sh "


def test_the_script_waits_for_hostd_and_not_for_ever(tmp_path: Path) -> None:
    boot = FirstBoot(tmp_path, text_of(sample_lab()))
    boot.program("bin/vim-cmd", '[ "$1" != hostsvc/runtimeinfo ]')
    said = boot.run()
    assert said.count("sleep 10") == 60
    assert FIX in said


def test_from_7_0_on_esxcli_sets_the_time_servers(tmp_path: Path) -> None:
    said = FirstBoot(tmp_path, text_of(sample_lab(**NTP), (7, 0), driver_fix=False)).run()
    assert "esxcli system ntp set --server=pool.ntp.org --server=192.168.2.1 --enabled=true" in said
