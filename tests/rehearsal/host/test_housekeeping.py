"""Scratch, logs, core dumps, the stick's id and the clock of a simulated host, through the API and the shell."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pyVmomi import vim, vmodl

from homelab.ports.esxi.shell import parse_table
from homelab.rehearsal.state.disks import Disk
from tests.helpers.host_clients import NAS, SHARE, HostClients

ADDRESS = "127.0.0.78"
SCRATCH = "ScratchConfig.ConfiguredScratchLocation"
CURRENT = "ScratchConfig.CurrentScratchLocation"
LOCKER = "/vmfs/volumes/local/.locker-brix1"
HOUR = timedelta(hours=1)


@pytest.fixture
def clients(tmp_path: Path) -> Iterator[HostClients]:
    made = HostClients(tmp_path, ADDRESS)
    yield made
    made.stop()


def make_vmfs(clients: HostClients, name: str = "local") -> None:
    disk: Disk = next(iter(clients.host.disks.values()))
    clients.host.datastores.create_vmfs(disk, [disk.whole], 1, name, 6)


def by_api(clients: HostClients, key: str, value: Any) -> None:
    clients.managers.advancedOption.UpdateOptions([vim.option.OptionValue(key=key, value=value)])


def by_esxcli(clients: HostClients, key: str, value: Any) -> None:
    clients.says(f"esxcli system settings advanced set -o /{key.replace('.', '/')} -s {value}")


def by_vim_cmd(clients: HostClients, key: str, value: Any) -> None:
    clients.says(f"vim-cmd hostsvc/advopt/update {key} string {value}")


def syslog(clients: HostClients) -> dict[str, str]:
    lines = clients.says("esxcli system syslog config get").splitlines()
    return dict(line.strip().split(": ", 1) for line in lines)


# Scratch


@pytest.mark.parametrize("set_option", [by_api, by_esxcli, by_vim_cmd])
def test_scratch_moves_at_the_next_boot(clients: HostClients, set_option: Any) -> None:
    make_vmfs(clients)
    clients.says(f"mkdir {LOCKER}")
    set_option(clients, SCRATCH, LOCKER)
    assert f"String Value: {LOCKER}\n" in clients.says(
        "esxcli system settings advanced list -o /" + SCRATCH.replace(".", "/")
    )
    assert f'value = "{LOCKER}"' in clients.says(f"vim-cmd hostsvc/advopt/view {SCRATCH}")
    assert clients.host.advanced[CURRENT] == "/tmp/scratch"
    clients.boot()
    assert clients.host.advanced[CURRENT] == LOCKER
    assert syslog(clients)["Local Log Output Is Persistent"] == "true"


def test_scratch_needs_its_folder_when_the_host_boots(clients: HostClients) -> None:
    make_vmfs(clients)
    by_api(clients, SCRATCH, LOCKER)
    clients.boot()
    assert clients.host.advanced[CURRENT] == "/tmp/scratch"
    assert syslog(clients)["Local Log Output Is Persistent"] == "false"
    clients.says(f"mkdir {LOCKER}")
    assert clients.host.advanced[CURRENT] == "/tmp/scratch"
    clients.boot()
    assert clients.host.advanced[CURRENT] == LOCKER


def test_scratch_on_a_nas_that_is_away_is_in_memory(clients: HostClients) -> None:
    clients.host.datastores.mount_nas(NAS, SHARE, "NAS")
    clients.says("mkdir /vmfs/volumes/NAS/scratch")
    by_api(clients, SCRATCH, "/vmfs/volumes/NAS/scratch")
    clients.host.datastores.volumes.nas.away = True
    clients.boot()
    assert clients.host.advanced[CURRENT] == "/tmp/scratch"


def test_what_auto_backup_did_not_keep_is_lost_with_the_power(clients: HostClients) -> None:
    make_vmfs(clients)
    clients.says(f"mkdir {LOCKER}")
    by_api(clients, SCRATCH, LOCKER)
    clients.says("esxcli system syslog config set --logdir=/vmfs/volumes/local/logs --logdir-unique=true")
    clients.says("esxcli system coredump file add --enable=true -d local")
    clients.boot(clean=False)
    assert clients.host.advanced[SCRATCH] == ""
    assert syslog(clients)["Local Log Output Is Configured"] == "false"
    [row] = parse_table(clients.says("esxcli system coredump file list"))
    assert (row["Active"], row["Configured"]) == ("false", "false")
    by_api(clients, SCRATCH, LOCKER)
    clients.says("/sbin/auto-backup.sh")
    clients.boot(clean=False)
    assert clients.host.advanced[CURRENT] == LOCKER


def test_the_current_scratch_cannot_be_set(clients: HostClients) -> None:
    with pytest.raises(vmodl.fault.NotSupported):
        by_api(clients, CURRENT, LOCKER)
    assert (
        clients.shell(f"esxcli system settings advanced set -o /ScratchConfig/CurrentScratchLocation -s {LOCKER}")[2]
        == 1
    )
    assert clients.shell(f"vim-cmd hostsvc/advopt/update {CURRENT} string {LOCKER}")[2] == 1


def test_a_vmfs_with_the_scratch_of_this_boot_stays(clients: HostClients) -> None:
    make_vmfs(clients)
    clients.says(f"mkdir {LOCKER}")
    by_api(clients, SCRATCH, LOCKER)
    clients.boot()
    [datastore] = clients.host.datastores.mounts.values()
    with pytest.raises(vim.fault.ResourceInUse):
        vim.Datastore(datastore.moref, clients.instance._stub).DestroyDatastore()


# Logs


@pytest.mark.parametrize("value", ["[local] logs", "/vmfs/volumes/local/logs"])
def test_logs_persist_on_a_datastore(clients: HostClients, value: str) -> None:
    make_vmfs(clients)
    clients.says("mkdir /vmfs/volumes/local/logs")
    by_api(clients, "Syslog.global.logDir", value)
    by_api(clients, "Syslog.global.logDirUnique", True)
    clients.says("esxcli system syslog reload")
    told = syslog(clients)
    assert told["Local Log Output"] == f"/vmfs/volumes/{clients.host.datastores.mounts['local'].volume.directory}/logs"
    assert told["Local Log Output Is Configured"] == told["Local Log Output Is Persistent"] == "true"
    assert told["Log To Unique Subdirectory"] == "true"


def test_logs_in_memory_are_told(clients: HostClients) -> None:
    clients.says("esxcli system syslog config set --logdir=/tmp/logs")
    assert syslog(clients)["Local Log Output Is Configured"] == "true"
    assert syslog(clients)["Local Log Output Is Persistent"] == "false"


# Core dumps


def test_a_dump_file_is_made_on_a_vmfs_only(clients: HostClients) -> None:
    clients.host.datastores.mount_nas(NAS, SHARE, "NAS")
    assert clients.shell("esxcli system coredump file add -d NAS")[2] == 1
    assert clients.says("esxcli system coredump file list") == ""
    make_vmfs(clients)
    clients.says("esxcli system coredump file add -d local -f brix1 -s 1024")
    path = f"/vmfs/volumes/{clients.host.datastores.mounts['local'].volume.directory}/vmkdump/brix1.dumpfile"
    [row] = parse_table(clients.says("esxcli system coredump file list"))
    assert row == {"Path": path, "Active": "false", "Configured": "false", "Size": str(1 << 30)}
    clients.says(f"esxcli system coredump file set -p {path}")
    assert clients.says("esxcli system coredump file get") == f"   Active: {path}\n   Configured: {path}\n"
    assert clients.shell(f"esxcli system coredump file remove -f {path}")[2] == 1
    clients.says("esxcli system coredump file set --unconfigure")
    assert clients.says("esxcli system coredump file get") == "   Active:\n   Configured:\n"
    clients.says("esxcli system coredump file set --enable=true --smart")
    clients.boot()
    assert clients.host.settings.dump_file == path
    assert clients.shell("esxcli system coredump file set -p /vmfs/volumes/local/nosuch")[2] == 1


# The installation's id


def test_the_stick_has_an_id_of_its_own(clients: HostClients) -> None:
    uuid = clients.says("esxcli system uuid get").strip()
    assert [len(part) for part in uuid.split("-")] == [8, 8, 4, 12]
    clients.boot()
    assert clients.says("esxcli system uuid get").strip() == uuid


# The clock


def skew(clients: HostClients) -> timedelta:
    return clients.host.harm.clock_skew


def servers(clients: HostClients, *names: str) -> None:
    config = vim.host.DateTimeConfig(ntpConfig=vim.host.NtpConfig(server=list(names)))
    clients.managers.dateTimeSystem.UpdateDateTimeConfig(config)


def test_ntpd_puts_the_clock_right_when_it_starts_with_a_server(clients: HostClients) -> None:
    clients.host.set_clock(HOUR)
    before = clients.host.boot_time
    clients.managers.serviceSystem.StartService("ntpd")
    assert skew(clients) == HOUR
    servers(clients, "192.168.1.1")
    assert list(clients.managers.dateTimeSystem.dateTimeInfo.ntpConfig.server) == ["192.168.1.1"]
    assert skew(clients) == HOUR
    clients.managers.serviceSystem.RestartService("ntpd")
    assert skew(clients) == timedelta(0)
    assert clients.host.boot_time == before - HOUR


def test_a_wrong_clock_stays_wrong_without_ntpd(clients: HostClients) -> None:
    servers(clients, "192.168.1.1")
    clients.host.set_clock(HOUR)
    clients.boot()
    assert skew(clients) == HOUR
    clients.host.services.set("ntpd", policy="on")
    clients.boot()
    assert skew(clients) == timedelta(0)


def test_the_clock_can_be_set_by_hand(clients: HostClients) -> None:
    system = clients.managers.dateTimeSystem
    system.UpdateDateTime(system.QueryDateTime() - HOUR)
    assert abs(skew(clients) + HOUR) < timedelta(seconds=10)
