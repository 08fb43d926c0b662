"""Secrets masked in what is written down, in whatever quoting they turn up. Pure.

Text is masked as text. JSON lines are masked value by value, so that they stay JSON whatever the secret is: a password
`true` or `12` must not take the numbers out of a record.
"""

import base64
import json
import re
from collections.abc import Iterable
from functools import cached_property
from typing import Any

MASK = "********"
# Shorter than this a secret is found in every other word; it is masked only where it stands alone.
SHORT = 4


class Masks:
    """The secrets of a run, and texts without them. Empty ones hide nothing."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self.secrets = frozenset(secret for secret in secrets if secret)

    @property
    def short(self) -> bool:
        """Whether a secret is too short to be masked inside of words."""
        return any(len(secret) < SHORT for secret in self.secrets)

    def text(self, text: str) -> str:
        """The text, masked."""
        return self._pattern.sub(MASK, text) if self._pattern else text

    def line(self, line: str) -> str:
        """A line of JSON, its values masked; as text where it is no JSON."""
        if not self._pattern:
            return line
        try:
            data = json.loads(line)
        except ValueError:
            return self.text(line)
        return json.dumps(self.values(data))

    def values(self, data: Any) -> Any:
        """The same data, every text in it masked; keys stay."""
        if isinstance(data, str):
            return self.text(data)
        if isinstance(data, dict):
            return {key: self.values(value) for key, value in data.items()}
        if isinstance(data, list | tuple):
            return [self.values(value) for value in data]
        return data

    @cached_property
    def _pattern(self) -> re.Pattern[str] | None:
        parts = {
            form: re.escape(form) if len(secret) >= SHORT else rf"(?<!\w){re.escape(form)}(?!\w)"
            for secret in sorted(self.secrets, key=len)
            for form in _forms(secret)
        }
        longest_first = sorted(parts, key=len, reverse=True)
        return re.compile("|".join(parts[form] for form in longest_first)) if parts else None


def _forms(secret: str) -> set[str]:
    """How a secret may be written: quoted for JSON (twice, in a quoted text), URLs, XML, Python, YAML, a shell."""
    forms = {secret}
    stripped = secret.strip()
    if len(stripped) >= SHORT:
        forms.add(stripped)  # a block in YAML ends with a line feed
    forms |= {line for line in secret.splitlines() if len(line) >= 2 * SHORT}
    for form in tuple(forms):
        forms |= _quoted(form)
    return {form for form in forms if form.strip()}


def _quoted(text: str) -> set[str]:
    data = text.encode(errors="surrogatepass")
    once = {json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]}
    twice = {json.dumps(form, ensure_ascii=ascii)[1:-1] for form in once for ascii in (True, False)}
    xml = text.replace("&", "&amp;").replace(">", "&gt;").replace("<", "&lt;")
    return {
        *once,
        *twice,
        *(_percent(data, plain) for plain in ("/", "")),
        _percent(data, " ").replace(" ", "+"),
        xml,
        xml.replace('"', "&quot;"),
        xml.replace('"', "&quot;").replace("'", "&apos;"),
        xml.replace('"', "&#34;").replace("'", "&#39;"),
        xml.replace('"', "&quot;").replace("'", "&#x27;"),
        repr(text)[1:-1],
        text.replace("'", "''"),
        text.replace("'", "'\"'\"'"),
        base64.b64encode(data).decode(),
    }


def _percent(data: bytes, plain: str) -> str:
    """As URLs have it: letters, digits, `_.-~` and what else is `plain` stay."""
    return "".join(
        chr(byte) if chr(byte).isascii() and (chr(byte).isalnum() or chr(byte) in f"_.-~{plain}") else f"%{byte:02X}"
        for byte in data
    )
