"""From a command line to its answer: lists, pipes, patterns, and the commands by name."""

import fnmatch
import inspect
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from itertools import takewhile
from types import ModuleType

from homelab.rehearsal.host.host import Host
from homelab.rehearsal.shell import (
    busybox,
    disk_programs,
    esxcli,
    files,
    filesystem,
    time_programs,
    vimcmd,
    vmkfstools,
)
from homelab.rehearsal.shell.call import Answer, Call
from homelab.rehearsal.shell.options import usage
from homelab.rehearsal.shell.words import Command, Pipeline, ShellSyntaxError, Word, parse

WRITING_VERBS = {
    "add",
    "apply",
    "create",
    "install",
    "load",
    "mark",
    "poweroff",
    "reboot",
    "reload",
    "remove",
    "set",
    "start",
    "stop",
}
WRITING_PROGRAMS = {
    "auto-backup.sh",
    "chkconfig",
    "halt",
    "kill",
    "mkdir",
    "mv",
    "ntpd",
    "poweroff",
    "reboot",
    "rm",
    "rmdir",
    "touch",
    "vmkfstools",
}
FOLDERS = ("/bin/", "/etc/init.d/", "/sbin/", "/usr/bin/", "/usr/sbin/", "/usr/lib/vmware/bin/")


def run(host: Host, line: str, calls: Counter[str]) -> Answer:
    """The answer of a whole command line; what ran is counted in `calls`. The caller holds the host's lock."""
    try:
        pipelines = parse(line)
    except ShellSyntaxError as error:
        return Answer(err=f"sh: syntax error: {error}\n", status=2)
    whole = Answer()
    for pipeline in pipelines:
        if (pipeline.joint == "&&" and whole.status) or (pipeline.joint == "||" and not whole.status):
            continue
        answer, left = _pipeline(host, pipeline, calls)
        whole = Answer(whole.out + answer.out, whole.err + answer.err, answer.status)
        if left:
            break
    return whole


def writes(label: str) -> bool:
    """Whether a command, as it is counted, changes something."""
    program, *words = label.split()
    if program in ("esxcli", "localcli"):
        return bool(WRITING_VERBS & set(words[-1:]))
    if program == "vim-cmd":
        return not re.search(r"/(get|list|is)|getstate$|info$|license$", words[-1] if words else "/get")
    return program in WRITING_PROGRAMS


def _pipeline(host: Host, pipeline: Pipeline, calls: Counter[str]) -> tuple[Answer, bool]:
    """The answer of commands joined by pipes, and whether the shell was left by `exit`."""
    err, answer = "", Answer()
    for command in pipeline.commands:
        argv = tuple(word for one in command.words for word in _expand(host, one))
        if argv[0] == "exit" and len(pipeline.commands) == 1:
            return _exit(argv), True
        answer = _redirected(command, _command(Call(host, argv, answer.out), calls))
        err += answer.err
    return replace(answer, err=err), False


def _exit(argv: tuple[str, ...]) -> Answer:
    if len(argv) == 1:
        return Answer()
    if not argv[1].isdigit():
        return Answer(err=f"sh: exit: Illegal number: {argv[1]}\n", status=2)
    return Answer(status=int(argv[1]) % 256)


def _redirected(command: Command, answer: Answer) -> Answer:
    out = "" if command.drop_out or command.out_to_err else answer.out
    err = "" if command.drop_err or command.err_to_out else answer.err
    if command.err_to_out:
        out += answer.err
    if command.out_to_err:
        err += answer.out
    return Answer(out, err, answer.status)


def _expand(host: Host, word: Word) -> list[str]:
    """The paths that a pattern stands for; the pattern itself where there are none, as in any shell."""
    if not word.pattern:
        return [word.text]
    depth = word.text.count("/")
    paths = (path for path in files.known_paths(host) if path.count("/") == depth)
    return sorted(path for path in paths if fnmatch.fnmatchcase(path, word.text)) or [word.text]


def _command(call: Call, calls: Counter[str]) -> Answer:
    typed = call.argv[0]
    folder, _, name = typed.rpartition("/")
    known = "_" not in name and (not folder or f"{folder}/" in FOLDERS)
    if known and name == "sh":
        return _sub_shell(call, calls)
    function = commands().get(name.replace("-", "_").replace(".", "_")) if known else None
    if function is None:
        return Answer(err=f"sh: {typed}: not found\n", status=127)
    calls[_label(name, call.arguments)] += 1
    return function(call)


def _sub_shell(call: Call, calls: Counter[str]) -> Answer:
    """`sh -c LINE`: what it runs is counted by itself."""
    if len(call.arguments) != 2 or call.arguments[0] != "-c":
        return usage("sh", "".join(call.arguments[:1]), "c")
    return run(call.host, call.arguments[1], calls)


def _label(name: str, arguments: tuple[str, ...]) -> str:
    """What the command is counted as: its name, with the subcommand of esxcli and vim-cmd."""
    if name == "vim-cmd":
        return " ".join([name, *arguments[:1]])
    if name in ("esxcli", "localcli"):
        words = [word for word in arguments if not word.startswith("--formatter")]
        return " ".join([name, *takewhile(lambda word: not word.startswith("-"), words)])
    return name


@cache
def commands() -> dict[str, Callable[[Call], Answer]]:
    """Every command of the simulated shell by its name, underscores standing for the hyphen and the dot."""
    return {
        **_functions(busybox),
        **_functions(disk_programs),
        **_functions(filesystem),
        "chkconfig": time_programs.chkconfig,
        "ntpd": time_programs.ntpd,
        "esxcli": esxcli.esxcli,
        "localcli": esxcli.localcli,
        "vim_cmd": vimcmd.vim_cmd,
        "vmkfstools": vmkfstools.vmkfstools,
    }


def _functions(module: ModuleType) -> dict[str, Callable[[Call], Answer]]:
    found = inspect.getmembers(module, inspect.isfunction)
    return {name: one for name, one in found if one.__module__ == module.__name__ and not name.startswith("_")}
