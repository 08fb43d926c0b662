"""The page of `status --serve`: one document without anything from elsewhere, and what it asks for.

It shows and does nothing: no address of it changes anything, and no secret is in it.
"""

import json
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from html import escape
from pathlib import Path
from typing import Any

from homelab.checks.lab_look import LabLook
from homelab.formats.trust.masks import Masks
from homelab.output.lab_svg import WIDTH, lab_svg
from homelab.output.timeline import run_timeline

HTML, JSON, SVG = "text/html; charset=utf-8", "application/json", "image/svg+xml; charset=utf-8"
# What a browser may do with a picture that is opened by itself: use the styles in it.
PICTURE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
NARROWEST, WIDEST = 320, 1600
FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Reply:
    """What an address answers: its kind (a media type), its text, and what a browser may do with it."""

    kind: str
    text: str
    policy: str = "default-src 'none'; frame-ancestors 'none'"


@dataclass(frozen=True)
class RunShown:
    """The last run: the name of its folder, its events, and the last lines of its log."""

    name: str
    events: Sequence[Mapping[str, Any]]
    lines: Sequence[str]


@dataclass(frozen=True)
class Page:
    """The page of a lab. `look` tells how it stands now, `run` the last run, None where there was none."""

    lab: str
    look: Callable[[], LabLook]
    run: Callable[[], RunShown | None]
    masks: Masks

    def __call__(self, path: str, query: Mapping[str, str]) -> Reply | None:
        """The answer to GET PATH; None where there is nothing."""
        match path:
            case "/":
                return page(self.lab)
            case "/status.json":
                return Reply(JSON, self.masks.line(json.dumps(self.look().document())))
            case "/status.svg":
                return Reply(SVG, lab_svg(self.look(), _width(query), self.masks.text), PICTURE_POLICY)
            case "/run.json":
                return Reply(JSON, self.masks.line(json.dumps(_run_document(self.run()))))
            case "/timeline.svg":
                run = self.run() or RunShown("", (), ())
                return Reply(SVG, run_timeline(run.events, run.name, _width(query), self.masks.text), PICTURE_POLICY)
        return None


def page(lab: str) -> Reply:
    """The document: its style and its script stand in it, and the browser runs no others."""
    style, script = _own("page.css"), _own("page.js")
    text = _own("page.html").replace("{{style}}", style).replace("{{script}}", script).replace("{{lab}}", escape(lab))
    policy = (
        f"default-src 'none'; img-src 'self' data:; connect-src 'self'; style-src {_hash(style)}; "
        f"script-src {_hash(script)}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return Reply(HTML, text, policy)


@cache
def _own(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """How a policy names what stands in a document: by its digest (CSP 3, 2.3.1)."""
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


def _run_document(run: RunShown | None) -> dict[str, Any]:
    if run is None:
        return {"run": None, "events": 0, "lines": []}
    return {"run": run.name, "events": len(run.events), "lines": list(run.lines)}


def _width(query: Mapping[str, str]) -> int:
    """How wide a picture is wanted, in pixels."""
    given = query.get("width", "")
    width = int(given) if given.isascii() and given.isdigit() and len(given) < 6 else WIDTH
    return min(WIDEST, max(NARROWEST, width))
