"""The YAML that kubeadm's files are written in: block mappings, block sequences, scalars. Anything else is an error."""

import json
import re
from dataclasses import dataclass
from typing import Any

_QUOTED = r""""(?:[^"\\]|\\.)*"|'(?:[^']|'')*'"""
_KEY = re.compile(rf"^({_QUOTED}|[^\s\"'\[{{#&*!|>-][^:]*|-[^\s:][^:]*):(?:\s+(.*))?$")
_SAFE = re.compile(r"^(--)?[A-Za-z/_.][A-Za-z0-9/_.:=,@+-]*$")
_NOT_TEXT = {"true", "false", "null", "yes", "no", "on", "off", "y", "n", ".inf", ".nan"}
_WORDS: dict[str, Any] = {"true": True, "false": False, "null": None, "~": None, "[]": [], "{}": {}}


@dataclass
class _Line:
    indent: int
    text: str


def load_all(text: str) -> list[dict[str, Any]]:
    """The documents of a file; ValueError names the line that is beyond this reader."""
    documents = []
    for part in re.split(r"^---[ \t]*$", text, flags=re.MULTILINE):
        lines = [_Line(len(raw) - len(raw.lstrip(" ")), raw.strip()) for raw in part.splitlines()]
        lines = [line for line in lines if line.text and not line.text.startswith("#")]
        if not lines:
            continue
        value, end = _block(lines, 0)
        if end != len(lines) or not isinstance(value, dict):
            raise ValueError(f"cannot read this as YAML: {lines[min(end, len(lines) - 1)].text!r}")
        documents.append(value)
    return documents


def load(text: str) -> dict[str, Any]:
    """The one document of a file."""
    documents = load_all(text)
    if len(documents) != 1:
        raise ValueError(f"one YAML document expected, {len(documents)} found")
    return documents[0]


def dump(value: dict[str, Any]) -> str:
    """A mapping as YAML that load() and every other reader take."""
    return "\n".join(_written(value, 0)) + "\n"


def _block(lines: list[_Line], at: int) -> tuple[Any, int]:
    return (_sequence if _is_item(lines[at].text) else _mapping)(lines, at)


def _is_item(text: str) -> bool:
    return text == "-" or text.startswith("- ")


def _sequence(lines: list[_Line], at: int) -> tuple[list[Any], int]:
    indent, items = lines[at].indent, []
    while at < len(lines) and lines[at].indent == indent and _is_item(lines[at].text):
        rest = lines[at].text[1:].lstrip()
        if rest and not _KEY.match(rest):
            value, at = _scalar(rest), at + 1
        elif rest:
            lines[at] = _Line(indent + len(lines[at].text) - len(rest), rest)
            value, at = _mapping(lines, at)
        else:
            value, at = _block(lines, at + 1)
        items.append(value)
    return items, at


def _mapping(lines: list[_Line], at: int) -> tuple[dict[str, Any], int]:
    indent, result = lines[at].indent, {}
    while at < len(lines) and lines[at].indent == indent and not _is_item(lines[at].text):
        match = _KEY.match(lines[at].text)
        if match is None:
            raise ValueError(f"cannot read this as YAML: {lines[at].text!r}")
        key, at = str(_scalar(match[1])), at + 1
        if match[2]:
            result[key] = _scalar(match[2])
        elif at < len(lines) and (
            lines[at].indent > indent or (lines[at].indent == indent and _is_item(lines[at].text))
        ):
            result[key], at = _block(lines, at)
        else:
            result[key] = None
    return result, at


def _scalar(text: str) -> Any:
    if text in _WORDS:
        return _WORDS[text]
    if text.startswith('"'):
        return json.loads(text)
    if text.startswith("'"):
        return text[1:-1].replace("''", "'")
    if re.fullmatch(r"-?\d+", text):
        return int(text)
    if text[0] in "[{&*!|>%@`":
        raise ValueError(f"cannot read this as YAML: {text!r}")
    return text.split(" #")[0].rstrip()


def _written(value: Any, indent: int) -> list[str]:
    pad, lines = "  " * indent, []
    pairs = (
        [(f"{_text(key)}:", item) for key, item in value.items()]
        if isinstance(value, dict)
        else [("-", item) for item in value]
    )
    for head, item in pairs:
        if isinstance(item, dict | list) and item:
            inner = _written(item, indent + 1)
            if head == "-":
                lines += [f"{pad}- {inner[0].lstrip()}", *inner[1:]]
            else:
                lines += [f"{pad}{head}", *inner]
        else:
            lines.append(f"{pad}{head} {_text(item)}")
    return lines


def _text(value: Any) -> str:
    if isinstance(value, str) and _SAFE.match(value) and value.lower() not in _NOT_TEXT:
        return value
    return json.dumps(value)
