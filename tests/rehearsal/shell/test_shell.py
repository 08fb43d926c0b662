"""The ESXi shell of a simulated host, through SSH clients that others wrote; outputs are those of real hosts."""

import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import paramiko
import pytest

from homelab.rehearsal.host.host import Host
from homelab.rehearsal.nas.nas import Nas
from homelab.rehearsal.shell.layouts import Block, Blocks, Table, render
from homelab.rehearsal.shell.server import ShellFace, new_host_key
from homelab.rehearsal.state.hardware import MODELS
from homelab.rehearsal.state.machines import GuestSpec
from homelab.rehearsal.state.parts import Nic, Timing, Vib
from homelab.rehearsal.state.vm import Vm
from homelab.rehearsal.storage.volumes import Volumes

ADDRESS = "127.0.0.93"
PASSWORD = "correct horse"
DEADLINE = 10.0
HOST_KEY = new_host_key()


class Machines:
    """Machines that only remember their power."""

    def __init__(self) -> None:
        self.running: set[str] = set()

    def power_on(self, spec: GuestSpec) -> None:
        self.running.add(spec.name)

    def power_off(self, name: str) -> None:
        self.running.discard(name)

    def shut_down(self, name: str) -> None:
        self.running.discard(name)

    def is_running(self, name: str) -> bool:
        return name in self.running


def make_host(folder: Path, model: str = "GB-BRi7-8550") -> Host:
    nas = Nas(addresses={"192.168.1.22"}, exports={"/volume1/vmnfsbackup"})
    return Host(
        "brix3",
        ADDRESS,
        MODELS[model],
        "root",
        PASSWORD,
        volumes=Volumes(folder, nas),
        machines=Machines(),
        timing=Timing(boot_seconds=0.05, api_delay_seconds=0.0, shut_down_seconds=0.2),
    )


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return make_host(tmp_path)


@pytest.fixture
def face(host: Host) -> Iterator[ShellFace]:
    face = ShellFace(host, ADDRESS, 0, HOST_KEY)
    host.power.on_down, host.power.on_up = face.stop, face.start
    face.start()
    yield face
    host.power.stop()
    face.stop()


def connect(face: ShellFace, password: str = PASSWORD) -> paramiko.SSHClient:
    client = paramiko.SSHClient()
    client.get_host_keys().add(f"[{ADDRESS}]:{face.port}", face.host_key.get_name(), face.host_key)
    client.connect(ADDRESS, face.port, "root", password, allow_agent=False, look_for_keys=False, timeout=DEADLINE)
    return no_delay(client)


def no_delay(client: paramiko.SSHClient) -> paramiko.SSHClient:
    """Small packets at once, or each command of a test would wait for the server's delayed acknowledgement."""
    transport = client.get_transport()
    assert transport is not None
    transport.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return client


Run = Callable[[str], tuple[str, str, int]]


def ask(client: paramiko.SSHClient, line: str) -> tuple[str, str, int]:
    _, out, err = client.exec_command(line, timeout=DEADLINE)
    return out.read().decode(), err.read().decode(), out.channel.recv_exit_status()


@pytest.fixture
def run(face: ShellFace) -> Iterator[Run]:
    with connect(face) as client:
        yield lambda line: ask(client, line)


def wait_for(condition: Callable[[], object]) -> None:
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end, "the condition did not come true in time"
        time.sleep(0.01)


# The server


def test_many_sessions_on_one_connection_and_many_connections(face: ShellFace) -> None:
    clients = [connect(face) for _ in range(3)]
    for client in clients:
        waiting = [client.exec_command(f"echo {number}")[1] for number in range(8)]
        assert [one.read().decode() for one in waiting] == [f"{number}\n" for number in range(8)]
    for client in clients:
        client.close()


def test_an_eleventh_session_on_one_connection_is_refused(face: ShellFace) -> None:
    """sshd_config(5): MaxSessions is 10 unless told; serverloop.c: the reason is that the connect failed."""
    with connect(face) as client, connect(face) as other:
        transport = client.get_transport()
        assert transport
        opened = [transport.open_session() for _ in range(10)]
        with pytest.raises(paramiko.ChannelException) as caught:
            transport.open_session()
        assert caught.value.code == 2
        assert ask(other, "echo one")[0] == "one\n"
        opened[0].close()
        wait_for(lambda: face.sessions == 9)
        assert ask(client, "echo two")[0] == "two\n"


