"""A run's timeline, read from its events."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from xml.etree import ElementTree

from homelab.engine.events import Changed, Event, Failed, HeldUp, Intended, Started, Unchanged, Waiting
from homelab.engine.plan import Plan
from homelab.engine.step import Change, Node
from homelab.output.documents import event_document, log_document
from homelab.output.spans import critical, spans_of
from homelab.output.timeline import duration, run_timeline
from homelab.steps.hosts.first_boot_changes import SetVlan

SVG = "{http://www.w3.org/2000/svg}"
RUN = "20260301T120000.000000Z"
BEGAN = datetime(2026, 3, 1, 12, tzinfo=UTC)
MOUNT, IMAGE, OTHER, VM = Node("nfs", "brix1"), Node("image", "nas"), Node("nfs", "brix2"), Node("vm", "cp1")
CHANGE: Change = SetVlan("brix1", "VM Network", "vSwitch0", 20, 0)


def at(seconds: float) -> datetime:
    return BEGAN + timedelta(seconds=seconds)


def story() -> list[Event]:
    """Two hosts at once; the image after the first, the VM after the image and both hosts; another VM is blocked."""
    return [
        Intended(plan=Plan(), at=at(1)),
        Started(node=MOUNT, at=at(1)),
        Started(node=OTHER, at=at(1)),
        Changed(node=MOUNT, change=CHANGE, at=at(4)),
        Started(node=IMAGE, after=(MOUNT,), at=at(4)),
        Waiting(node=IMAGE, condition="the image is sent", deadline=at(60), last="10 %", at=at(5)),
        Unchanged(node=OTHER, at=at(6)),
        Waiting(node=IMAGE, condition="the image is sent", deadline=at(60), last="90 %", at=at(15)),
        Changed(node=IMAGE, change=CHANGE, at=at(20)),
        Started(node=VM, after=(IMAGE, MOUNT, OTHER), at=at(20)),
        Failed(node=VM, what="no room <here>", where="brix1", advice="make room", at=at(30)),
        HeldUp(node=Node("guest", "cp1"), until="vm cp1 is done", at=at(30)),
    ]


def documents(events: list[Event]) -> list[dict[str, Any]]:
    """As they stand in events.jsonl."""
    return [json.loads(json.dumps(log_document(event), default=str)) for event in events]


def picture(width: int = 960, clean: Any = str) -> ElementTree.Element:
    return ElementTree.fromstring(run_timeline(documents(story()), RUN, width, clean))


def test_the_log_tells_what_a_node_waited_for_and_scripts_see_what_they_saw() -> None:
    started = story()[9]
    assert log_document(started)["after"] == [
        {"step": "image", "target": "nas"},
        {"step": "nfs", "target": "brix1"},
        {"step": "nfs", "target": "brix2"},
    ]
    assert "after" not in event_document(started)


def test_each_node_is_a_span_with_its_waits_and_its_end() -> None:
    spans = {span.key: span for span in spans_of(documents(story()), RUN)}
    assert {key: (span.begin, span.end, span.outcome) for key, span in spans.items()} == {
        ("plan", ""): (0.0, 1.0, "unchanged"),
        ("nfs", "brix1"): (1.0, 4.0, "changed"),
        ("nfs", "brix2"): (1.0, 6.0, "unchanged"),
        ("image", "nas"): (4.0, 20.0, "changed"),
        ("vm", "cp1"): (20.0, 30.0, "failed"),
        ("guest", "cp1"): (30.0, 30.0, "blocked"),
    }
    [wait] = spans["image", "nas"].waits
    assert (wait.begin, wait.end, wait.condition) == (5.0, 20.0, "the image is sent")
    assert spans["vm", "cp1"].told == "no room <here>"


def test_the_critical_path_is_what_each_waited_for_the_longest() -> None:
    path = critical(spans_of(documents(story()), RUN))
    assert [span.key for span in path] == [("plan", ""), ("nfs", "brix1"), ("image", "nas"), ("vm", "cp1")]


def test_a_node_that_a_command_brings_twice_is_two_spans() -> None:
    again = [
        Intended(plan=Plan(), at=at(31)),
        Started(node=VM, at=at(31)),
        Changed(node=VM, change=CHANGE, at=at(40)),
        # Checks come one after another, and have no start.
        Unchanged(node=Node("verify", "cp1"), sentence="it is ready", at=at(41)),
        Unchanged(node=Node("verify", "api"), sentence="it answers", at=at(43)),
    ]
    spans = spans_of(documents([*story(), *again]), RUN)
    assert [(span.begin, span.end) for span in spans if span.key == ("vm", "cp1")] == [(20.0, 30.0), (31.0, 40.0)]
    assert [span.key for span in critical(spans)][-3:] == [("vm", "cp1"), ("verify", "cp1"), ("verify", "api")]
    assert [span.begin for span in spans if span.step == "verify"] == [40.0, 41.0]


def test_a_run_that_was_cut_off_is_drawn_as_far_as_it_came() -> None:
    told = documents(story())[:7]
    spans = {span.key: span for span in spans_of([*told, {"event": "start"}, {"at": "never"}], RUN)}
    assert (spans["image", "nas"].outcome, spans["image", "nas"].end) == ("running", 6.0)
    assert "nothing was to do" in run_timeline([], RUN)
    assert "not ended" in run_timeline(told, "no-time")


def test_bars_lie_in_the_rows_of_their_machines_and_failures_are_marked() -> None:
    drawn = picture()
    rows = {text.text: float(text.attrib["y"]) for text in drawn.iter(f"{SVG}text") if "bold" in text.attrib["class"]}
    groups = {group.attrib["data-name"]: group for group in drawn.iter(f"{SVG}g")}
    for name, target in (("nfs brix1", "brix1"), ("nfs brix2", "brix2"), ("image nas", "nas"), ("vm cp1", "cp1")):
        bar = next(groups[name].iter(f"{SVG}rect"))
        assert abs(float(bar.attrib["y"]) - rows[target]) < 20
    image = [rect.attrib["class"] for rect in groups["image nas"].iter(f"{SVG}rect")]
    assert image == ["good", "good wait"]
    failed = next(groups["vm cp1"].iter(f"{SVG}rect"))
    assert failed.attrib["class"] == "bad"
    assert failed.findtext(f"{SVG}title") == "vm cp1, failed after 10 s: no room <here>"
    assert next(groups["vm cp1"].iter(f"{SVG}text")).text == "✕ vm"
    frames = [rect for rect in drawn.iter(f"{SVG}rect") if rect.attrib["class"] == "critical"]
    assert len(frames) == 4 + 1  # and the legend's


def test_it_has_room_on_a_phone_and_hides_secrets() -> None:
    drawn = picture(390, lambda text: text.replace("here", "****"))
    for rect in drawn.iter(f"{SVG}rect"):
        assert float(rect.attrib.get("x", 0)) + float(rect.attrib["width"]) <= 390
    assert "here" not in ElementTree.tostring(drawn, encoding="unicode")


def test_lengths_of_time() -> None:
    told = [duration(seconds) for seconds in (0, 1.25, 12.3, 60, 141.3, 3600, 7380)]
    assert told == ["0 s", "1.2 s", "12 s", "1 min", "2 min 21 s", "1 h", "2 h 3 min"]
