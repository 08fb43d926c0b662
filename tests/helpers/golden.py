"""The JSON of one known lab, made comparable: what differs from run to run is replaced by a word."""

import json
import re
from typing import Any

from tests.helpers.checkout import ROOT

FOLDER = ROOT / "tests" / "end_to_end" / "golden"
# Times, durations, fingerprints and ids are new in every run; so is this machine.
VOLATILE = (
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)"), "MOMENT"),
    (re.compile(r"\d{8}T\d{6}\.\d+Z"), "RUN"),
    (re.compile(r"\b\d\d:\d\d:\d\d UTC"), "TIME"),
    (re.compile(r"SHA256:(?:[0-9A-F]{2}:){31}[0-9A-F]{2}|SHA256:[A-Za-z0-9+/]{43}"), "FINGERPRINT"),
    (re.compile(r"\b[0-9a-f]{64}\b"), "DIGEST"),
    (re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"), "UUID"),
    (re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{8}\b"), "VOLUME"),
    (re.compile(r"-?\d+ s (?:ahead|behind)"), "A SECOND"),
    (re.compile(r"Python [\d.]+, ansible-core [\d.]+, \d+ GiB"), "THIS MACHINE"),
)


def comparable(value: Any) -> Any:
    """A document or event with what differs from run to run replaced."""
    if isinstance(value, dict):
        return {key: 0 if key == "seconds" else comparable(one) for key, one in value.items()}
    if isinstance(value, list):
        return [comparable(one) for one in value]
    if isinstance(value, str):
        for pattern, word in VOLATILE:
            value = pattern.sub(word, value)
    return value


def lines(output: str) -> list[str]:
    """The JSON lines of a run, sorted by node: which of two independent nodes is first is a matter of luck.

    Waits are left out: how often one is told depends on how fast this machine is.
    """
    events = [json.loads(line) for line in output.splitlines()]
    kept = [event for event in events if event["event"] != "waiting"]
    kept.sort(key=lambda event: (event["event"] == "summary", event["step"] or "", event["target"] or ""))
    return [json.dumps(comparable(event)) for event in kept]