def test_the_password_method_is_off(face: ShellFace) -> None:
    with paramiko.Transport((ADDRESS, face.port)) as transport:
        transport.start_client(timeout=DEADLINE)
        with pytest.raises(paramiko.BadAuthenticationType) as refused:
            transport.auth_password("root", PASSWORD, fallback=False)
    assert sorted(refused.value.allowed_types) == ["keyboard-interactive", "publickey"]


def test_five_wrong_passwords_lock_the_account_for_the_shell_and_the_api(face: ShellFace, host: Host) -> None:
    for _ in range(5):
        with pytest.raises(paramiko.SSHException):
            connect(face, "wrong")
    with pytest.raises(paramiko.SSHException):
        connect(face)
    assert not host.account.login("root", PASSWORD)


def test_a_public_key_of_the_host_logs_in(face: ShellFace, host: Host) -> None:
    key = paramiko.ECDSAKey.generate()
    with pytest.raises(paramiko.SSHException):
        connect_with_key(face, key)
    host.authorized_keys = [f"{key.get_name()} {key.get_base64()} me@laptop"]
    with connect_with_key(face, key) as client:
        assert ask(client, "cat /etc/ssh/keys-root/authorized_keys")[0].endswith("me@laptop\n")


def connect_with_key(face: ShellFace, key: paramiko.PKey) -> paramiko.SSHClient:
    client = paramiko.SSHClient()
    client.get_host_keys().add(f"[{ADDRESS}]:{face.port}", face.host_key.get_name(), face.host_key)
    client.connect(ADDRESS, face.port, "root", pkey=key, allow_agent=False, look_for_keys=False, timeout=DEADLINE)
    return client


@pytest.mark.skipif(not shutil.which("ssh"), reason="OpenSSH's client is not installed")
def test_openssh_logs_in_with_a_key_and_takes_output_and_status(face: ShellFace, host: Host, tmp_path: Path) -> None:
    key, known = tmp_path / "key", tmp_path / "known_hosts"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    host.authorized_keys = [key.with_suffix(".pub").read_text().strip()]
    known.write_text(face.known_hosts_line)
    options = ["-F", "none", "-o", f"UserKnownHostsFile={known}", "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes"]
    argv = ["ssh", *options, "-i", str(key), "-p", str(face.port), f"root@{ADDRESS}"]
    answer = subprocess.run([*argv, "vmware -v; nosuch"], capture_output=True, text=True, timeout=20, check=False)
    assert answer.stdout == "VMware ESXi 6.7.0 build-8169922\n"
    assert answer.stderr == "sh: nosuch: not found\n"
    assert answer.returncode == 127
    lines = subprocess.run(argv, input="echo one\nfalse\n", capture_output=True, text=True, timeout=20, check=False)
    assert (lines.stdout, lines.returncode) == ("one\n", 1)


def test_a_terminal_shows_the_prompt_of_esxi(face: ShellFace) -> None:
    with connect(face) as client:
        channel = client.invoke_shell()
        channel.settimeout(DEADLINE)
        channel.sendall(b"echo hello\rexit\r")
        told = b""
        while received := channel.recv(1000):
            told += received
    assert told.startswith(b"[root@brix3:~] ")
    assert b"\r\nhello\r\n[root@brix3:~] " in told


def test_a_port_scan_does_no_harm(face: ShellFace) -> None:
    socket.create_connection((ADDRESS, face.port)).close()
    with connect(face) as client:
        assert ask(client, "true") == ("", "", 0)


def test_stop_drops_open_channels_and_refuses_new_connections(face: ShellFace, host: Host) -> None:
    with connect(face) as client:
        channel = client.invoke_shell()
        face.stop()
        assert channel.recv_exit_status() == -1
    with pytest.raises(OSError, match=r"refused|Unable to connect"):
        connect(face)
    face.start()
    connect(face).close()


# The driver fix


