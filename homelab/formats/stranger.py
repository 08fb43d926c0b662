"""What answers where an ESXi host is expected: the beginning of an HTTP answer, in a few words for people."""

import re

SHOWN = 60


def what_answered(raw: bytes) -> str:
    """`a web page (HTTP 200): login & go`, `JSON (HTTP 404): ...`; from the beginning of what came, head and all."""
    if not raw:
        return "nothing at all"
    head, _, body = raw.partition(b"\r\n\r\n")
    status = re.match(rb"HTTP/1\.\d (\d{3})", head)
    if status is None:
        return f"something that speaks no HTTP: {_words(raw) or 'no text'}"
    number = status[1].decode()
    place = re.search(rb"(?im)^location:[ \t]*([^\r\n]*)", head)
    if place and number.startswith("3"):
        return f"a redirect (HTTP {number}) to {_words(place[1])}"
    words = _words(re.sub(rb"<[^>]*>?", b" ", body))
    return f"{_kind(body.lstrip().lower())} (HTTP {number})" + (f": {words}" if words else "")


def _kind(body: bytes) -> str:
    if not body:
        return "an empty answer"
    if body.startswith((b"{", b"[")):
        return "JSON"
    if re.search(rb"<(!doctype html|html|head|body)", body):
        return "a web page"
    return "XML that is cut off, or is no SOAP" if body.startswith(b"<") else "something else"


def _words(text: bytes) -> str:
    """A beginning that is fit to be shown: one line, no control characters."""
    plain = "".join(c if c.isprintable() else " " for c in text.decode(errors="replace"))
    words = " ".join(plain.split())
    return words if len(words) <= SHOWN else f"{words[:SHOWN].rstrip()}..."
