"""The esxcli program: finds a command's function by its name, reads its options, and prints the answer.

`esxcli system module set` is the function `system_module_set`; its parameters are the command's options. Text of errors
that nobody has recorded is listed in docs/reference/assumed.md.
"""

import inspect
from collections.abc import Callable
from functools import cache
from typing import get_type_hints

from homelab.rehearsal.host import Host
from homelab.rehearsal.refusals import Refusal
from homelab.rehearsal.shell import commands as module
from homelab.rehearsal.shell.call import Answer, Call
from homelab.rehearsal.shell.layouts import FORMATTERS, Output, render

Command = Callable[..., Output]

SHORT = {
    "enable": "e",
    "enabled": "e",
    "loaded": "l",
    "module": "m",
    "nic_name": "n",
    "option": "o",
    "setting": "s",
    "timeout": "t",
    "value": "v",
    "vibname": "n",
}
TRUE = ("true", "t", "1", "yes", "y")
FALSE = ("false", "f", "0", "no", "n")
NO_HOSTD = "Connect to localhost failed: Connection failure\n"


class UsageError(Exception):
    """The command line is not one that esxcli takes."""


def esxcli(call: Call) -> Answer:
    """Ask hostd, and so fail while it is still starting."""
    if not call.host.api_ready:
        return Answer(err=NO_HOSTD, status=1)
    return localcli(call)


def localcli(call: Call) -> Answer:
    """The same commands without hostd."""
    try:
        formatter, words = _formatter(list(call.arguments))
        path = _path(words)
        command = _find(path)
        if command is None:
            return Answer(_listing(path))
        options = _options(command, path, words[len(path) :])
    except UsageError as error:
        return Answer(err=f"Error: {error}\n", status=1)
    return _answer(call.host, command, options, formatter)


def _answer(host: Host, command: Command, options: dict[str, str | bool], formatter: str | None) -> Answer:
    try:
        return Answer(render(command(host, **options), formatter))
    except module.Failure as failure:
        return Answer(err=f"{failure}\n", status=1)
    except Refusal as refusal:
        return Answer(err=f"{refusal.message}\n", status=1)


@cache
def functions() -> dict[str, Command]:
    """Every command by its path, joined by underscores."""
    found = inspect.getmembers(module, inspect.isfunction)
    return {n: f for n, f in found if f.__module__ == module.__name__ and not n.startswith("_")}


def _formatter(words: list[str]) -> tuple[str | None, list[str]]:
    """The chosen formatter and the words behind esxcli's own options."""
    if not words or not words[0].startswith("-"):
        return None, words
    name, equals, value = words[0].partition("=")
    rest = words[1:]
    if name != "--formatter":
        raise UsageError(f"Invalid option {words[0]}")
    if not equals:
        value, rest = (rest[0], rest[1:]) if rest else ("", [])
    if value not in FORMATTERS:
        raise UsageError(f"Invalid formatter {value!r} (known to the rehearsal: {', '.join(FORMATTERS)})")
    return value, rest


def _path(words: list[str]) -> list[str]:
    first_option = next((index for index, word in enumerate(words) if word.startswith("-")), len(words))
    return words[:first_option]


def _find(path: list[str]) -> Command | None:
    """The command's function, or None where the path is a namespace."""
    name = "_".join(path)
    if name in functions():
        return functions()[name]
    if not path or any(one.startswith(f"{name}_") for one in functions()):
        return None
    raise UsageError(f"Unknown command or namespace {' '.join(path)}")


def _listing(path: list[str]) -> str:
    prefix = "".join(f"{word}_" for word in path)
    below = [name.removeprefix(prefix).split("_") for name in functions() if name.startswith(prefix)]
    spaces = sorted({words[0] for words in below if len(words) > 1})
    leaves = sorted({words[0] for words in below if len(words) == 1})
    text = f"Usage: {' '.join(['esxcli', *path])} {{cmd}} [cmd options]\n"
    for title, names in (("Available Namespaces", spaces), ("Available Commands", leaves)):
        if names:
            text += f"\n{title}:\n" + "".join(f"  {name}\n" for name in names)
    return text


def _options(command: Command, path: list[str], words: list[str]) -> dict[str, str | bool]:
    """The values of a command's options by parameter; raises UsageError."""
    parameters = list(inspect.signature(command).parameters.values())[1:]
    names = {f"--{p.name.replace('_', '-')}": p.name for p in parameters}
    names |= {f"-{SHORT[p.name]}": p.name for p in parameters}
    hints = get_type_hints(command)
    values: dict[str, str | bool] = {}
    while words:
        option, equals, value = words.pop(0).partition("=")
        if option not in names:
            raise UsageError(f"Invalid option {option}\n\nUsage: {' '.join(['esxcli', *path])} [cmd options]")
        if not equals:
            if not words:
                raise UsageError(f"Option {option} requires a value")
            value = words.pop(0)
        name = names[option]
        values[name] = value if hints[name] in (str, str | None) else _boolean(option, value)
    for parameter in parameters:
        if parameter.default is parameter.empty and parameter.name not in values:
            spelling = f"-{SHORT[parameter.name]}|--{parameter.name.replace('_', '-')}"
            raise UsageError(f"Missing required parameter {spelling}")
    return values


def _boolean(option: str, value: str) -> bool:
    if value.lower() in TRUE:
        return True
    if value.lower() in FALSE:
        return False
    raise UsageError(f"Invalid value {value!r} for option {option}: a boolean is wanted")
