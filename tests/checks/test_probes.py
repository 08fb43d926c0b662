"""Questions that are asked at once: a deadline costs its own question, once."""

import threading
import time
from collections.abc import Callable
from itertools import count

from homelab.checks.probes import Probes
from homelab.errors import Unreachable
from tests.helpers.served import until


def probes(
    seconds: float = 0.3, log: Callable[[str], None] = lambda text: None, **asked: Callable[[], str]
) -> Probes[str]:
    return Probes(asked, lambda name, reason: f"{name} is away: {reason}", seconds=seconds, log=log)


def never() -> str:
    threading.Event().wait()
    return "never"


def unreachable() -> str:
    raise Unreachable("no route to host", where="brix2", advice="look")


def broken() -> str:
    raise LookupError("oh")


def test_one_that_hangs_costs_its_deadline_once_and_the_others_answer() -> None:
    asked = probes(brix1=lambda: "on", brix2=never, brix3=never)
    asked.begin(None)
    began = time.monotonic()
    told = asked.latest()
    assert told == {
        "brix1": "on",
        "brix2": "brix2 is away: no answer within 0.3 s",
        "brix3": "brix3 is away: no answer within 0.3 s",
    }
    assert 0.2 < time.monotonic() - began < 5
    again = time.monotonic()
    assert asked.latest() == told
    assert time.monotonic() - again < 0.2


def test_who_is_known_to_be_off_is_not_waited_for() -> None:
    asked = probes(seconds=60, brix1=lambda: "on", brix2=never)
    asked.begin(None)
    assert asked.latest(but=["brix2"]) == {"brix1": "on"}


def test_a_question_that_fails_or_breaks_is_an_answer() -> None:
    said: list[str] = []
    asked = probes(seconds=60, log=said.append, brix2=unreachable, brix3=broken)
    asked.begin(None)
    assert asked.latest() == {
        "brix2": "brix2 is away: no route to host",
        "brix3": "brix3 is away: a mistake of homelab itself: LookupError: oh",
    }
    assert "Traceback" in said[0]


def test_the_first_that_is_wanted_waits_for_no_other() -> None:
    asked = probes(seconds=60, cp1=never, cp2=lambda: "", cp3=lambda: "ca")
    asked.begin(None)
    assert asked.first(bool) == "ca"
    nobody = probes(seconds=0.2, cp1=never, cp2=lambda: "")
    nobody.begin(None)
    assert nobody.first(bool) is None


def test_one_that_falls_silent_is_away_from_its_deadline_on_and_back_when_it_answers() -> None:
    numbers, go = count(), threading.Event()

    def once_and_then_late() -> str:
        number = next(numbers)
        if number == 1:
            go.wait()
        return f"answer {number}"

    asked = probes(seconds=0.2, brix1=once_and_then_late)
    asked.begin(0.0)
    until(lambda: "no answer within" in asked.latest()["brix1"], 20, "it is away")
    go.set()
    until(lambda: asked.latest()["brix1"] > "answer 0", 20, "it is back")


def test_who_waits_for_an_answer_may_come_before_it_is_asked_for() -> None:
    asked = probes(seconds=60, cp1=lambda: "ca")
    told: list[str | None] = []
    waiting = threading.Thread(target=lambda: told.append(asked.first(bool)))
    waiting.start()
    asked.begin(None)
    waiting.join(20)
    assert told == ["ca"]