def test_the_driver_fix_takes_effect_with_the_reboot(face: ShellFace, host: Host) -> None:
    with connect(face) as client:
        assert "ne1000" in ask(client, "esxcli network nic list")[0]
        assert ask(client, "esxcli system module set --enabled=false --module=ne1000") == ("", "", 0)
        assert re.search(r"^ne1000 +true +false$", ask(client, "esxcli system module list")[0], re.MULTILINE)
        assert host.dirty
        assert ask(client, "/sbin/auto-backup.sh")[2] == 0
        assert not host.dirty
        before = host.boot_time
        out, err, status = ask(client, "reboot")
        assert (out, err) == ("", "")
        assert status in (0, -1)
        wait_for(lambda: host.power.boots == 2 and face.listening)
        assert host.boot_time > before
    with connect(face) as client:
        out, _, _ = ask(client, "ethtool -i vmnic0")
        assert out == "driver: e1000e\nversion: 3.2.2.1-NAPI\nfirmware-version: 0.8-4\nbus-info: 0000:00:1f.6\n"
        assert int(ask(client, "esxcli system stats uptime get")[0]) < 60_000_000
        conf = ask(client, "grep ne1000 /etc/vmware/esx.conf")
        assert conf == ('/vmkernel/module/ne1000/enabled = "false"\n', "", 0)
    assert face.calls["reboot"] == 1
    assert face.calls["esxcli system module set"] == 1


def test_without_any_driver_the_host_stays_away(face: ShellFace, host: Host) -> None:
    with connect(face) as client:
        ask(
            client, "esxcli system module set -e=false -m=ne1000 && esxcli system module set -e false -m e1000e; reboot"
        )
    wait_for(lambda: host.power.state == "unreachable")
    assert not face.listening


def test_the_driver_map_names_the_nic(run: Run) -> None:
    line = "regtype=linux,bus=pci,id=8086:15d8 0000:0000,driver=e1000e,class=network\n"
    assert line in run("cat /etc/vmware/driver.map.d/e1000e.map")[0]
    assert run("grep 8086:15d8 /etc/vmware/driver.map.d/*.map") == (line, "", 0)
    assert run("ls /etc/vmware/driver.map.d") == ("e1000e.map\n", "", 0)
    assert run("grep -c 808615d8 /etc/vmware/default.map.d/ne1000.map")[0] == "1\n"


# Recorded outputs


HP_NICS = """\
Name     PCI Device    Driver  Admin Status  Link Status  Speed  Duplex  MAC Address         MTU  Description
-------  ------------  ------  ------------  -----------  -----  ------  -----------------  ----  ------------------------------------------------
vmnic0   0000:00:1f.6  ne1000  Up            Up            1000  Full    70:5a:0f:XX:XX:XX  1500  Intel Corporation Ethernet Connection (2) I219-V
vmnic32  Pseudo        r8152   Up            Up            1000  Full    3c:18:a0:XX:XX:XX  1500  Unknown Unknown
"""  # noqa: E501 - as recorded; only the second MTU, 9000 there, is not simulated

HP_NIC = """\
   Advertised Auto Negotiation: true
   Advertised Link Modes: Auto, 10BaseT/Half, 10BaseT/Full, 100BaseT/Half, 100BaseT/Full, 1000BaseT/Full
   Auto Negotiation: false
   Cable Type: Twisted Pair
   Current Message Level: -1
   Driver Info:
     Bus Info: 0000:00:1f:6
     Driver: ne1000
     Firmware Version: 0.8-4
     Version: 0.8.0
   Link Detected: true
   Link Status: Up
   Name: vmnic0
   PHYAddress: 0
   Pause Autonegotiate: false
   Pause RX: false
   Pause TX: false
   Supported Ports: TP
   Supports Auto Negotiation: true
   Supports Pause: false
   Supports Wakeon: true
   Transceiver:
   Virtual Address: 00:50:56:52:c3:e5
   Wakeon: MagicPacket(tm)
"""

ESXI8_NICS = """\
Name    PCI Device    Driver         Admin Status  Link Status  Speed  Duplex  MAC Address         MTU  Description
------  ------------  -------------  ------------  -----------  -----  ------  -----------------  ----  -----------
vmnic0  0000:00:1f.6  ne1000         Up            Up            1000  Full    XX:XX:XX:XX:XX:XX  1500  Intel Corporation Ethernet Connection (7) I219-LM
vmnic1  0000:01:00.0  igc-community  Up            Up            2500  Full    XX:XX:XX:XX:XX:XX  1500  Intel Corporation Ethernet Controller I226-V
"""  # noqa: E501 - as recorded

