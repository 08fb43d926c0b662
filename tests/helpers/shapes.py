"""What a command printed with `-o json`, held against the shapes that are promised."""

import json
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError

from homelab.output.shapes import DOCUMENTS


def shapes_of(argv: Sequence[str]) -> list[type[BaseModel]]:
    """The shapes of the command that stands in these arguments; none where nothing is promised of it."""
    by_command: dict[str, list[type[BaseModel]]] = {}
    for shape, commands in DOCUMENTS.values():
        for command in commands:
            by_command.setdefault(command, []).append(shape)
    for command in sorted(by_command, key=len, reverse=True):
        words = command.split()
        if any(list(argv[at : at + len(words)]) == words for at in range(len(argv))):
            return by_command[command]
    return []


def fits(document: Any, *shapes: type[BaseModel]) -> None:
    """A document is one of these shapes, with no key beside theirs."""
    said = []
    for shape in shapes:
        try:
            TypeAdapter(shape).validate_python(document, strict=True)
            return
        except ValidationError as error:
            said.append(str(error))
    raise AssertionError(f"{json.dumps(document)[:500]}\n" + "\n".join(said))


def printed_fits(argv: Sequence[str], stdout: str) -> int:
    """Every line that such a command printed fits, when it was told to print JSON; how many there were."""
    if "json" not in argv or not (shapes := shapes_of(argv)):
        return 0
    documents = [json.loads(line) for line in stdout.splitlines()]
    for document in documents:
        fits(document, *shapes)
    return len(documents)
