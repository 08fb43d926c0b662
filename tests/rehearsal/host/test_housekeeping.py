"""Scratch, logs, core dumps, the stick's id and the clock of a simulated host, through the API and the shell."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pyVmomi import vim, vmodl

from homelab.ports.esxi.shell import parse_table
from homelab.rehearsal.storage.disks import Disk
from tests.helpers.met import NAS, SHARE, Met

ADDRESS = "127.0.0.78"
SCRATCH = "ScratchConfig.ConfiguredScratchLocation"
CURRENT = "ScratchConfig.CurrentScratchLocation"
LOCKER = "/vmfs/volumes/local/.locker-brix1"
HOUR = timedelta(hours=1)


@pytest.fixture
def met(tmp_path: Path) -> Iterator[Met]:
    made = Met(tmp_path, ADDRESS)
    yield made
    made.stop()


def make_vmfs(met: Met, name: str = "local") -> None:
    disk: Disk = next(iter(met.host.disks.values()))
    met.host.create_vmfs(disk, [disk.whole], 1, name, 6)


def by_api(met: Met, key: str, value: Any) -> None:
    met.managers.advancedOption.UpdateOptions([vim.option.OptionValue(key=key, value=value)])


def by_esxcli(met: Met, key: str, value: Any) -> None:
    met.says(f"esxcli system settings advanced set -o /{key.replace('.', '/')} -s {value}")


def by_vim_cmd(met: Met, key: str, value: Any) -> None:
    met.says(f"vim-cmd hostsvc/advopt/update {key} string {value}")


def syslog(met: Met) -> dict[str, str]:
    lines = met.says("esxcli system syslog config get").splitlines()
    return dict(line.strip().split(": ", 1) for line in lines)


# Scratch


@pytest.mark.parametrize("set_option", [by_api, by_esxcli, by_vim_cmd])
def test_scratch_moves_at_the_next_boot(met: Met, set_option: Any) -> None:
    make_vmfs(met)
    met.says(f"mkdir {LOCKER}")
    set_option(met, SCRATCH, LOCKER)
    assert f"String Value: {LOCKER}\n" in met.says(
        "esxcli system settings advanced list -o /" + SCRATCH.replace(".", "/")
    )
    assert f'value = "{LOCKER}"' in met.says(f"vim-cmd hostsvc/advopt/view {SCRATCH}")
    assert met.host.advanced[CURRENT] == "/tmp/scratch"
    met.boot()
    assert met.host.advanced[CURRENT] == LOCKER
    assert syslog(met)["Local Log Output Is Persistent"] == "true"


def test_scratch_needs_its_folder_when_the_host_boots(met: Met) -> None:
    make_vmfs(met)
    by_api(met, SCRATCH, LOCKER)
    met.boot()
    assert met.host.advanced[CURRENT] == "/tmp/scratch"
    assert syslog(met)["Local Log Output Is Persistent"] == "false"
    met.says(f"mkdir {LOCKER}")
    assert met.host.advanced[CURRENT] == "/tmp/scratch"
    met.boot()
    assert met.host.advanced[CURRENT] == LOCKER


def test_scratch_on_a_nas_that_is_away_is_in_memory(met: Met) -> None:
    met.host.mount_nas(NAS, SHARE, "NAS")
    met.says("mkdir /vmfs/volumes/NAS/scratch")
    by_api(met, SCRATCH, "/vmfs/volumes/NAS/scratch")
    met.host.volumes.nas.away = True
    met.boot()
    assert met.host.advanced[CURRENT] == "/tmp/scratch"


def test_what_auto_backup_did_not_keep_is_lost_with_the_power(met: Met) -> None:
    make_vmfs(met)
    met.says(f"mkdir {LOCKER}")
    by_api(met, SCRATCH, LOCKER)
    met.says("esxcli system syslog config set --logdir=/vmfs/volumes/local/logs --logdir-unique=true")
    met.says("esxcli system coredump file add --enable=true -d local")
    met.boot(clean=False)
    assert met.host.advanced[SCRATCH] == ""
    assert syslog(met)["Local Log Output Is Configured"] == "false"
    [row] = parse_table(met.says("esxcli system coredump file list"))
    assert (row["Active"], row["Configured"]) == ("false", "false")
    by_api(met, SCRATCH, LOCKER)
    met.says("/sbin/auto-backup.sh")
    met.boot(clean=False)
    assert met.host.advanced[CURRENT] == LOCKER


def test_the_current_scratch_cannot_be_set(met: Met) -> None:
    with pytest.raises(vmodl.fault.NotSupported):
        by_api(met, CURRENT, LOCKER)
    assert (
        met.shell(f"esxcli system settings advanced set -o /ScratchConfig/CurrentScratchLocation -s {LOCKER}")[2] == 1
    )
    assert met.shell(f"vim-cmd hostsvc/advopt/update {CURRENT} string {LOCKER}")[2] == 1


def test_a_vmfs_with_the_scratch_of_this_boot_stays(met: Met) -> None:
    make_vmfs(met)
    met.says(f"mkdir {LOCKER}")
    by_api(met, SCRATCH, LOCKER)
    met.boot()
    [datastore] = met.host.mounts.values()
    with pytest.raises(vim.fault.ResourceInUse):
        vim.Datastore(datastore.moref, met.instance._stub).DestroyDatastore()


# Logs


@pytest.mark.parametrize("value", ["[local] logs", "/vmfs/volumes/local/logs"])
def test_logs_persist_on_a_datastore(met: Met, value: str) -> None:
    make_vmfs(met)
    met.says("mkdir /vmfs/volumes/local/logs")
    by_api(met, "Syslog.global.logDir", value)
    by_api(met, "Syslog.global.logDirUnique", True)
    met.says("esxcli system syslog reload")
    told = syslog(met)
    assert told["Local Log Output"] == f"/vmfs/volumes/{met.host.mounts['local'].volume.directory}/logs"
    assert told["Local Log Output Is Configured"] == told["Local Log Output Is Persistent"] == "true"
    assert told["Log To Unique Subdirectory"] == "true"


def test_logs_in_memory_are_told(met: Met) -> None:
    met.says("esxcli system syslog config set --logdir=/tmp/logs")
    assert syslog(met)["Local Log Output Is Configured"] == "true"
    assert syslog(met)["Local Log Output Is Persistent"] == "false"


# Core dumps


def test_a_dump_file_is_made_on_a_vmfs_only(met: Met) -> None:
    met.host.mount_nas(NAS, SHARE, "NAS")
    assert met.shell("esxcli system coredump file add -d NAS")[2] == 1
    assert met.says("esxcli system coredump file list") == ""
    make_vmfs(met)
    met.says("esxcli system coredump file add -d local -f brix1 -s 1024")
    path = f"/vmfs/volumes/{met.host.mounts['local'].volume.directory}/vmkdump/brix1.dumpfile"
    [row] = parse_table(met.says("esxcli system coredump file list"))
    assert row == {"Path": path, "Active": "false", "Configured": "false", "Size": str(1 << 30)}
    met.says(f"esxcli system coredump file set -p {path}")
    assert met.says("esxcli system coredump file get") == f"   Active: {path}\n   Configured: {path}\n"
    assert met.shell(f"esxcli system coredump file remove -f {path}")[2] == 1
    met.says("esxcli system coredump file set --unconfigure")
    assert met.says("esxcli system coredump file get") == "   Active:\n   Configured:\n"
    met.says("esxcli system coredump file set --enable=true --smart")
    met.boot()
    assert met.host.settings.dump_file == path
    assert met.shell("esxcli system coredump file set -p /vmfs/volumes/local/nosuch")[2] == 1


# The installation's id


def test_the_stick_has_an_id_of_its_own(met: Met) -> None:
    uuid = met.says("esxcli system uuid get").strip()
    assert [len(part) for part in uuid.split("-")] == [8, 8, 4, 12]
    met.boot()
    assert met.says("esxcli system uuid get").strip() == uuid


# The clock


def skew(met: Met) -> timedelta:
    return met.host.harm.clock_skew


def servers(met: Met, *names: str) -> None:
    config = vim.host.DateTimeConfig(ntpConfig=vim.host.NtpConfig(server=list(names)))
    met.managers.dateTimeSystem.UpdateDateTimeConfig(config)


def test_ntpd_puts_the_clock_right_when_it_starts_with_a_server(met: Met) -> None:
    met.host.set_clock(HOUR)
    before = met.host.boot_time
    met.managers.serviceSystem.StartService("ntpd")
    assert skew(met) == HOUR
    servers(met, "192.168.1.1")
    assert list(met.managers.dateTimeSystem.dateTimeInfo.ntpConfig.server) == ["192.168.1.1"]
    assert skew(met) == HOUR
    met.managers.serviceSystem.RestartService("ntpd")
    assert skew(met) == timedelta(0)
    assert met.host.boot_time == before - HOUR


def test_a_wrong_clock_stays_wrong_without_ntpd(met: Met) -> None:
    servers(met, "192.168.1.1")
    met.host.set_clock(HOUR)
    met.boot()
    assert skew(met) == HOUR
    met.host.set_service("ntpd", policy="on")
    met.boot()
    assert skew(met) == timedelta(0)


def test_the_clock_can_be_set_by_hand(met: Met) -> None:
    system = met.managers.dateTimeSystem
    system.UpdateDateTime(system.QueryDateTime() - HOUR)
    assert abs(skew(met) + HOUR) < timedelta(seconds=10)