NFS = """\
Volume Name  Host          Share                 Accessible  Mounted  Read-Only   isPE  Hardware Acceleration
-----------  ------------  --------------------  ----------  -------  ---------  -----  ---------------------
nfsbackup    192.168.1.22  /volume1/vmnfsbackup        true     true      false  false  Not Supported
"""

VIBS = """\
Name                           Version                               Vendor   Acceptance Level    Install Date
-----------------------------  ------------------------------------  -------  ------------------  ------------
net55-r8168                    8.045a-napi                           Realtek  CommunitySupported  2019-12-27
ata-libata-92                  3.00.9.2-16vmw.670.0.0.8169922        VMW      VMwareCertified     2019-12-27
igbn                           0.1.1.0-5vmw.670.3.73.14320388        VMW      VMwareCertified     2019-12-27
"""

KERNEL = """\
Name          Type  Description                              Configured  Runtime  Default
------------  ----  ---------------------------------------  ----------  -------  -------
iovDisableIR  Bool  Disable Interrrupt Routing in the IOMMU  true        TRUE     FALSE
"""


def hp_nic(name: str, address: str, driver: str, mac: str, description: str, speed: int = 1000) -> Nic:
    return Nic(name, address, "8086:15b8", driver, mac, description, link_up=True, speed_mb=speed)


def test_nic_list_as_recorded_on_6_5(run: Run, host: Host) -> None:
    host.nics = [
        hp_nic(
            "vmnic0", "0000:00:1f.6", "ne1000", "70:5a:0f:XX:XX:XX", "Intel Corporation Ethernet Connection (2) I219-V"
        ),
        hp_nic("vmnic32", "Pseudo", "r8152", "3c:18:a0:XX:XX:XX", "Unknown Unknown"),
    ]
    assert run("esxcli network nic list") == (HP_NICS, "", 0)
    assert run("localcli network nic list") == (HP_NICS, "", 0)


def test_nic_list_as_recorded_on_8_0(run: Run, host: Host) -> None:
    host.version, mac = "8.0.2", "XX:XX:XX:XX:XX:XX"
    i219 = "Intel Corporation Ethernet Connection (7) I219-LM"
    i226 = "Intel Corporation Ethernet Controller I226-V"
    host.nics = [
        hp_nic("vmnic0", "0000:00:1f.6", "ne1000", mac, i219),
        hp_nic("vmnic1", "0000:01:00.0", "igc-community", mac, i226, 2500),
    ]
    assert run("esxcli network nic list") == (ESXI8_NICS, "", 0)


def test_nic_get_as_recorded(run: Run, host: Host) -> None:
    vib = Vib("ne1000", "0.8.0-16vmw.650.0.0.4564106", "VMW", "VMwareCertified", date(2017, 1, 1))
    host.vibs = (vib,)
    host.nics = [hp_nic("vmnic0", "0000:00:1f.6", "ne1000", "70:5a:0f:52:c3:e5", "Intel")]
    assert run("esxcli network nic get -n vmnic0") == (HP_NIC, "", 0)


def test_nfs_list_as_recorded(run: Run, host: Host) -> None:
    assert run("esxcli storage nfs list") == ("", "", 0)
    host.datastores.mount_nas("192.168.1.22", "/volume1/vmnfsbackup", "nfsbackup")
    assert run("esxcli storage nfs list") == (NFS, "", 0)
    host.datastores.volumes.nas.away = True
    assert run("esxcli storage nfs list")[0].splitlines()[2].split()[3:6] == ["false", "true", "false"]


def test_nfs_lines_of_esx_conf_as_recorded(run: Run, host: Host) -> None:
    host.datastores.volumes.nas.addresses.add("fileserver2")
    host.datastores.volumes.nas.exports.add("/data/files/ISOs")
    host.datastores.mount_nas("fileserver2", "/data/files/ISOs", "ISOs", read_only=True)
    assert run("grep ISOs /etc/vmware/esx.conf")[0] == (
        '/nas/ISOs/enabled = "true"\n'
        '/nas/ISOs/host = "fileserver2"\n'
        '/nas/ISOs/readOnly = "true"\n'
        '/nas/ISOs/share = "/data/files/ISOs"\n'
    )


