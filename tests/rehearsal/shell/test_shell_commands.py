"""What the simulated shell does to its host's state, and how it says no."""

from pathlib import Path
from uuid import UUID

import pytest

from homelab.rehearsal.host.host import Host
from homelab.rehearsal.shell import files, filesystem
from homelab.rehearsal.shell.call import Answer, Call
from homelab.rehearsal.shell.esxcli import localcli
from homelab.rehearsal.shell.vimcmd import vim_cmd
from homelab.rehearsal.shell.vmkfstools import vmkfstools
from homelab.rehearsal.state.vm import Vm, VmNic
from tests.rehearsal.shell.test_shell import ADDRESS, make_host

PROGRAMS = {"esxcli": localcli, "vim-cmd": vim_cmd, "vmkfstools": vmkfstools}
ADD = "esxcli storage nfs add --host=192.168.1.22 --share=/volume1/vmnfsbackup --volume-name=nfsbackup"


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return make_host(tmp_path)


def ask(host: Host, line: str) -> tuple[str, str, int]:
    argv = tuple(line.split())
    answer: Answer = PROGRAMS[argv[0]](Call(host, argv))
    return answer.out, answer.err, answer.status


def test_an_nfs_volume_comes_and_goes(host: Host) -> None:
    assert ask(host, ADD) == ("", "", 0)
    taken = (
        "Unable to create new NAS volume.  192.168.1.22:/volume1/vmnfsbackup is already exported by a volume "
        "with the name nfsbackup\n"
    )
    assert ask(host, ADD) == ("", taken, 1)
    vm = host.vms.create(Vm(host.vms.next_moid(), "web", "nfsbackup", "[nfsbackup]"))
    busy = "Error performing operation: NFS Error: Unable to Unmount filesystem: Busy.\n"
    assert ask(host, "esxcli storage nfs remove -v nfsbackup") == ("", busy, 1)
    host.vms.unregister(vm)
    assert ask(host, "esxcli storage nfs remove -v nfsbackup") == ("", "", 0)
    assert not host.datastores.mounts
    assert ask(host, ADD + " --readonly") == ("", "", 0)
    assert host.datastores.mounts["nfsbackup"].access_mode == "readOnly"


def test_an_export_that_denies_the_host_is_told_with_the_recorded_words(host: Host) -> None:
    host.datastores.volumes.nas.denied.add(ADDRESS)
    out, err, status = ask(host, ADD)
    assert (out, status) == ("", 1)
    assert err.endswith("Sysinfo error: The NFS server denied the mount requestSee VMkernel log for details.\n")


def test_a_value_of_another_type_is_told_with_the_recorded_words(host: Host) -> None:
    out, err, status = ask(host, "esxcli system settings advanced set -o /Net/UseHwTSO --int-value=LT-3100")
    assert (out, status) == ("", 1)
    mismatch = "Argument type mismatch. Expecting integer value. Got 'LT-3100'"
    assert err.startswith(f"Error: While processing '--int-value'. {mismatch}\n\nUsage: ")


def test_settings_survive_the_next_boot_only_when_kept(host: Host) -> None:
    assert ask(host, "esxcli system settings advanced set -o /UserVars/SuppressShellWarning -i 1")[2] == 0
    assert ask(host, "esxcli network firewall ruleset set -r syslog -e true")[2] == 0
    assert host.dirty
    host.auto_backup.keep()
    assert ask(host, "esxcli system settings advanced set -o /UserVars/SuppressShellWarning --default")[2] == 0
    host.auto_backup.restore()
    assert host.advanced["UserVars.SuppressShellWarning"] == 1
    assert host.rulesets["syslog"]


def test_scratch_is_on_the_datastore_from_the_next_boot_on(host: Host) -> None:
    assert "Local Log Output Is Persistent: false" in ask(host, "esxcli system syslog config get")[0]
    (host.datastores.mount_nas("192.168.1.22", "/volume1/vmnfsbackup", "nas").volume.path / "logs").mkdir()
    host.advanced["ScratchConfig.ConfiguredScratchLocation"] = "/vmfs/volumes/nas/logs"
    assert "Local Log Output Is Persistent: false" in ask(host, "esxcli system syslog config get")[0]
    host.power.boot()
    assert "Local Log Output Is Persistent: true" in ask(host, "esxcli system syslog config get")[0]


def test_the_nfs_ruleset_opens_by_itself(host: Host) -> None:
    line = "esxcli network firewall ruleset list -r nfsClient"
    assert ask(host, line)[0].split()[-1] == "false"
    ask(host, ADD)
    assert ask(host, line)[0].split()[-1] == "true"


def test_esxcli_reboots_in_maintenance_mode_only(host: Host) -> None:
    line = "esxcli system shutdown reboot --reason=drivers"
    assert ask(host, line)[2] == 1
    host.maintenance.enter()
    assert ask(host, line) == ("", "", 0)
    assert host.power._restarting
    host.power.stop()


def test_a_vm_is_unregistered_registered_and_destroyed(host: Host) -> None:
    mount = host.datastores.mount_nas("192.168.1.22", "/volume1/vmnfsbackup", "nas")
    host.vms.create(Vm(host.vms.next_moid(), "web", "nas", "[nas]"))
    assert ask(host, "vim-cmd vmsvc/unregister 1") == ("", "", 0)
    assert ask(host, f"vim-cmd solo/registervm /vmfs/volumes/{mount.volume.directory}/web/web.vmx") == ("2\n", "", 0)
    assert ask(host, "vim-cmd solo/registervm /vmfs/volumes/nas/web/web.vmx")[2] == 1
    assert ask(host, "vim-cmd vmsvc/power.on 2")[0] == "Powering on VM:\n"
    assert ask(host, "vim-cmd vmsvc/destroy 2")[2] == 1
    assert ask(host, "vim-cmd vmsvc/power.reset 2")[2] == 0
    assert ask(host, "vim-cmd vmsvc/power.off 2")[2] == 0
    assert ask(host, "vim-cmd vmsvc/destroy 2") == ("", "", 0)
    assert not list(mount.volume.path.iterdir())


