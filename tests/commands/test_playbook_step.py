"""What the module `step` promises without a lab: whose consent counts, and what a result tells."""

from dataclasses import dataclass

import pytest

from homelab.commands.playbook_step import Asked, consent_of, refusals
from homelab.engine.plan import Plan
from homelab.engine.step import Change, Node, Words
from homelab.errors import UsageError
from homelab.output.task_voice import Answer


@dataclass(frozen=True)
class Format(Change):
    disruptive = True

    def _words(self) -> Words:
        return Words(f"format {self.target}", "it is empty", "nothing", before="a disk", loses="the old VMFS")


@dataclass(frozen=True)
class Mount(Change):
    def _words(self) -> Words:
        return Words(f"mount {self.target}", "it is not mounted", "unmount it")


@pytest.mark.parametrize(
    ("said", "means"),
    [
        (None, False),
        (True, True),
        ("yes", True),
        ("True", True),
        ("no", False),
        ("", False),
        ("brix3,brix4", frozenset({"brix3", "brix4"})),
        ("brix3, ", frozenset({"brix3"})),
        (["brix1"], frozenset({"brix1"})),
        ([], frozenset()),
    ],
)
def test_consent_is_a_truth_or_names(said: object, means: object) -> None:
    assert consent_of(said) == means


@pytest.mark.parametrize("said", [7, 1.5, [1], {"brix1": True}])
def test_consent_that_is_neither_is_a_mistake_with_the_way_to_say_it(said: object) -> None:
    if said == {"brix1": True}:
        assert consent_of(said) == frozenset({"brix1"})
        return
    with pytest.raises(UsageError) as caught:
        consent_of(said)
    assert "-e homelab_consent=yes" in caught.value.advice


def test_a_node_without_consent_is_refused_whole_and_says_what_is_lost() -> None:
    one, other, harmless = (Node("local-datastore", name) for name in ("brix1", "brix2", "brix3"))
    plan = Plan({one: (Mount("brix1"), Format("brix1")), other: (Format("brix2"),), harmless: (Mount("brix3"),)})
    refused = refusals(plan, Asked(("local-datastore",), ("brix1", "brix2", "brix3"), frozenset({"brix2"})))
    assert list(refused) == [one]
    assert "format brix1 (now: a disk; lost for good: the old VMFS)" in refused[one].what
    assert "-e homelab_consent=brix1" in refused[one].advice


def test_what_cannot_be_known_yet_fails_a_run_and_not_a_check() -> None:
    answer = Answer(blocked=[{"step": "guest", "target": "cp1", "until": "the VM cp1 exists"}])
    assert answer.result(check=False)["failed"] is True
    checked = answer.result(check=True)
    assert checked["failed"] is False
    assert checked["msg"] == "guest: later, once the VM cp1 exists"
    assert checked["changed"] is False