def test_files_of_a_datastore_are_the_real_ones(run: Run, host: Host) -> None:
    mount = host.datastores.mount_nas("192.168.1.22", "/volume1/vmnfsbackup", "nfsbackup")
    (mount.volume.path / "probe").write_text("here\n")
    assert run("ls /vmfs/volumes")[0] == "".join(f"{name}\n" for name in sorted(["nfsbackup", mount.volume.directory]))
    assert run("ls /vmfs/volumes/nfsbackup") == ("probe\n", "", 0)
    assert run(f"cat /vmfs/volumes/{mount.volume.directory}/probe") == ("here\n", "", 0)
    assert run("df")[0].splitlines()[1].endswith(" /vmfs/volumes/nfsbackup")


def test_vib_list_as_recorded(run: Run, host: Host) -> None:
    installed = date(2019, 12, 27)
    host.vibs = (
        Vib("net55-r8168", "8.045a-napi", "Realtek", "CommunitySupported", installed),
        Vib("ata-libata-92", "3.00.9.2-16vmw.670.0.0.8169922", "VMW", "VMwareCertified", installed),
        Vib("igbn", "0.1.1.0-5vmw.670.3.73.14320388", "VMW", "VMwareCertified", installed),
        # Stands for the rows that the recording leaves out: it is as wide as they were.
        Vib("x" * 29, "0" * 36, "VMW", "VMwareCertified", installed),
    )
    out, _, status = run("esxcli software vib list")
    assert (out.splitlines()[:-1], status) == (VIBS.splitlines(), 0)
    assert run("esxcli software vib get -n igbn")[0].startswith(
        "VMW_bootbank_igbn_0.1.1.0-5vmw.670.3.73.14320388\n   Name: igbn\n"
    )
    assert run("esxcli software vib get -n nosuch")[2] == 1


def test_kernel_settings_as_recorded(run: Run, host: Host) -> None:
    setting = host.kernel_settings["iovDisableIR"]
    setting.configured, setting.runtime = "true", "TRUE"
    assert run("esxcli system settings kernel list -o iovDisableIR") == (KERNEL, "", 0)
    assert run("esxcli system settings kernel set -s preferVmklinux -v TRUE") == ("", "", 0)
    assert host.kernel_settings["preferVmklinux"].configured.upper() == "TRUE"
    assert host.kernel_settings["preferVmklinux"].runtime == "FALSE"


def test_versions_as_recorded(tmp_path: Path) -> None:
    host = make_host(tmp_path, "GB-XM11-3337")
    face = ShellFace(host, ADDRESS, 0)
    face.start()
    with connect(face) as client:
        out, _, _ = ask(client, "vmware -lv")
        assert out == "VMware ESXi 6.5.0 build-5969303\nVMware ESXi 6.5.0 Update 1\n"
        out, _, _ = ask(client, "esxcli system version get")
        assert out.splitlines()[:4] == [
            "   Product: VMware ESXi",
            "   Version: 6.5.0",
            "   Build: Releasebuild-5969303",
            "   Update: 1",
        ]
        assert "r8168" in ask(client, "esxcli network nic list")[0]
    face.stop()


def test_module_commands(run: Run, host: Host) -> None:
    lines = run("esxcli system module list")[0].splitlines()
    assert re.fullmatch(r"Name +Is Loaded  Is Enabled", lines[0])
    assert re.fullmatch(r"-+  ---------  ----------", lines[1])
    host.drivers.modules["ne1000"].options = "RSS=0"
    assert run("esxcfg-module -g ne1000") == ("ne1000 enabled = 1 options = 'RSS=0'\n", "", 0)
    assert "   Containing VIB: ne1000\n" in run("esxcli system module get -m ne1000")[0]
    out, err, status = run("esxcli system module set --enabled=true --module=ne1000e")
    assert (out, status) == ("", 1)
    assert "ne1000e" in err


def test_pci_list_has_the_recorded_fields(run: Run) -> None:
    blocks = run("esxcli hardware pci list")[0].split("\n\n")
    nic = next(block for block in blocks if "VMkernel Name: vmnic0" in block)
    assert nic.splitlines()[0] == "0000:00:1f.6"
    for line in (
        "Vendor ID: 0x8086",
        "Device ID: 0x15d8",
        "Device Class Name: Ethernet controller",
        "Module Name: ne1000",
    ):
        assert f"   {line}\n" in nic
    assert "0000:00:1f.6 Class 0200: 8086:15d8 [vmnic0]\n" in run("lspci -n")[0]
    text = "Intel Corporation Ethernet Connection (4) I219-V"
    assert f"0000:00:1f.6 Network controller: {text} [vmnic0]\n" in run("lspci")[0]