def test_ssh_is_switched_by_vim_cmd(host: Host) -> None:
    assert ask(host, "vim-cmd hostsvc/enable_ssh") == ("", "", 0)
    assert ask(host, "vim-cmd hostsvc/start_ssh") == ("", "", 0)
    assert (host.services["TSM-SSH"].running, host.services["TSM-SSH"].policy) == (True, "on")
    ask(host, "vim-cmd hostsvc/stop_ssh")
    ask(host, "vim-cmd hostsvc/disable_ssh")
    assert (host.services["TSM-SSH"].running, host.services["TSM-SSH"].policy) == (False, "off")


@pytest.mark.parametrize(
    "line",
    [
        "esxcli storage core adapter list",
        "esxcli hardware cpu global get",
        "esxcli storage_nfs list",
        "esxcli system settings advanced list -o UserVars.SuppressShellWarning",
        "esxcli system settings advanced set -o /NFS/MaxVolumes -i 4096",
        "esxcli network ip interface ipv4 get -i vmk7",
        "esxcli network firewall ruleset set -r nosuch -e true",
        "vim-cmd vmsvc/get.summary 1",
        "vim-cmd vmsvc_getallvms",
        "vim-cmd solo/registervm /etc/passwd",
        "vmkfstools -i /etc/passwd /vmfs/volumes/nas/a.vmdk",
        "vmkfstools -c 999999t /vmfs/volumes/nas/a.vmdk",
        "vmkfstools -Z",
    ],
)
def test_what_is_not_simulated_or_wrong_fails_loudly(host: Host, line: str) -> None:
    out, err, status = ask(host, line)
    assert out == ""
    assert err
    assert status == 1


@pytest.mark.parametrize("kind", ["csv", "keyvalue"])
def test_every_reading_command_has_its_formatters(host: Host, kind: str) -> None:
    ask(host, ADD)
    for line in (
        "hardware cpu list",
        "hardware memory get",
        "hardware pci list",
        "hardware platform get",
        "network firewall ruleset list",
        "network ip interface ipv4 get",
        "network ip interface list",
        "storage filesystem list",
        "storage nfs list",
        "system coredump file get",
        "system coredump partition get",
        "system hostname get",
        "system settings advanced list",
        "system syslog config get",
    ):
        out, err, status = ask(host, f"esxcli --formatter={kind} {line}")
        assert (err, status) == ("", 0), line
        if kind == "csv":
            heading = out.splitlines()[0].rstrip(",").split(",")
            assert heading == sorted(heading)
        else:
            assert all("=" in one for one in out.splitlines())


def test_vms_that_run_and_their_networks(host: Host) -> None:
    assert ask(host, "esxcli vm process list") == ("", "", 0)
    assert ask(host, "esxcli --formatter=csv vm process list") == ("", "", 0)
    ask(host, ADD)
    vm = host.vms.create(Vm(host.vms.next_moid(), "web", "nfsbackup", "[nfsbackup]web/web.vmx"))
    vm.nics = [VmNic(4000, "00:50:56:00:00:01", "VM Network"), VmNic(4001, "00:50:56:00:00:02", "lab")]
    vm.powered_on = True
    process = ask(host, "esxcli vm process list")[0].splitlines()
    assert process[0] == "web"
    assert "   Display Name: web" in process
    assert next(line for line in process if "Config File" in line).endswith("/web/web.vmx")
    assert ask(host, "esxcli network vm list")[0].splitlines()[-1].split()[1:] == ["web", "2", "VM", "Network,", "lab"]
    keys = ask(host, "esxcli --formatter=keyvalue network vm list")[0]
    assert "structure[0].VM.Networks[1].string=lab" in keys


def test_switches_and_the_firewall(host: Host) -> None:
    switch = ask(host, "esxcli network vswitch standard list")[0].splitlines()
    assert switch[0] == "vSwitch0"
    assert "   Portgroups: VM Network, Management Network" in switch
    assert ask(host, "esxcli network vswitch standard list -v none") == ("", "", 0)
    assert "   Default Action: DROP" in ask(host, "esxcli network firewall get")[0].splitlines()


def test_structures_are_named_as_on_a_real_host(host: Host) -> None:
    # govmomi's capture of a real host, simulator/esx/type_info.go.
    assert "FullyQualifiedHostName.HostName" in ask(host, "esxcli --formatter=keyvalue system hostname get")[0]
    assert ".Ruleset.Enabled." in ask(host, "esxcli --formatter=keyvalue network firewall ruleset list")[0]
    assert "Firewall.Loaded." in ask(host, "esxcli --formatter=keyvalue network firewall get")[0]


def test_the_platforms_uuid_is_the_systems(host: Host) -> None:
    line = next(one for one in ask(host, "esxcli hardware platform get")[0].splitlines() if "UUID" in one)
    octets = [int(one, 16) for one in line.partition(": ")[2].split()]
    assert str(UUID(bytes=bytes(octets))) == host.system_uuid


def test_a_volume_that_is_away_has_no_files_of_this_machine(host: Host) -> None:
    ask(host, ADD)
    host.datastores.volumes.nas.away = True
    with pytest.raises(FileNotFoundError):
        files.listing(host, "/vmfs/volumes/nfsbackup")
    answer = filesystem.mkdir(Call(host, ("mkdir", "-p", "/vmfs/volumes/nfsbackup/new")))
    assert answer.status == 1
    assert "No such file or directory" in answer.err
