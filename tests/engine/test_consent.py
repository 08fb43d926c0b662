"""Who agrees to a change that is asked about by itself: what must be named, what --yes covers, what is refused."""

from dataclasses import dataclass, field

import pytest

from homelab.engine.consent import Consent, agreed
from homelab.engine.plan import Plan
from homelab.engine.step import Asking, Change, Node, Words
from homelab.errors import Refused, UsageError

NODE = Node("wipe", "disk")


@dataclass
class Somebody:
    """A person with answers ready; `heard` is what was shown and asked, in order."""

    answers: list[str] = field(default_factory=list)
    there: bool = True
    heard: list[str] = field(default_factory=list)

    def show(self, text: str) -> None:
        self.heard.append(text)

    def warn(self, text: str) -> None:
        self.heard.append(f"warning: {text}")

    def confirm(self, question: str) -> bool:
        self.heard.append(question)
        return self.answers.pop(0) == "y"

    def typed(self, question: str) -> str:
        self.heard.append(question)
        return self.answers.pop(0)


@dataclass(frozen=True)
class Wipe(Change):
    """Wipes a disk, which has to be named."""

    holds: str = ""
    doubts: tuple[str, ...] = ()
    serial: str = ""
    disruptive = True

    @property
    def asking(self) -> Asking:
        return Asking(
            lines=(f"disk holds {self.holds or 'nothing'}",),
            warnings=tuple(f"disk: {doubt}" for doubt in self.doubts),
            loss="everything on disk would be lost",
            advice="look twice",
            place="/dev/disk",
            must_name="disk",
            other_name="disk.lab.example",
            serial=self.serial,
            doubts=self.doubts,
        )

    def differs_from(self, shown: Change) -> str:
        return "" if isinstance(shown, Wipe) and shown.holds == self.holds else "it is not what was shown any more"

    def _words(self) -> Words:
        return Words("wipe disk", "it was named", "none", loses="everything on disk")


@dataclass(frozen=True)
class Mend(Change):
    """Mends something; a y is enough."""

    disruptive = True

    @property
    def asking(self) -> Asking:
        return Asking(("mends it",), loss="it would be changed", advice="Run it with --yes", place="/dev/disk")

    def _words(self) -> Words:
        return Words("mend it", "it is broken", "break it")


def plan(change: Change) -> Plan:
    return Plan({NODE: (change,)})


@pytest.mark.parametrize(
    ("typed", "said"),
    [("disk", True), ("disk.lab.example", True), ("y", False), ("yes", False), ("", False), ("disk1", False)],
)
def test_only_its_name_agrees_to_what_must_be_named(typed: str, said: bool) -> None:
    person = Somebody([typed])
    assert (agreed(plan(Wipe("a")), person, yes=False) is not None) == said
    assert person.heard == [
        "disk holds nothing",
        "Everything on it will be lost. Type its name (disk) to go on:",
    ]


def test_yes_covers_what_must_be_named_while_there_are_no_doubts() -> None:
    nobody = Somebody(there=False)
    assert agreed(plan(Wipe("a")), nobody, yes=True)
    with pytest.raises(UsageError, match="--yes does not agree to disk: it is large; nothing was written") as told:
        agreed(plan(Wipe("a", doubts=("it is large",))), nobody, yes=True)
    assert (told.value.where, told.value.advice) == ("/dev/disk", "look twice")
    assert "warning: disk: it is large" in nobody.heard


def test_doubts_are_overcome_by_its_serial_number_and_no_other() -> None:
    doubtful = plan(Wipe("a", doubts=("it is large",), serial="4C53"))
    assert agreed(doubtful, Somebody(there=False), yes=True, named="4C53")
    for named in ("4C5", "", None):
        with pytest.raises(UsageError, match="--yes does not agree"):
            agreed(doubtful, Somebody(there=False), yes=True, named=named)
    with pytest.raises(UsageError, match="--yes does not agree"):
        agreed(plan(Wipe("a", doubts=("it is large",))), Somebody(there=False), yes=True, named="")
    with pytest.raises(UsageError, match="nobody is there to agree"):
        agreed(doubtful, Somebody(there=False), yes=False, named="4C53")


def test_a_disk_with_doubts_is_named_on_a_terminal_despite_yes() -> None:
    person = Somebody(["y"])
    assert agreed(plan(Wipe("a", doubts=("it is large",))), person, yes=True) is None


def test_what_was_named_is_refused_when_it_is_another_thing_now_and_shown_again() -> None:
    person = Somebody(["disk"])
    consent = agreed(plan(Wipe("a")), person, yes=False)
    assert consent
    assert consent.covers(NODE, Wipe("a"))
    with pytest.raises(Refused, match="it is not what was shown any more; nothing was written"):
        consent.covers(NODE, Wipe("a", holds="photos"))
    assert person.heard[-1] == "disk holds photos"


def test_what_must_be_named_and_was_never_shown_is_not_agreed_to_by_a_y() -> None:
    assert not Consent(Plan(), Somebody(["y"])).covers(NODE, Wipe("a"))
    assert Consent(Plan(), Somebody(["disk"])).covers(NODE, Wipe("a"))
    assert not Consent(Plan(), Somebody(["disk"], there=False)).covers(NODE, Wipe("a"))


def test_what_is_asked_about_by_itself_says_what_would_be_lost_where_nobody_is() -> None:
    with pytest.raises(UsageError, match="it would be changed, and nobody is there to agree") as told:
        agreed(plan(Mend("a")), Somebody(there=False), yes=False)
    assert told.value.advice == "Run it with --yes"
    person = Somebody(["y"])
    assert agreed(plan(Mend("a")), person, yes=False)
    assert person.heard == ["mends it", "Carry this out?"]
