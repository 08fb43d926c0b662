"""What `verify` asks of a finished lab: the API servers, each by itself and through the VIP; then the cluster."""

from homelab.checks.api_server import api_answer
from homelab.checks.check import Answer, Check
from homelab.checks.cluster import cluster_checks
from homelab.errors import HomelabError
from homelab.lab import Lab
from homelab.ports.world import World
from homelab.steps.guests.one_cluster import authority


def smoke_tests(lab: Lab) -> list[Check]:
    """What `verify` asks of a finished lab."""
    if not lab.control_plane:
        return []
    vip, port = str(lab.api.vip), lab.api.port
    checks = [
        _api_check(
            lab,
            f"the API server of {vm.name} is ready",
            vm.name,
            (str(vm.address), 6443),
            f"Look at the kubelet on {vm.name}: journalctl -u kubelet",
        )
        for vm in lab.control_plane
    ]
    if lab.load_balancers:
        checks.append(
            _api_check(
                lab,
                f"the Kubernetes API answers on the VIP {vip}:{port}, through a balancer",
                "api",
                (vip, port),
                "Look at keepalived and haproxy on the balancers: systemctl status haproxy keepalived",
            )
        )
    return [*checks, *cluster_checks(lab)]


def _api_check(lab: Lab, sentence: str, target: str, address: tuple[str, int], advice: str) -> Check:
    return Check(sentence, target, "kubernetes", advice, lambda world: _ready(world, lab, *address))


def _ready(world: World, lab: Lab, address: str, port: int) -> Answer:
    try:
        ca = authority(lab, {vm.name: world.guest(vm.name) for vm in lab.control_plane})
    except HomelabError as error:
        return Answer(False, error.what)
    found = api_answer(address, port, ca)
    return Answer(bool(found.ready), found.text)
