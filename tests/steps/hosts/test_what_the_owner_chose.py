"""What a host's owner chose stays as it is while the rest is set, on a simulated host."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from homelab.engine.step import Step
from homelab.lab import Lab
from homelab.output.documents import plan_document
from homelab.rehearsal.host.host import Host
from homelab.steps.hosts.first_boot import FirstBoot
from homelab.steps.hosts.local_datastore import LocalDatastore
from homelab.steps.hosts.usb_housekeeping import UsbHousekeeping
from tests.helpers.one_host import Ended, bring, lab_of, standing

WAYS = ["api", "shell"]


def brought(
    folder: Path, step: Step, prepare: Callable[[Host], None], *, way: str = "api", lab: Lab | None = None
) -> tuple[Host, Ended]:
    """Run one step on a host that was prepared; it must have nothing left to do."""

    def ready(host: Host) -> None:
        if way == "shell":
            host.licence, host.services["TSM-SSH"].running = "free", True
        prepare(host)

    lab = lab or lab_of()
    with standing(lab, folder, ready) as served:
        ended = bring(lab, folder / "home", (step,))
        assert not ended.counts.failed, ended.events
        assert ended.plan.empty, plan_document(ended.plan)
        return served.host, ended


def on_a_disk(host: Host) -> None:
    host.datastores.leave_vmfs(next(iter(host.disks.values())), "ssd")


def no_time(lab: Lab) -> Lab:
    return lab.model_copy(update={"ntp_servers": ()})


# Core dumps, over SSH


@pytest.mark.parametrize("active", [True, False])
def test_a_core_dump_file_that_somebody_chose_stays(tmp_path: Path, active: bool) -> None:
    def prepare(host: Host) -> None:
        on_a_disk(host)
        host.system_files.use_dump_file(host.system_files.add_dump_file("ssd", "theirs", None), active=active)

    host, _ = brought(tmp_path, UsbHousekeeping(), prepare, way="shell", lab=lab_of(local_datastore="ssd"))
    assert host.settings.dump_file.endswith("/theirs.dumpfile")
    assert host.settings.dump_active is active
    assert len(host.system_files.dump_files()) == 1


def test_a_core_dump_file_of_another_host_is_not_taken_for_ours(tmp_path: Path) -> None:
    def prepare(host: Host) -> None:
        on_a_disk(host)
        host.system_files.add_dump_file("ssd", "a-homelab-brix3", None)
        host.system_files.add_dump_file("ssd", "homelab-brix33", None)

    host, _ = brought(tmp_path, UsbHousekeeping(), prepare, way="shell", lab=lab_of(local_datastore="ssd"))
    assert host.settings.dump_active
    assert host.settings.dump_file.endswith("/homelab-brix3.dumpfile")


def test_a_core_dump_file_that_a_killed_run_made_is_used_by_the_next_one(tmp_path: Path) -> None:
    def prepare(host: Host) -> None:
        on_a_disk(host)
        host.system_files.add_dump_file("ssd", "homelab-brix3", None)

    host, _ = brought(tmp_path, UsbHousekeeping(), prepare, way="shell", lab=lab_of(local_datastore="ssd"))
    assert host.settings.dump_active
    assert len(host.system_files.dump_files()) == 1


# Names and time


def by_dhcp(host: Host) -> None:
    network = host.settings.network
    network.dhcp = network.dns_dhcp = True
    network.host_name, network.dns_servers = "localhost", ["192.168.2.1", "192.168.2.2"]


@pytest.mark.parametrize("way", WAYS)
def test_name_servers_that_come_by_dhcp_still_do_when_the_host_is_named(tmp_path: Path, way: str) -> None:
    host, _ = brought(tmp_path, FirstBoot(), by_dhcp, way=way, lab=no_time(lab_of()))
    assert host.settings.network.host_name == "brix3"
    assert host.settings.network.dns_dhcp
    assert host.settings.network.dns_servers == ["192.168.2.1", "192.168.2.2"]


def test_name_servers_of_the_inventory_end_dhcp(tmp_path: Path) -> None:
    lab = no_time(lab_of()).model_copy(update={"nameservers": ("192.168.2.9",)})
    host, _ = brought(tmp_path, FirstBoot(), by_dhcp, lab=lab)
    assert not host.settings.network.dns_dhcp
    assert host.settings.network.dns_servers == ["192.168.2.9"]


def test_name_servers_that_are_right_are_not_taken_away_and_given_again(tmp_path: Path) -> None:
    def prepare(host: Host) -> None:
        host.settings.network.host_name = "localhost"
        # Whatever removes them is noticed: nobody gives these back.
        host.settings.network.dns_servers = ["192.168.2.1", "192.168.2.2"]

    seen: list[list[str]] = []

    def watch(host: Host) -> None:
        prepare(host)
        original = host.network.set_dns

        def set_dns(**more: Any) -> None:
            seen.append(more["servers"])
            original(**more)

        host.network.set_dns = set_dns  # type: ignore[method-assign]

    host, _ = brought(tmp_path, FirstBoot(), watch, way="shell", lab=no_time(lab_of()))
    assert host.settings.network.dns_servers == ["192.168.2.1", "192.168.2.2"]
    assert [] not in seen


def test_options_behind_a_time_server_stay(tmp_path: Path) -> None:
    def prepare(host: Host) -> None:
        host.settings.ntp_servers = ["pool.ntp.org iburst prefer"]
        host.services.set("ntpd", running=True, policy="on")

    host, ended = brought(tmp_path, FirstBoot(), prepare)
    assert host.settings.ntp_servers == ["pool.ntp.org iburst prefer"]
    assert not any("time" in change["sentence"] for change in ended.said("changed", "first-boot"))


# What the host does not know yet


@pytest.mark.parametrize("lacking", [pytest.param("name", marks=pytest.mark.thorough), "info"])
def test_a_datastore_that_the_host_does_not_know_yet_is_not_taken_for_absent(
    tmp_path: Path, lacking: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = lab_of(local_datastore="ssd")
    with standing(lab, tmp_path, on_a_disk) as served:
        monkeypatch.setattr(f"homelab.rehearsal.soap.objects.datastores.Datastore.{lacking}", property(lambda _: None))
        before = [mount.name for mount in served.host.datastores.vmfs_mounts()]
        ended = bring(lab, tmp_path / "home", (LocalDatastore(),))
        [failed] = ended.said("failed", "local-datastore")
        assert f"it does not tell the {lacking} of its datastore" in failed["what"]
        assert "wait a little and run again" in failed["advice"]
        assert [mount.name for mount in served.host.datastores.vmfs_mounts()] == before