def test_maintenance_mode_as_recorded(run: Run, host: Host) -> None:
    assert run("esxcli system maintenanceMode set -e true") == ("", "", 0)
    assert run("esxcli system maintenanceMode get") == ("Enabled\n", "", 0)
    assert run("vim-cmd hostsvc/runtimeinfo | grep -i maint")[0] == "\tinMaintenanceMode = true,\n"
    assert run("vim-cmd hostsvc/maintenance_mode_exit")[2] == 0
    task = r"'vim\.Task:haTask-ha-host-vim\.HostSystem\.enterMaintenanceMode-\d+'\n"
    assert re.fullmatch(task, run("vim-cmd hostsvc/maintenance_mode_enter")[0])
    assert host.in_maintenance


VMS = (
    "Vmid               Name                                              File                                        "
    "Guest OS         Version   Annotation\n"
    "13     xpenology-3810-esxi-1.1        [Transverse] xpenology-3810-esxi/xpenology-3810-esxi.vmx             "
    "other26xLinux64Guest   vmx-09              \n"
    "14     xpenology-3810-esxi-1.1-test   [Transverse] xpenology-3810-esxi-test/xpenology-3810-esxi-test.vmx   "
    "other26xLinux64Guest   vmx-09              \n"
    "4      xubuntu-neo                    [Transverse] xubuntu-neo/xubuntu-neo.vmx                             "
    "ubuntu64Guest          vmx-08              \n"
)


def test_vms_as_recorded(run: Run, host: Host) -> None:
    rows = (
        ("4", "xubuntu-neo", "xubuntu-neo/xubuntu-neo", "ubuntu64Guest", "vmx-08"),
        ("13", "xpenology-3810-esxi-1.1", "xpenology-3810-esxi/xpenology-3810-esxi", "other26xLinux64Guest", "vmx-09"),
        (
            "14",
            "xpenology-3810-esxi-1.1-test",
            "xpenology-3810-esxi-test/xpenology-3810-esxi-test",
            "other26xLinux64Guest",
            "vmx-09",
        ),
    )
    for moid, name, path, guest, version in rows:
        vmx = f"[Transverse] {path}.vmx"
        host.registered_vms[moid] = Vm(moid, name, "Transverse", vmx, guest_id=guest, hardware_version=version)
    assert run("vim-cmd vmsvc/getallvms") == (VMS, "", 0)
    assert run("vim-cmd vmsvc/power.getstate 4") == ("Retrieved runtime info\nPowered off\n", "", 0)
    assert run("vim-cmd vmsvc/power.getstate 99")[2] == 1


def test_esxcli_waits_for_hostd_and_localcli_does_not(run: Run, host: Host) -> None:
    host.clock = lambda: float("-inf")
    failed = "Connect to localhost failed: Connection failure\n"
    assert run("esxcli network nic list") == ("", failed, 1)
    assert run("vim-cmd vmsvc/getallvms") == ("", failed, 1)
    assert run("localcli system hostname get")[2] == 0


# Formatters


def test_csv_has_sorted_fields_and_a_trailing_comma() -> None:
    table = Table(
        "FilesystemVolume",
        ("Mount Point", "Volume Name", "UUID", "Mounted", "Type", "Size", "Free"),
        (("/vmfs/volumes/a", "a", "17212d56-03dc308d", True, "NFS", 10, 5),),
    )
    heading, row = render(table, "csv").splitlines()
    assert heading == "Free,MountPoint,Mounted,Size,Type,UUID,VolumeName,"
    assert row == "5,/vmfs/volumes/a,true,10,NFS,17212d56-03dc308d,a,"


def test_keyvalue_as_recorded(run: Run) -> None:
    assert "structure[0].Nic.Driver.string=ne1000\n" in run("esxcli --formatter=keyvalue network nic list")[0]
    assert "VersionGet.Version.string=6.7.0\n" in run("esxcli --formatter keyvalue system version get")[0]
    assert "structure[0].Nic.MTU.integer=1500\n" in run("esxcli --formatter=keyvalue network nic list")[0]


