"""The page of all commands, from click's own tree."""

from collections.abc import Iterator

import click

from homelab.cli import cli
from homelab.cli.examples import EXAMPLES
from homelab.cli.options import GLOBAL_NAMES
from homelab.output.shapes import DOCUMENTS
from tools.reference.markdown import angled, code, fenced, plain, table
from tools.reference.markdown import page as whole

INTRO = """`homelab COMMAND --help` tells the same at your prompt. What is not plain about some options stands in
[Options beyond the first words](../commands.md). Commands that change something show the plan and ask first."""


def leaves(command: click.Command = cli, path: str = "") -> Iterator[tuple[str, click.Command]]:
    """Every command that can be typed, in the order of `--help`."""
    if isinstance(command, click.Group):
        for name in command.list_commands(click.Context(command)):
            yield from leaves(command.commands[name], f"{path} {name}".strip())
    else:
        yield path, command


def page() -> str:
    """The page."""
    listed = table(("command", "does"), [(f"[`{path}`](#{anchor(path)})", _first(one)) for path, one in leaves()])
    options = [param for param in cli.params if isinstance(param, click.Option)]
    parts = ["## Global options", "They stand before or after the command.", _options(options)]
    for path, command in leaves():
        parts += [f"## {path}", *_command(path, command)]
    return whole("Every command", INTRO, listed, *parts)


def anchor(path: str) -> str:
    """The heading's anchor."""
    return path.replace(" ", "-")


def _command(path: str, command: click.Command) -> Iterator[str]:
    context = click.Context(command, info_name=f"homelab {path}")
    yield fenced(" ".join((f"homelab {path}", *command.collect_usage_pieces(context))))
    yield angled(plain(command.help))
    own = [one for one in command.params if isinstance(one, click.Option) and one.name not in GLOBAL_NAMES]
    yield _options(own)
    if lines := EXAMPLES.get(path):
        yield fenced("\n".join(lines), "sh")
    if printed := [name for name, (_, commands) in DOCUMENTS.items() if path in commands]:
        links = ", ".join(f"[{name}](json.md#{name})" for name in printed)
        yield f"With `-o json`: {links}."


def _options(options: list[click.Option]) -> str:
    return table(("option", "does", "unless told"), [_option(one) for one in options])


def _option(option: click.Option) -> tuple[str, str, str]:
    takes = "" if option.is_flag else f" {_metavar(option)}"
    names = ", ".join(f"{code(f'{name}{takes}')}" for name in (*option.opts, *option.secondary_opts))
    told = option.default
    silent = (
        told is None or option.multiple or option.is_flag or str(told) in ("", "0") or "UNSET" in repr(told).upper()
    )
    help_text = (option.help or "") + (
        " Repeatable." if option.multiple and "repeatable" not in (option.help or "") else ""
    )
    return names, angled(help_text) + _choices(option), "" if silent else code(told)


def _metavar(option: click.Option) -> str:
    if option.metavar:
        return option.metavar
    return (option.name or "").upper() if isinstance(option.type, click.Choice) else option.type.name.upper()


def _choices(option: click.Option) -> str:
    if not isinstance(option.type, click.Choice) or option.metavar:
        return ""
    return f" One of {', '.join(code(one) for one in option.type.choices)}."


def _first(command: click.Command) -> str:
    return angled(plain(command.help).partition("\n")[0])
