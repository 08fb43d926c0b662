"""What `verify` asks of a finished lab: the API servers, each by itself and through the VIP."""

from homelab.checks.api_server import api_answer
from homelab.checks.check import Answer, Check
from homelab.errors import HomelabError
from homelab.lab import Lab
from homelab.ports.guest.look import GuestLook
from homelab.ports.world import World


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
    return checks


def _api_check(lab: Lab, sentence: str, target: str, address: tuple[str, int], advice: str) -> Check:
    first = lab.control_plane[0].name
    return Check(sentence, target, "kubernetes", advice, lambda world: _ready(world, first, *address))


def _ready(world: World, first: str, address: str, port: int) -> Answer:
    try:
        guest = world.guest(first)
    except HomelabError as error:
        return Answer(False, error.what)
    found = api_answer(address, port, guest.cluster_ca if isinstance(guest, GuestLook) else None)
    return Answer(bool(found.ready), found.text)
