"""What people and scripts see."""

import io
import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest

from homelab.engine.consent import Consent, agreed
from homelab.engine.events import Changed, Counts, Event, Failed, HandedOver, HeldUp, Summary, Waiting
from homelab.engine.plan import Plan
from homelab.engine.step import Blocked, Change, Node, Words
from homelab.errors import HomelabError, InventoryError, Mistake
from homelab.formats.trust.masks import Masks
from homelab.output.ui import Ui
from homelab.ports.host_writer import NfsMount
from homelab.ports.vsphere import DiskLook
from homelab.ports.vsphere.local_storage import DiskContents
from homelab.steps.hosts.local_datastore import MakeDatastore
from homelab.steps.hosts.nfs_changes import Remount

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
NODE = Node("reboot", "brix3")


class Terminal(io.StringIO):
    """A person's answers."""

    def isatty(self) -> bool:
        return True


@dataclass(frozen=True)
class Told(Change):
    """A change of which this is told."""

    sentence: str
    before: str = "absent"

    def _words(self) -> Words:
        return Words(self.sentence, "there is none", "none", before=self.before)


@dataclass(frozen=True)
class Lossy(Told):
    disruptive = True


def waiting(after: float, last: str) -> Event:
    at = NOON + timedelta(seconds=after)
    return Waiting(at=at, node=NODE, condition="brix3 answers", deadline=NOON + timedelta(minutes=15), last=last)


def test_json_is_one_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    Ui("json").event(Changed(at=NOON, node=NODE, change=Lossy("brix3", "reboot brix3")))
    Ui("json").event(Summary(at=NOON, counts=Counts(changed=1), seconds=2.5, left_out=("vm",)))
    Ui("json").event(waiting(0, "no answer"))
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == {
        "event": "changed",
        "at": "2026-01-01T12:00:00.000Z",
        "step": "reboot",
        "target": "brix3",
        "sentence": "reboot brix3",
        "reason": "there is none",
        "before": "absent",
        "after": "present",
        "disruptive": True,
        "undo": "none",
    }
    assert {name: lines[1][name] for name in ("event", "step", "changed", "seconds", "left_out")} == {
        "event": "summary",
        "step": None,
        "changed": 1,
        "seconds": 2.5,
        "left_out": ["vm"],
    }
    assert (lines[2]["for"], lines[2]["deadline"], lines[2]["last"]) == (
        "brix3 answers",
        "2026-01-01T12:15:00+00:00",
        "no answer",
    )


def test_a_wait_gets_one_line_and_only_when_it_lasts(capsys: pytest.CaptureFixture[str]) -> None:
    ui = Ui()
    for after in (0, 1, 2.5, 4, 9):
        ui.event(waiting(after, "no route to host"))
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("brix3 answers: no route to host (until ") == 1


def test_verbose_shows_every_answer(capsys: pytest.CaptureFixture[str]) -> None:
    ui = Ui(verbose=True)
    ui.event(waiting(0, "a"))
    ui.event(waiting(1, "b"))
    assert capsys.readouterr().err.count("waiting") == 2


def test_a_remark_is_shown_and_is_nothing_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    plan = Plan({NODE: ()}, remarks={NODE: ("left alone",)})
    assert plan.empty
    Ui().plan(plan)
    said = capsys.readouterr().out
    assert "remark: left alone" in said
    assert said.endswith("nothing to do\n")


def test_nothing_in_a_sentence_is_markup_or_an_emoji(capsys: pytest.CaptureFixture[str]) -> None:
    ui = Ui()
    ui.note("90:AB:2B [nas] cp1/seed.iso [bold]")
    assert capsys.readouterr().err == "90:AB:2B [nas] cp1/seed.iso [bold]\n"


BRACKETS = [r"a\[b] \[c\\[d]", r"regex \[[a-z]+\]", "[red]x[/red]", "ends with \\", "[/]"]


