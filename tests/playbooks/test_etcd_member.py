"""The module etcd_member: who is taken out of etcd, and when nobody is.

The texts are those of etcdctl 3.6 (`member list` and `endpoint health`, --write-out=json).
"""

import json

import pytest

from .conftest import library

etcd_member = library("etcd_member")
ADDRESSES = ("192.168.2.21", "192.168.2.22", "192.168.2.23")


def listed(*addresses: str, learner: str = "") -> str:
    members = [
        {"ID": 10276657743932975437 + number, "name": f"cp{number}", "peerURLs": [f"https://{address}:2380"]}
        | ({"isLearner": True} if address == learner else {"clientURLs": [f"https://{address}:2379"]})
        for number, address in enumerate(addresses)
    ]
    return json.dumps({"header": {"cluster_id": 1, "member_id": 2, "raft_term": 3}, "members": members})


def health(*well: str, of: tuple[str, ...] = ADDRESSES) -> str:
    return json.dumps([{"endpoint": f"https://{each}:2379", "health": each in well, "took": "9.1ms"} for each in of])


def stale(text: str, well: str, address: str) -> str:
    found = etcd_member.stale(etcd_member.members(text), etcd_member.well(well), address)
    return found.hexadecimal if found else ""


def test_a_member_of_an_earlier_life_is_known_by_its_peer_url() -> None:
    assert stale(listed(*ADDRESSES), health("192.168.2.21", "192.168.2.23"), "192.168.2.22") == "8e9e05c52164694e"


def test_a_learner_that_never_started_has_neither_name_nor_address_for_clients() -> None:
    text = listed(*ADDRESSES[:2], learner="192.168.2.22")
    assert stale(text, health("192.168.2.21", of=ADDRESSES[:1]), "192.168.2.22") == "8e9e05c52164694e"


def test_who_never_was_a_member_is_none() -> None:
    assert stale(listed(*ADDRESSES), health(*ADDRESSES), "192.168.2.24") == ""
    # 192.168.2.2 is not the beginning of 192.168.2.22.
    assert stale(listed(*ADDRESSES), health(*ADDRESSES), "192.168.2.2") == ""


@pytest.mark.parametrize(
    ("members", "well"),
    [
        (ADDRESSES, ("192.168.2.21",)),
        (ADDRESSES[:2], ()),
        ((*ADDRESSES, "192.168.2.24", "192.168.2.25"), ("192.168.2.21", "192.168.2.23")),
    ],
)
def test_nobody_is_taken_out_when_etcd_would_stand_still(members: tuple[str, ...], well: tuple[str, ...]) -> None:
    with pytest.raises(etcd_member.Refused, match="etcd needs"):
        stale(listed(*members), health(*well, of=members), "192.168.2.22")
