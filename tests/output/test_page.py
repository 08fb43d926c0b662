"""The page of `status --serve`: what it answers, and what a browser may do with it."""

import json
import re
from base64 import b64encode
from dataclasses import replace
from hashlib import sha256
from xml.etree import ElementTree

import pytest

from homelab.checks.lab_look import LabLook
from homelab.formats.trust.masks import Masks
from homelab.output.page import HTML, Page, Reply, RunShown
from tests.helpers.lab_looks import faulty, well

EVENT = {"event": "start", "at": "2026-03-01T12:00:01Z", "step": "vm", "target": "cp1"}
LAST = RunShown("20260301T120000.000000Z", (EVENT,), ("12:00 it began", "12:01 the password is swordfish"))


def page(look: LabLook, run: RunShown | None = LAST) -> Page:
    return Page("homelab", lambda: look, lambda: run, Masks(["swordfish"]))


def told(page: Page, path: str, **query: str) -> Reply:
    reply = page(path, query)
    assert reply is not None
    return reply


def test_the_browser_runs_what_stands_in_the_page_and_nothing_else() -> None:
    reply = told(page(well()), "/")
    assert reply.kind == HTML
    rules = dict(rule.strip().split(" ", 1) for rule in reply.policy.split(";"))
    for tag, rule in (("script", "script-src"), ("style", "style-src")):
        [inline] = re.findall(rf"<{tag}>(.*?)</{tag}>", reply.text, re.DOTALL)
        digest = b64encode(sha256(inline.encode()).digest()).decode()
        assert rules[rule] == f"'sha256-{digest}'"
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == rules["frame-ancestors"] == "'none'"
    assert not re.search(r"https?:|//[a-z]|<form|<iframe|<link(?! rel=\"icon\" href=\"data:,\")|innerHTML", reply.text)


def test_the_status_is_the_contract_s_document() -> None:
    look = faulty()
    document = json.loads(told(page(look), "/status.json").text)
    assert document == json.loads(json.dumps(look.document()))
    assert list(document) == ["hosts", "datastores", "vms", "balancers", "api_servers", "vip"]
    assert document["vip"]["holders"] == ["lb1"]
    assert document["api_servers"][1]["balancers"] == {"lb1": "drained"}


@pytest.mark.parametrize(("asked", "width"), [("390", 390), ("5", 320), ("99999", 1600), ("x", 960), ("", 960)])
@pytest.mark.parametrize("path", ["/status.svg", "/timeline.svg"])
def test_pictures_are_as_wide_as_the_window_within_reason(path: str, asked: str, width: int) -> None:
    reply = told(page(well()), path, width=asked)
    assert ElementTree.fromstring(reply.text).attrib["width"] == str(width)
    assert "script" not in reply.policy
    assert "default-src 'none'" in reply.policy


def test_no_secret_is_in_any_answer() -> None:
    look = well()
    look = replace(look, hosts=(replace(look.hosts[0], answers=False, problem="swordfish"), *look.hosts[1:]))
    shown = page(look)
    for path in ("/", "/status.json", "/status.svg", "/run.json", "/timeline.svg"):
        assert "swordfish" not in told(shown, path).text
    assert json.loads(told(shown, "/run.json").text)["lines"][1] == "12:01 the password is ********"


def test_without_a_run_there_is_none_and_other_addresses_are_not_there() -> None:
    shown = page(well(), None)
    assert json.loads(told(shown, "/run.json").text) == {"run": None, "events": 0, "lines": []}
    assert "nothing was to do" in told(shown, "/timeline.svg").text
    assert shown("/etc/passwd", {}) is None