@pytest.mark.parametrize("text", BRACKETS)
def test_brackets_and_backslashes_are_printed_as_they_are(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    ui = Ui()
    ui.say(text)
    ui.say(f"{text}\n\t{text}\n", file=True)
    ui.note(text)
    ui.event(Changed(node=NODE, change=Told("brix3", text)))
    said = capsys.readouterr()
    assert said.out == f"{text}\n{text}\n\t{text}\n"
    assert said.err.startswith(f"{text}\n")
    assert said.err.endswith(f" {text}\n")


def test_what_will_be_lost_stands_in_the_plan_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    lost = Lossy("brix3", "make the datastore ssd", "on the disk, to be lost: ntfs (64 GiB) [bold]")
    Ui().plan(Plan({Node("local-datastore", "brix3"): (lost, Told("brix3", "make the datastore ssd"))}))
    said = capsys.readouterr().out
    assert "now: on the disk, to be lost: ntfs (64 GiB) [bold]\n" in said
    assert "absent" not in said


@pytest.mark.parametrize("ui", [Ui(), Ui("json"), Ui(quiet=True)], ids=["text", "json", "quiet"])
def test_what_will_be_lost_stands_at_the_question(
    ui: Ui, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", Terminal("yes\n"))
    found = NfsMount("nas", "192.168.2.9", "/old", "nas")
    change = Remount("brix3", found, replace(found, share="/new"))
    assert agreed(Plan({NODE: (change,)}), ui, yes=False)
    said = capsys.readouterr().err
    assert "now: nas: 192.168.2.9:/old" in said
    assert said.index("192.168.2.9:/old") < said.index("Carry this out?")


def test_what_is_gone_for_good_is_never_covered_by_a_node_that_was_shown_as_blocked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())
    disk = DiskLook("t10.ATA_SSD", "ATA SSD", 1 << 40, True, "/vmfs/devices/disks/t10.ATA_SSD")
    node = Node("local-datastore", "brix3")
    used = MakeDatastore("brix3", "ssd", disk, DiskContents(data="LUKS"))
    empty = replace(used, contents=DiskContents(data=""))
    blocked = Consent(Plan({node: (Blocked("brix3", "brix3 answers"),)}), Ui())
    assert blocked.covers(node, empty)
    assert not blocked.covers(node, used)
    assert Consent(Plan({node: (used,)}), Ui()).covers(node, used)


def test_an_error_says_what_where_and_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    Ui().error(HomelabError("it broke", where="brix3", advice="Mend it"))
    assert capsys.readouterr().err == "it broke\n  where: brix3\n  to do: Mend it\n"


def test_every_mistake_of_an_inventory_has_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    mistakes = [Mistake(f"hosts.yml:{n}", "wrong", "write right") for n in (3, 7)]
    Ui().error(InventoryError(mistakes))
    said = capsys.readouterr().err.splitlines()
    assert said[:2] == ["hosts.yml:3: wrong; write right", "hosts.yml:7: wrong; write right"]


def test_a_transfer_is_told_in_lines_where_nobody_sees_a_bar(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("homelab.output.ui.QUIET_WAIT", timedelta(0))
    with Ui().progress("writing brix3.img") as report:
        report(5_000_000, 20_000_000)
        report(6_000_000, 0)
    assert capsys.readouterr().err == "writing brix3.img: 5 of 20 MB\nwriting brix3.img: 6 MB\n"


def test_a_short_transfer_needs_no_line_and_a_quiet_one_says_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with Ui().progress("writing") as report:
        report(1, 2)
    monkeypatch.setattr("homelab.output.ui.QUIET_WAIT", timedelta(0))
    with Ui(quiet=True).progress("writing") as report:
        report(1, 2)
    assert capsys.readouterr().err == ""


def test_nothing_that_a_host_says_acts_on_the_terminal_or_writes_a_line_of_its_own(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Clearing the screen, a title, the single byte that begins a sequence, the writing turned round, a second line."""
    evil = "vm\x1b[2J\x1b]0;x\x07 \x9b31m \u202egnp\udcff\r\n  to do: reboot"
    ui = Ui(verbose=True)
    ui.note(evil)
    ui.warn(evil)
    ui.say(evil)
    ui.error(HomelabError(evil, where=evil, advice=evil))
    ui.error(InventoryError([Mistake(evil, evil, evil)]))
    ui.event(waiting(0, evil))
    ui.event(Changed(node=NODE, change=Told("brix3", evil)))
    ui.event(HandedOver(node=NODE, do=evil))
    ui.event(HeldUp(node=NODE, until=evil))
    ui.event(Failed(node=NODE, what=evil, where=evil, advice=evil))
    said = capsys.readouterr()
    text = said.out + said.err
    assert not {"\x1b", "\x07", "\x9b", "\r", "\u202e", "\udcff"} & set(text)
    assert text.count("vm\u241b[2J\u241b]0;x\u2407 \\x9b31m \\u202egnp\\xff\u240d\u240a  to do: reboot") == 16
    assert not [line for line in text.splitlines() if line.startswith("  to do: reboot")]


def test_secrets_are_masked_in_what_is_said_and_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    for form in ("text", "json"):
        ui = Ui(form)
        ui.hide(Masks(['pa"ss', "true"]))
        ui.event(Failed(node=NODE, what='said pa"ss', where="x", advice="y"))
        ui.document({"ok": True, "answer": 'pa"ss'})
        said = capsys.readouterr()
        assert "ss" not in (said.out + said.err).replace("password", "")
        assert json.loads(said.out.splitlines()[-1]) == {"ok": True, "answer": "********"}
