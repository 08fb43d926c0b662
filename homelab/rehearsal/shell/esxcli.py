"""The esxcli program: finds a command's function by its name, reads its options, and prints the answer.

`esxcli system module set` is the function `system_module_set`; its parameters are the command's options. Text of errors
that nobody has recorded is listed in docs/reference/assumed.md.
"""

import inspect
import re
from collections.abc import Callable
from functools import cache
from typing import get_type_hints

from homelab.rehearsal.host.host import Host
from homelab.rehearsal.shell import (
    commands,
    commands_host,
    commands_network,
    commands_storage,
    commands_system,
    commands_time,
    commands_vms,
)
from homelab.rehearsal.shell.answers import Failure
from homelab.rehearsal.shell.call import Answer, Call
from homelab.rehearsal.shell.layouts import FORMATTERS, Output, render
from homelab.rehearsal.state.refusals import Refusal

Command = Callable[..., Output]
Option = str | int | bool | list[str]

# The short spellings of options, and which options take no value.
SHORT = {
    "all": "a",
    "datastore": "d",
    "default": "d",
    "delay": "d",
    "device": "d",
    "domain": "d",
    "enable": "e",
    "enabled": "e",
    "file": "f",
    "fqdn": "f",
    "gateway": "g",
    "host_": "H",
    "int_value": "i",
    "interface_name": "i",
    "ipv4": "I",
    "loaded": "l",
    "module": "m",
    "netmask": "N",
    "network": "n",
    "nic_name": "n",
    "option": "o",
    "path": "p",
    "peer_dns": "P",
    "readonly": "r",
    "portgroup_name": "p",
    "reason": "r",
    "ruleset_id": "r",
    "server": "s",
    "setting": "s",
    "share": "s",
    "size": "s",
    "string_value": "s",
    "timeout": "t",
    "type": "t",
    "unconfigure": "u",
    "value": "v",
    "vibname": "n",
    "vlan_id": "v",
    "volume_name": "v",
    "vswitch_name": "v",
}
FLAGS = ("all", "default", "force", "readonly", "smart", "unconfigure")
MODULES = (commands, commands_host, commands_network, commands_storage, commands_system, commands_vms, commands_time)
TRUE = ("true", "t", "1", "yes", "y")
FALSE = ("false", "f", "0", "no", "n")
NO_HOSTD = "Connect to localhost failed: Connection failure\n"


class UsageError(Exception):
    """The command line is not one that esxcli takes."""


def esxcli(call: Call) -> Answer:
    """Ask hostd, and so fail while it is still starting."""
    if not call.host.power.api_ready:
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


def _answer(host: Host, command: Command, options: dict[str, Option], formatter: str | None) -> Answer:
    try:
        return Answer(render(command(host, **options), formatter))
    except Failure as failure:
        return Answer(err=f"{failure}\n", status=1)
    except Refusal as refusal:
        return Answer(err=f"{refusal.message}\n", status=1)


@cache
def functions() -> dict[str, Command]:
    """Every command by its path, joined by underscores; what returns no `Output` is none."""
    return {
        name: function
        for module in MODULES
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__ == module.__name__ and function.__annotations__.get("return") == Output
        if not name.startswith("_")
    }


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
    if not any("_" in word for word in path):
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


def _options(command: Command, path: list[str], words: list[str]) -> dict[str, Option]:
    """The values of a command's options by parameter; raises UsageError."""
    parameters = list(inspect.signature(command).parameters.values())[1:]
    names = {f"--{_spelled(p.name)}": p.name for p in parameters}
    names |= {f"-{SHORT[p.name]}": p.name for p in parameters if p.name in SHORT}
    hints = get_type_hints(command)
    values: dict[str, Option] = {}
    while words:
        option, equals, value = words.pop(0).partition("=")
        if option not in names:
            raise UsageError(f"Invalid option {option}\n\n{_usage(path)}")
        name = names[option]
        if name in FLAGS and not equals:
            values[name] = True
            continue
        if not equals:
            if not words:
                raise UsageError(f"Option {option} requires a value")
            value = words.pop(0)
        if hints[name] == list[str] | None:
            # An option that may stand there several times.
            before = values.get(name)
            values[name] = [*(before if isinstance(before, list) else []), value]
            continue
        values[name] = _value(hints[name], option, value, path)
    for parameter in parameters:
        if parameter.default is parameter.empty and parameter.name not in values:
            short = f"-{SHORT[parameter.name]}|" if parameter.name in SHORT else ""
            raise UsageError(f"Missing required parameter {short}--{_spelled(parameter.name)}")
    return values


def _spelled(parameter: str) -> str:
    """The option of a parameter; a last underscore only keeps it apart from another name."""
    return parameter.rstrip("_").replace("_", "-")


def _usage(path: list[str]) -> str:
    return f"Usage: {' '.join(['esxcli', *path])} [cmd options]"


def _value(hint: object, option: str, value: str, path: list[str]) -> str | int | bool:
    if hint in (str, str | None):
        return value
    kind = "integer" if hint in (int, int | None) else "boolean"
    if kind == "integer" and re.fullmatch(r"-?\d{1,18}", value, re.ASCII):
        return int(value)
    if kind == "boolean" and value.lower() in (*TRUE, *FALSE):
        return value.lower() in TRUE
    raise UsageError(
        f"While processing '{option}'. Argument type mismatch. Expecting {kind} value. Got '{value}'\n\n{_usage(path)}"
    )
