"""What else is set on a port group, and what a host searches, stays; the host is never cut off."""

from pathlib import Path

import pytest

from homelab.errors import Refused
from homelab.lab import Lab
from homelab.ports.ansible.inventory import Vault
from homelab.ports.files.home import HomeFiles
from homelab.ports.open_world import open_world
from homelab.ports.world import World
from homelab.rehearsal.host.network import MANAGEMENT
from homelab.steps.hosts.first_boot import FirstBoot
from homelab.steps.hosts.first_boot_changes import SetVlan
from tests.helpers.one_host import bring, lab_of, standing
from tests.helpers.sample import sample_lab


def world_of(lab: Lab, folder: Path) -> World:
    return open_world(lab, [folder], Vault(None), HomeFiles(folder / "home"), lambda _: None)


def vlan_lab(network: str) -> Lab:
    guests = sample_lab(control_plane=[{"name": "cp1", "address": "192.168.2.21", "network": network}])
    return lab_of(vlan=20).model_copy(update={"control_plane": guests.control_plane})


def test_a_port_group_that_carries_the_host_itself_keeps_its_vlan(tmp_path: Path) -> None:
    lab = vlan_lab(MANAGEMENT)
    with standing(lab, tmp_path) as served:
        ended = bring(lab, tmp_path / "home", (FirstBoot(),))
        [failed] = ended.said("failed", "first-boot")
        assert "carries vmk0 of the host itself" in failed["what"]
        world = world_of(lab, tmp_path)
        with pytest.raises(Refused, match="carries vmk0"):
            FirstBoot().apply(world, SetVlan("brix3", MANAGEMENT, "vSwitch0", 20, 0))
        assert served.host.network.port_groups[MANAGEMENT] == 0


def test_another_vlan_leaves_what_else_is_set_on_a_port_group(tmp_path: Path) -> None:
    lab = vlan_lab("VM Network")
    with standing(lab, tmp_path) as served:
        served.host.settings.group_policies["VM Network"] = {"security": {"allowPromiscuous": True}}
        ended = bring(lab, tmp_path / "home", (FirstBoot(),))
        assert ended.plan.empty, ended.events
        assert served.host.network.port_groups["VM Network"] == 20
        assert served.host.settings.group_policies["VM Network"]["security"] == {"allowPromiscuous": True}


def test_domains_that_a_host_searches_stay_when_it_is_named(tmp_path: Path) -> None:
    lab = lab_of()
    with standing(lab, tmp_path) as served:
        served.host.settings.network.search_domains = ["office.example"]
        served.host.settings.network.host_name = "localhost"
        assert bring(lab, tmp_path / "home", (FirstBoot(),)).plan.empty
        assert "office.example" in served.host.settings.network.search_domains
