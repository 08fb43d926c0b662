"""Checks: sentences that can be polled until they are true or their deadline has passed."""

import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from homelab.checks.probes import Probes
from homelab.errors import HomelabError, LoginRefused, Unreachable
from homelab.ports.world import World

SECONDS = 30.0
# So much longer is waited for an answer, that it comes in its own words.
GRACE = 0.4
WORDS = {LoginRefused: "refused", Unreachable: "away"}


@dataclass(frozen=True)
class Answer:
    """What a probe said. One that is `left_out` has nothing to ask there, and the text says why.

    `word` is the same in a word or two, for a table.
    """

    ok: bool
    text: str
    left_out: bool = False
    word: str = ""


@dataclass(frozen=True)
class Check:
    """A sentence about a target, the step that makes it true, how to ask, and what to do when it is not.

    `concern` is what it is about, in a word; within so many `seconds` it is answered, where all are asked at once.
    """

    sentence: str
    target: str
    step: str
    advice: str
    probe: Callable[[World], Answer]
    concern: str = ""
    seconds: float = SECONDS


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


def left_out(results: Sequence[Result]) -> str:
    """What was not asked because nothing is there to ask, as one sentence; empty when all of it was."""
    left = [result for result in results if result.answer.left_out]
    reasons = dict.fromkeys(result.answer.text for result in left)
    sentences = dict.fromkeys(result.check.sentence for result in left)
    return f"not checked, for {'; '.join(reasons)}: {'; '.join(sentences)}" if left else ""


def run_checks(
    world: World, checks: Sequence[Check], seconds: float, waiting: Callable[[Check, str], None]
) -> list[Result]:
    """Poll each check until it holds or `seconds` have passed for all of them together."""
    end = time.monotonic() + seconds
    results = []
    for check in checks:
        answer = _asked(check, world)
        while not answer.ok and time.monotonic() < end and not world.run.stop.wait(0.5):
            waiting(check, answer.text)
            answer = _asked(check, world)
        results.append(Result(check, answer))
    return results


def ask_at_once(world: World, checks: Sequence[Check]) -> Callable[[], list[Result]]:
    """Begin to ask all of them at once, each within its own deadline; what is returned waits for the answers."""
    asked = [(check, _begun(world, check)) for check in checks]
    return lambda: [Result(check, probes.latest()[check.sentence]) for check, probes in asked]


def _begun(world: World, check: Check) -> Probes[Answer]:
    def late(_: str, reason: str) -> Answer:
        return Answer(False, reason, word="no answer")

    question = {check.sentence: lambda: _asked(check, world)}
    probes = Probes(question, late, seconds=check.seconds + GRACE, log=world.run.log)
    probes.begin(None)
    return probes


def _asked(check: Check, world: World) -> Answer:
    """One answer; a probe that breaks costs its own check, and nothing else."""
    try:
        return check.probe(world)
    except HomelabError as error:
        word = next((word for kind, word in WORDS.items() if isinstance(error, kind)), "unknown")
        return Answer(False, f"{error.what} ({error.where}); {error.advice}", word=word)
    except Exception as error:
        world.run.log("".join(traceback.format_exception(error)))
        return Answer(False, f"a mistake of homelab itself: {type(error).__name__}: {error}; see {world.files.log}")
