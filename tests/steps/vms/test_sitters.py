"""Which hosts are asked who sits on a disk: all that have its volume, by whatever name. Pure."""

from dataclasses import replace

import pytest

from homelab.ports.vsphere import NasLook
from homelab.steps.vms.sitters import _names
from tests.helpers.sample import NAS, host_look

ELSEWHERE = replace(NAS, server="192.168.2.6", directory="ffffffff-00000000")
BY_ANOTHER_NAME = replace(NAS, name="old-nas")


@pytest.mark.parametrize("stores", [(ELSEWHERE, BY_ANOTHER_NAME), (BY_ANOTHER_NAME, ELSEWHERE)])
def test_a_volume_is_known_by_its_name_and_by_what_it_is(stores: tuple[NasLook, ...]) -> None:
    looks = {"brix1": host_look(nas=(NAS,)), "brix2": host_look(nas=stores), "brix3": host_look(nas=())}
    assert sorted(_names(looks, NAS)) == [("brix1", "nas"), ("brix2", "nas"), ("brix2", "old-nas")]
