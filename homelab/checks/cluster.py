"""What `verify` asks of the cluster itself: etcd, nodes, names and pods. Reads only: no pod is started for it.

etcd is asked by its own JSON gateway on a control plane: the API tells of no members, and etcdctl and crictl are not on
every node. Pods are asked from inside of the network of one that runs already, else from the node.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from homelab.checks.check import Answer, Check
from homelab.errors import HomelabError
from homelab.lab import Lab, Vm
from homelab.ports.guest.cluster import Asked, EtcdLook, ReachLook, etcd_look, reach_look
from homelab.ports.world import World

STEP, CLUSTER = "kubernetes", "api"
# kubeadm gives the DNS the tenth address of the services, and this domain.
DNS_INDEX, API_INDEX = 10, 1
NAME = "kubernetes.default.svc.cluster.local"
DNS_PODS = "/api/v1/namespaces/kube-system/pods?labelSelector=k8s-app%3Dkube-dns"
DNS_PORT, SERVICE_PORT = 53, 443
# A few of a node's pods are enough to find one that has a network of its own.
PODS = "/api/v1/pods?limit=50&fieldSelector=status.phase%3DRunning,spec.nodeName%3D"
STANDIN = "the stand-in Kubernetes has nothing behind it"


def cluster_checks(lab: Lab) -> list[Check]:
    """What is asked of the cluster once its API servers were asked."""
    return [
        Check(
            "etcd has a member on every control plane, and one leader",
            CLUSTER,
            STEP,
            "Look at etcd on the control plane that is named: crictl logs $(crictl ps -q --name etcd)",
            _with(lambda world: _etcd(world, lab)),
        ),
        *(_ready_check(vm) for vm in lab.nodes),
        *(_reach_check(lab, vm) for vm in lab.nodes),
    ]


def _ready_check(vm: Vm) -> Check:
    advice = f"Look at the kubelet on {vm.name}: journalctl -u kubelet; without a network for pods no node is ready"
    return Check(f"the node {vm.short_name} is ready", vm.name, STEP, advice, lambda world: _ready(world, vm))


def _reach_check(lab: Lab, vm: Vm) -> Check:
    return Check(
        f"the cluster's names, services and pods answer on {vm.name}",
        vm.name,
        STEP,
        f"Look at CoreDNS (kubectl -n kube-system get pods -o wide), and on {vm.name} at `ip route`, at "
        "`nft list table ip kube-proxy` and at what network policies forbid",
        _with(lambda world: _reach(world, lab, vm)),
    )


def cluster_words(world: World) -> str:
    """What stands, for the last line of a run: the version, and how many nodes are ready. Raises HomelabError."""
    nodes = world.cluster.get("/api/v1/nodes").get("items", ())
    return standing_words(nodes, is_real=not world.cluster.is_standin())


def standing_words(nodes: Sequence[Mapping[str, Any]], *, is_real: bool) -> str:
    """The same of nodes as the API has them. Pure."""
    releases = sorted({node["status"]["nodeInfo"]["kubeletVersion"] for node in nodes})
    ready = sum(ready_answer(node).ok for node in nodes)
    answering = ", pods answer on each" if is_real else ", a stand-in that runs no pods"
    return f"Kubernetes {', '.join(releases)}: {ready} of {len(nodes)} nodes Ready{answering}"


def _with(ask: Callable[[World], Answer]) -> Callable[[World], Answer]:
    """Leave out what has nothing behind it in the stand-in."""

    def probe(world: World) -> Answer:
        return Answer(True, STANDIN, left_out=True) if world.cluster.is_standin() else ask(world)

    return probe


def _etcd(world: World, lab: Lab) -> Answer:
    look, error = None, ""
    for vm in lab.control_plane:
        try:
            with world.cluster.shell(vm.name) as shell:
                look = etcd_look(shell)
            if not look.problem:
                break
            error = f"{vm.name}: {look.problem}"
        except HomelabError as fault:
            error = f"{fault.what} ({fault.where})"
    if look is None or look.problem:
        return Answer(False, error)
    return etcd_answer(look, [vm.short_name for vm in lab.control_plane])


def etcd_answer(look: EtcdLook, wanted: Sequence[str]) -> Answer:
    """What members tell, against the nodes that should have one. Pure."""
    names = [member.name or f"one that never began ({member.id})" for member in look.members]
    problems = [f"{name} has no member" for name in wanted if name not in names]
    problems += [f"{name} is no control plane of the inventory" for name in names if name not in wanted]
    for name, member in zip(names, look.members, strict=True):
        problems += [f"{name} does not answer ({member.problem})"] if member.problem else []
        problems += [f"{name} is still a learner"] if member.learner else []
        problems += [f"{name} tells {error}" for error in member.errors]
    led = {member.id: name for name, member in zip(names, look.members, strict=True)}
    leaders = [led.get(one, f"an unknown member ({one})") for one in sorted(look.leaders) if one != "0" and one]
    if len(leaders) != 1:
        problems.append(f"leaders: {', '.join(leaders)}" if leaders else "there is no leader")
    count = f"{len(names)} member{'' if len(names) == 1 else 's'}"
    return Answer(not problems, "; ".join(problems) or f"{count}, {leaders[0]} leads")


def _ready(world: World, vm: Vm) -> Answer:
    return ready_answer(world.cluster.get(f"/api/v1/nodes/{vm.short_name}"))


def ready_answer(node: Mapping[str, Any]) -> Answer:
    """What a node says of itself; one that is cordoned is ready, and takes no new pods. Pure."""
    conditions = {one.get("type"): one for one in node.get("status", {}).get("conditions", ())}
    ready = conditions.get("Ready", {})
    if ready.get("status") != "True":
        return Answer(False, ready.get("message") or "it has not said anything yet")
    version = node.get("status", {}).get("nodeInfo", {}).get("kubeletVersion", "of unknown version")
    cordoned = ", cordoned: it takes no new pods" if node.get("spec", {}).get("unschedulable") else ""
    return Answer(True, f"kubelet {version}{cordoned}")


@dataclass(frozen=True)
class Pod:
    """A pod with a network of its own."""

    name: str
    node: str
    address: str
    ready: bool


def pods_of(answer: Mapping[str, Any]) -> list[Pod]:
    """The pods of a list that have networks of their own. Pure."""
    found = []
    for item in answer.get("items", ()):
        spec, status = item.get("spec", {}), item.get("status", {})
        if not spec.get("hostNetwork") and status.get("podIP"):
            ready = any(one.get("type") == "Ready" and one.get("status") == "True" for one in status["conditions"])
            found.append(Pod(item["metadata"]["name"], spec.get("nodeName", ""), status["podIP"], ready))
    return found


def troubles_of(answer: Mapping[str, Any]) -> str:
    """Why pods of a list do not run, as far as the API tells. Pure."""
    found = []
    for item in answer.get("items", ()):
        for container in item.get("status", {}).get("containerStatuses", ()):
            why = container.get("state", {}).get("waiting", {}).get("reason", "")
            ended = container.get("lastState", {}).get("terminated", {})
            last = f"it ended with {ended['exitCode']} {ended.get('message', '')}".rstrip() if ended else ""
            if told := ", ".join(filter(None, (why, last))):
                found.append(f"{item['metadata']['name']} on {item.get('spec', {}).get('nodeName', 'no node')}: {told}")
    return "; ".join(found)


def _reach(world: World, lab: Lab, vm: Vm) -> Answer:
    told = world.cluster.get(DNS_PODS)
    names = pods_of(told)
    own = pods_of(world.cluster.get(f"{PODS}{vm.short_name}"))
    far = [pod for pod in names if pod.node != vm.short_name and pod.ready]
    with world.cluster.shell(vm.name) as shell:
        look = reach_look(shell, questions(lab, own, far))
    if not any(pod.ready for pod in names):
        return Answer(False, f"no pod of CoreDNS is ready ({troubles_of(told) or 'there is none'})")
    return reach_answer(lab, vm, look, far, own)


def questions(lab: Lab, own: Sequence[Pod], far: Sequence[Pod]) -> Asked:
    """What is asked from a node: DNS and API by their service addresses, and the DNS pods of other nodes. Pure."""
    service = lab.kubernetes.service_network
    return Asked(
        pods=tuple(pod.address for pod in own),
        name=NAME,
        dns=(str(service[DNS_INDEX]), *(pod.address for pod in far)),
        ports=((str(service[API_INDEX]), SERVICE_PORT),),
    )


def reach_answer(lab: Lab, vm: Vm, look: ReachLook, far: Sequence[Pod], own: Sequence[Pod]) -> Answer:
    """What could be reached, in words. Pure."""
    service = lab.kubernetes.service_network
    called = {
        str(service[DNS_INDEX]): f"the DNS {service[DNS_INDEX]}",
        f"{service[API_INDEX]}:{SERVICE_PORT}": f"the service {service[API_INDEX]}:{SERVICE_PORT}",
        **{pod.address: f"{pod.name} on {pod.node}" for pod in far},
    }
    inside = next((pod.name for pod in own if pod.address == look.inside), "")
    origin = f"from the pod {inside}" if inside else f"from {vm.name} itself, where no pod has a network of its own"
    if look.problems:
        told = "; ".join(f"{called.get(where, where)}: {why}" for where, why in look.problems.items())
        return Answer(False, f"{origin}: {told}")
    return Answer(True, f"{origin}: {', '.join(called.values())}")
