"""Help: examples of every command that can be typed, on narrow terminals too."""

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator

import click
import pytest

from homelab.cli import cli
from homelab.cli.examples import EXAMPLES

NARROW = 60


def commands(
    command: click.Command = cli, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        for name, below in command.commands.items():
            yield from commands(below, (*path, name))


PATHS = [path for path, _ in commands()]
LINES = [
    line
    for path, lines in EXAMPLES.items()
    if tuple(path.split()) in PATHS
    for line in lines
    if not line.startswith("#")
]


def helped(path: tuple[str, ...], width: int) -> str:
    command: click.Command
    context, command = click.Context(cli, info_name="homelab", terminal_width=width), cli
    for name in path:
        assert isinstance(command, click.Group)
        command = command.commands[name]
        context = click.Context(command, info_name=name, parent=context, terminal_width=width)
    return command.get_help(context)


@pytest.mark.parametrize("path", PATHS, ids=" ".join)
def test_every_command_has_examples_and_fits_a_narrow_terminal(path: tuple[str, ...]) -> None:
    text = helped(path, NARROW)
    assert "Examples:" in text
    for line in EXAMPLES[" ".join(path)]:
        assert f"    {line}" in text.splitlines(), line
    assert max(map(len, text.splitlines())) <= NARROW
    assert text.isascii()


@pytest.mark.parametrize("line", LINES)
def test_an_example_can_be_typed(line: str) -> None:
    words = [word for word in shlex.split(line.partition(" > ")[0]) if "=" not in word.partition("-")[0]]
    assert words[0] == "homelab"
    command: click.Command | None
    context, command, rest = click.Context(cli, info_name="homelab"), cli, words[1:]
    while isinstance(command, click.Group):
        _, command, rest = command.resolve_command(context, rest)
    assert command is not None
    command.make_context(words[-1], list(rest), parent=context)


def test_help_at_the_width_of_the_terminal() -> None:
    environment = {**os.environ, "COLUMNS": str(NARROW)}
    argv = [sys.executable, "-m", "homelab", "--help"]
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=True)
    assert max(map(len, done.stdout.splitlines())) <= NARROW
