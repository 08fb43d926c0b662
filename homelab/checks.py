"""Checks: sentences that can be polled until they are true or their deadline has passed."""

import json
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from homelab.errors import HomelabError
from homelab.lab import Lab
from homelab.ports import https
from homelab.ports.guest import GuestLook
from homelab.ports.world import World

REQUEST_SECONDS = 3.0


@dataclass(frozen=True)
class Answer:
    """What a probe said."""

    ok: bool
    text: str


@dataclass(frozen=True)
class Check:
    """A sentence about a target, the step that makes it true, how to ask, and what to do when it is not."""

    sentence: str
    target: str
    step: str
    advice: str
    probe: Callable[[World], Answer]


@dataclass(frozen=True)
class Result:
    """How a check ended."""

    check: Check
    answer: Answer

    def fields(self) -> dict[str, object]:
        """The contract's JSON object."""
        return {
            "sentence": self.check.sentence,
            "target": self.check.target,
            "ok": self.answer.ok,
            "answer": self.answer.text,
            "advice": "" if self.answer.ok else self.check.advice,
        }


def smoke_tests(lab: Lab) -> list[Check]:
    """What `verify` asks of a finished lab."""
    if not lab.control_plane:
        return []
    vip, port = str(lab.api.vip), lab.api.port
    checks = [
        _api_check(
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
                f"the Kubernetes API answers on the VIP {vip}:{port}, through a balancer",
                "api",
                (vip, port),
                "Look at keepalived and haproxy on the balancers: systemctl status haproxy keepalived",
            )
        )
    return checks


def _api_check(sentence: str, target: str, address: tuple[str, int], advice: str) -> Check:
    return Check(sentence, target, "kubernetes", advice, lambda world: _ready(world, *address))


def _ready(world: World, address: str, port: int) -> Answer:
    try:
        first = world.guest(world.lab.control_plane[0].name)
        ca = first.cluster_ca if isinstance(first, GuestLook) else None
        if ca is None:
            return Answer(False, "the cluster's CA is not known, so nothing can be verified")
        status, _ = https.get(address, port, "/readyz", ca, timeout=REQUEST_SECONDS)
        if status != 200:
            return Answer(False, f"/readyz answers {status}")
        _, body = https.get(address, port, "/version", ca, timeout=REQUEST_SECONDS)
        version = json.loads(body).get("gitVersion", "of unknown version")
        return Answer(True, f"/readyz answers 200, Kubernetes {version}")
    except HomelabError as error:
        return Answer(False, error.what)
    except (OSError, ValueError, AttributeError) as error:
        return Answer(False, str(error) or type(error).__name__)


def run_checks(
    world: World, checks: Sequence[Check], seconds: float, waiting: Callable[[Check, str], None]
) -> list[Result]:
    """Poll each check until it holds or `seconds` have passed for all of them together."""
    end = time.monotonic() + seconds
    results = []
    for check in checks:
        answer = _asked(check, world)
        while not answer.ok and time.monotonic() < end and not world.stop.wait(0.5):
            waiting(check, answer.text)
            answer = _asked(check, world)
        results.append(Result(check, answer))
    return results


def _asked(check: Check, world: World) -> Answer:
    """One answer; a probe that breaks costs its own check, and nothing else."""
    try:
        return check.probe(world)
    except HomelabError as error:
        return Answer(False, f"{error.what} ({error.where}); {error.advice}")
    except Exception as error:
        world.log("".join(traceback.format_exception(error)))
        return Answer(False, f"a mistake of homelab itself: {type(error).__name__}: {error}; see {world.files.log}")
