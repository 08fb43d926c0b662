"""What `verify` makes of a cluster's answers; those of etcd are recorded from 3.6.8, three members over TLS."""

from typing import Any

import pytest

from homelab.checks.check import Answer, Check, Result, left_out
from homelab.checks.cluster import (
    cluster_checks,
    etcd_answer,
    pods_of,
    questions,
    reach_answer,
    ready_answer,
    standing_words,
    troubles_of,
)
from homelab.ports.guest.cluster import EtcdLook, EtcdMember, ReachLook
from tests.helpers.sample import sample_lab

LAB = sample_lab(workers=[{"name": "W1.lab.home.arpa", "address": "192.168.2.41"}])
LEADER = "517730573628343671"
MEMBERS = {"cp2": LEADER, "cp1": "758659209188475983", "cp3": "8543087242056840113"}


def etcd(**changes: dict[str, Any]) -> Answer:
    wanted = {"learner": False, "problem": "", "leader": LEADER, "errors": ()}
    members = [EtcdMember(id=MEMBERS[name], name=name, **wanted | changes.get(name, {})) for name in MEMBERS]
    return etcd_answer(EtcdLook(tuple(members)), ["cp1", "cp2", "cp3"])


def test_three_members_and_one_leader() -> None:
    assert etcd() == Answer(True, "3 members, cp2 leads")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        # The one that was killed.
        ({"cp3": {"problem": "[Errno 111] Connection refused", "leader": ""}}, "cp3 does not answer"),
        # Two of three killed: the one that is left knows no leader.
        (
            {
                "cp1": {"leader": "", "errors": ("etcdserver: no leader",)},
                "cp2": {"problem": "[Errno 111] Connection refused", "leader": ""},
                "cp3": {"problem": "[Errno 111] Connection refused", "leader": ""},
            },
            "there is no leader",
        ),
        ({"cp1": {"leader": MEMBERS["cp3"]}}, "leaders: cp2, cp3"),
        ({"cp1": {"errors": ("memberID:758659209188475983 alarm:NOSPACE ",)}}, "alarm:NOSPACE"),
        ({"cp3": {"learner": True}}, "cp3 is still a learner"),
    ],
)
def test_what_is_wrong_with_etcd_is_told(changes: dict[str, Any], said: str) -> None:
    answer = etcd(**changes)
    assert not answer.ok
    assert said in answer.text


def test_a_member_that_is_missing_or_a_stranger_or_never_began_is_told() -> None:
    good = EtcdMember("1", "cp1", False, "", "1", ())
    answer = etcd_answer(EtcdLook((good, EtcdMember("2", "old", False, "", "1", ()))), ["cp1", "cp2"])
    assert answer == Answer(False, "cp2 has no member; old is no control plane of the inventory")
    unnamed = EtcdMember("3", "", False, "list index out of range", "", ())
    assert "one that never began (3)" in etcd_answer(EtcdLook((good, unnamed)), ["cp1"]).text


def test_a_node_says_whether_it_is_ready() -> None:
    info = {"nodeInfo": {"kubeletVersion": "v1.36.3"}}
    ready = {"conditions": [{"type": "Ready", "status": "True"}], **info}
    assert ready_answer({"status": ready}) == Answer(True, "kubelet v1.36.3")
    assert "cordoned" in ready_answer({"status": ready, "spec": {"unschedulable": True}}).text
    # The kubelet's own words before there is a network for pods.
    message = "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady"
    waiting = {"conditions": [{"type": "Ready", "status": "False", "message": message}], **info}
    assert ready_answer({"status": waiting}) == Answer(False, message)
    assert not ready_answer({}).ok


def pod(name: str, node: str, address: str, *, ready: str = "True", host: bool = False) -> dict[str, Any]:
    return {
        "metadata": {"name": name},
        "spec": {"nodeName": node, **({"hostNetwork": True} if host else {})},
        "status": {"podIP": address, "conditions": [{"type": "Ready", "status": ready}]},
    }


def test_a_pod_of_another_node_is_asked_from_a_pod_of_this_one() -> None:
    found = pods_of(
        {
            "items": [
                pod("coredns-a", "cp1", "10.244.21.2"),
                pod("kube-proxy-x", "cp1", "192.168.2.21", host=True),
                pod("coredns-b", "w1", "10.244.41.2"),
                {"metadata": {"name": "waits"}, "spec": {"nodeName": "w1"}, "status": {"phase": "Pending"}},
            ]
        }
    )
    assert [one.name for one in found] == ["coredns-a", "coredns-b"]
    own, far = found[:1], found[1:]
    asked = questions(LAB, own, far)
    assert asked.pods == ("10.244.21.2",)
    assert asked.dns == ("10.96.0.10", "10.244.41.2")
    assert asked.ports == (("10.96.0.1", 443),)
    good = reach_answer(LAB, LAB.vm("cp1"), ReachLook("10.244.21.2", {}), far, own)
    assert good == Answer(
        True, "from the pod coredns-a: the DNS 10.96.0.10, the service 10.96.0.1:443, coredns-b on w1"
    )
    ill = reach_answer(LAB, LAB.vm("cp1"), ReachLook("", {"10.244.41.2": "timed out"}), far, own)
    assert ill == Answer(False, "from cp1 itself, where no pod has a network of its own: coredns-b on w1: timed out")


def test_the_last_line_says_what_stands() -> None:
    def node(status: str) -> dict[str, Any]:
        return {
            "status": {
                "conditions": [{"type": "Ready", "status": status}],
                "nodeInfo": {"kubeletVersion": "v1.36.3"},
            }
        }

    both = [node("True"), node("False")]
    assert standing_words(both, is_real=True) == "Kubernetes v1.36.3: 1 of 2 nodes Ready, pods answer on each"
    assert "stand-in" in standing_words(both, is_real=False)


def test_a_pod_that_does_not_run_is_told_of_with_what_the_api_knows() -> None:
    """As a CoreDNS that found no name server looked: a pod of a cluster of ours, shortened."""
    state = {
        "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 2m40s restarting failed container"}},
        "lastState": {"terminated": {"exitCode": 1, "reason": "Error"}},
    }
    pod = {"metadata": {"name": "coredns-1"}, "spec": {"nodeName": "cp1"}, "status": {"containerStatuses": [state]}}
    assert troubles_of({"items": [pod]}) == "coredns-1 on cp1: CrashLoopBackOff, it ended with 1"
    assert troubles_of({"items": []}) == ""


def test_every_node_is_asked_and_what_a_stand_in_has_not_is_left_out_in_words() -> None:
    checks = cluster_checks(LAB)
    assert {check.target for check in checks} == {"api", "cp1", "cp2", "cp3", "W1.lab.home.arpa"}
    assert "the node w1 is ready" in {check.sentence for check in checks}
    check = Check("etcd has members", "api", "kubernetes", "", lambda world: Answer(True, ""))
    results = [Result(check, Answer(True, "nothing is behind it", left_out=True)), Result(check, Answer(True, "3"))]
    assert left_out(results) == "not checked, for nothing is behind it: etcd has members"
    assert left_out(results[1:]) == ""