def test_csv_over_the_wire(run: Run) -> None:
    heading, row = run("esxcli --formatter=csv network nic list")[0].splitlines()
    assert heading == "AdminStatus,Description,Driver,Duplex,LinkStatus,MACAddress,MTU,Name,PCIDevice,Speed,"
    assert row.startswith("Up,Intel Corporation Ethernet Connection (4) I219-V,ne1000,Full,Up,")


def test_blocks_are_parted_by_an_empty_line() -> None:
    two = Blocks("Thing", (Block({"A": 1}, "one"), Block({"A": 2}, "two")))
    assert render(two) == "one\n   A: 1\n\ntwo\n   A: 2\n"


# The command line


@pytest.mark.parametrize(
    ("line", "out", "status"),
    [
        ("echo a; echo b", "a\nb\n", 0),
        ("false && echo a || echo b", "b\n", 0),
        ("true && echo a", "a\n", 0),
        ("true || echo a", "", 0),
        ("echo 'a;b' \"c && d\" e\\ f", "a;b c && d e f\n", 0),
        ("nosuch 2>/dev/null", "", 127),
        ("nosuch > /dev/null 2>&1", "", 127),
        ("nosuch 2>&1", "sh: nosuch: not found\n", 127),
        ("echo out >/dev/null", "", 0),
        ("vmware -v | grep -q 6.7 && echo yes", "yes\n", 0),
        ("echo one\necho two # three", "one\ntwo\n", 0),
        ("exit 7; echo never", "", 7),
        ("/bin/uname -s", "VMkernel\n", 0),
        ("echo 'a+b' | grep 'a+b'", "a+b\n", 0),
        ("echo aab | grep -E 'a+b'", "aab\n", 0),
        ("", "", 0),
    ],
)
def test_lines_that_the_shell_understands(run: Run, line: str, out: str, status: int) -> None:
    told, _, left = run(line)
    assert (told, left) == (out, status)


@pytest.mark.parametrize(
    "line",
    [
        "echo 'open",
        "echo $HOME",
        "echo `date`",
        "(true)",
        "sleep 1 &",
        "echo a > /tmp/a",
        "cat < /etc/hosts",
        "; true",
        "true |",
    ],
)
def test_a_line_that_is_not_understood_fails_loudly(run: Run, line: str) -> None:
    out, err, status = run(line)
    assert (out, status) == ("", 2)
    assert err.startswith("sh: syntax error: ")


@pytest.mark.parametrize(
    ("line", "err"),
    [
        ("esxcli system nosuch list", "Error: Unknown command or namespace system nosuch list\n"),
        ("esxcli system module set -m ne1000", "Error: Missing required parameter -e|--enabled\n"),
        ("esxcli system module set -m", "Error: Option -m requires a value\n"),
    ],
)
def test_esxcli_usage_errors_exit_1(run: Run, line: str, err: str) -> None:
    assert run(line) == ("", err, 1)


def test_unknown_commands_exit_127_like_busybox(run: Run, face: ShellFace) -> None:
    assert run("nosuch --now") == ("", "sh: nosuch: not found\n", 127)
    assert run("/opt/esxcli network nic list") == ("", "sh: /opt/esxcli: not found\n", 127)
    assert not face.calls["nosuch"]


def test_missing_files_are_told_like_busybox(run: Run) -> None:
    assert run("cat /etc/nosuch") == ("", "cat: can't open '/etc/nosuch': No such file or directory\n", 1)
    assert run("ls /etc/nosuch") == ("", "ls: /etc/nosuch: No such file or directory\n", 1)
    assert run("grep a /etc/nosuch") == ("", "grep: /etc/nosuch: No such file or directory\n", 2)


def test_a_vib_that_is_missing_takes_its_driver_map_away(run: Run, host: Host) -> None:
    host.vibs = tuple(vib for vib in host.vibs if vib.name != "net-e1000e")
    assert run("cat /etc/vmware/driver.map.d/e1000e.map")[2] == 1
    host.vibs = (*host.vibs, replace(host.vibs[0], name="net-e1000e"))
    assert run("cat /etc/vmware/driver.map.d/e1000e.map")[2] == 0
