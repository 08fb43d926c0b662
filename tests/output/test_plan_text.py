"""A plan as a person is told it."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from homelab.engine.plan import Plan
from homelab.engine.step import Blocked, Change, HandOver, Node, Words
from homelab.errors import Unreachable
from homelab.formats.trust.masks import Masks
from homelab.output.plan_text import PlanText

SNAPSHOT = """\
brix1
    first-boot  have brix1 ask pool.ntp.org for the time
                why: it asks nobody; none -> pool.ntp.org
  ! reboot      reboot brix1 (disruptive)
                now: up 3 d
                then: just started
                why: ne1000 still holds vmnic0
                gone for good: its logs, which lie in memory
                undo: none

brix2
  > boot-media  your hands: plug the stick into brix2 and
                switch it on
  ? reboot      not known until brix2 answers

cp1
    vm          create the VM cp1
                why: no host has it
  x guest       could not be looked at: no answer
                where: cp1
                to do: Look at its console

For your hands, before anything else of these machines
  > plug the stick into brix2 and switch it on

3 changes, 1 of them disruptive (!), 1 not known yet (?), 1
for your hands (>), 1 that could not be looked at (x); 2 to
3 minutes"""


@dataclass(frozen=True)
class Told(Change):
    said: Words

    def _words(self) -> Words:
        return self.said


@dataclass(frozen=True)
class Harm(Told):
    disruptive = True


def words(sentence: str, reason: str, before: str = "absent", after: str = "present", loses: str = "") -> Words:
    return Words(sentence, reason, "none", before, after, loses)


# As the graph has them: step by step, and not machine by machine.
PLAN = Plan(
    {
        Node("boot-media", "brix1"): (),
        Node("boot-media", "brix2"): (HandOver("brix2", "plug the stick into brix2 and switch it on"),),
        Node("first-boot", "brix1"): (
            Told("brix1", words("have brix1 ask pool.ntp.org for the time", "it asks nobody", "none", "pool.ntp.org")),
        ),
        Node("reboot", "brix1"): (
            Harm(
                "brix1",
                words(
                    "reboot brix1",
                    "ne1000 still holds vmnic0",
                    "up 3 d",
                    "just started",
                    "its logs, which lie in memory",
                ),
            ),
        ),
        Node("reboot", "brix2"): (Blocked("brix2", "brix2 answers"),),
        Node("vm", "cp1"): (Told("cp1", words("create the VM cp1", "no host has it")),),
    },
    failures={Node("guest", "cp1"): Unreachable("no answer", where="cp1", advice="Look at its console")},
)


def told(plan: Plan, width: int = 60, clean: Callable[[str], str] = str, *, verbose: bool = False) -> str:
    lines = PlanText(width, clean, verbose).lines(plan, "2 to 3 minutes" if plan.busy else "")
    return "\n".join("".join(text for text, _ in line) for line in lines)


def test_it_is_told_machine_by_machine_in_the_order_of_the_work() -> None:
    assert told(PLAN) == SNAPSHOT


@pytest.mark.parametrize("width", [60, 80, 140])
def test_no_line_is_longer_than_the_terminal(width: int) -> None:
    assert max(map(len, told(PLAN, width).splitlines())) <= width


def test_how_it_is_undone_is_told_of_all_when_asked_for() -> None:
    assert told(PLAN).count("undo: ") == 1
    assert told(PLAN, verbose=True).count("undo: ") == 3


def test_nothing_to_do() -> None:
    assert told(Plan({Node("reboot", "brix1"): ()})) == "nothing to do"


def test_a_secret_is_hidden_before_its_words_are_laid_out_on_lines() -> None:
    secret = "a pass phrase of several words"
    plan = Plan({Node("vm", "cp1"): (Told("cp1", words(f"set what is hidden, {secret}", "it differs")),)})
    said = told(plan, 60, Masks([secret]).text)
    assert "phrase" not in said
    assert "********" in said
