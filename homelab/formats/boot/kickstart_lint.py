"""A linter for kickstart files of ESXi. Pure: text in, findings with line numbers out.

Rules of the 6.7 installer, from VMware's documentation and from what the installer says.
"""

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import AddressValueError, IPv4Address
from typing import Literal

from homelab.formats.visible import visible

Level = Literal["error", "warning"]
ERROR: Level = "error"
WARNING: Level = "warning"
SECTIONS = ("%pre", "%post", "%firstboot")
INTERPRETERS = ("python", "busybox")
INSTALLS = ("install", "upgrade", "installorupgrade")
DISK = {"disk", "firstdisk", "drive", "overwritevmfs", "preservevmfs", "novmfsondisk", "ignoressd", "overwritevsan"}
DISK |= {"forcemigrate", "forceunsupportedinstall", "ignoreprereqwarnings", "ignoreprereqerrors", "deletecosvmdk"}
OPTIONS: Mapping[str, set[str]] = {
    "accepteula": set(),
    "vmaccepteula": set(),
    "clearpart": {"drives", "alldrives", "ignoredrives", "initlabel", "firstdisk", "overwritevmfs"},
    "dryrun": set(),
    **dict.fromkeys(INSTALLS, DISK),
    "keyboard": set(),
    "serialnum": {"esx"},
    "vmserialnum": {"esx"},
    "network": {
        *("bootproto", "device", "ip", "netmask", "gateway", "nameserver", "hostname", "vlanid", "addvmportgroup"),
    },
    "paranoid": set(),
    "part": {"ondisk", "onfirstdisk", "onvmdisk"},
    "partition": {"ondisk", "onfirstdisk", "onvmdisk"},
    "reboot": {"noeject"},
    "rootpw": {"iscrypted"},
    "include": set(),
    "%include": set(),
}
CRYPTED = re.compile(r"^\$(1|5|6)\$[./0-9A-Za-z]{1,16}\$[./0-9A-Za-z]{22,86}$")
INCLUDES = ("include", "%include")
REQUIRED = (("vmaccepteula", "accepteula"), ("rootpw",), INSTALLS)


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, or may be: `line` counts from 1; 0 for the file as a whole."""

    line: int
    level: Level
    text: str


@dataclass
class Command:
    """A line outside scripts: `options` by name without dashes, None for one without `=`."""

    line: int
    name: str
    options: dict[str, str | None] = field(default_factory=dict)
    words: list[str] = field(default_factory=list)


def lint(content: bytes) -> list[Finding]:
    """Return everything to say about a ks.cfg, by line."""
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        return [Finding(content[: error.start].count(b"\n") + 1, ERROR, "is no UTF-8 text")]
    findings: list[Finding] = []
    if text.startswith("\ufeff"):
        what = "begins with a byte-order mark, which the installer takes for part of the first word: save it without"
        findings.append(Finding(1, ERROR, what))
        text = text[1:]
    if "\r" in text:
        first = text[: text.index("\r")].count("\n") + 1
        findings.append(Finding(first, ERROR, "has CR at line ends; scripts fail on them: convert to LF only"))
        text = text.replace("\r", "")
    commands: list[Command] = []
    section = ""
    for number, line in enumerate(text.split("\n"), 1):
        word = (line.split() or [""])[0]
        if word in SECTIONS:
            section = word
            findings += _section(number, line)
        elif section:
            findings += _script_line(number, line, section)
            if word.startswith("include") or word == "%include":
                section = ""
        elif word and not word.startswith("#"):
            command = _command(number, line)
            if isinstance(command, Command):
                commands.append(command)
            else:
                findings.append(command)
    for command in commands:
        findings += _of_command(command)
    findings += _of_file(commands)
    return sorted(findings, key=lambda one: one.line)


def errors(findings: list[Finding]) -> list[Finding]:
    """Return those that the installer would stop at, or that must not be."""
    return [finding for finding in findings if finding.level == ERROR]


def _section(number: int, line: str) -> Iterator[Finding]:
    section, *options = line.split()
    for option in options:
        name, _, value = option.partition("=")
        if name == "--interpreter" and value not in INTERPRETERS:
            yield Finding(
                number, ERROR, f"{section}: --interpreter is {' or '.join(INTERPRETERS)}, not {value or 'empty'}"
            )
        elif name not in ("--interpreter", "--timeout", "--ignorefailure"):
            yield Finding(number, WARNING, f"{section} has no option {option}")
    if section == "%firstboot":
        yield Finding(number, WARNING, "%firstboot does not run when Secure Boot is on")


def _script_line(number: int, line: str, section: str) -> Iterator[Finding]:
    word = (line.split() or [""])[0]
    if word == "%end":
        yield Finding(
            number, ERROR, f"%end is no keyword: it and all that follows are lines of the {section} script; delete it"
        )
    elif word.startswith("include") or word == "%include":
        yield Finding(number, ERROR, f"a line that begins with {word} ends the {section} script; write it another way")
    elif word.startswith("%"):
        yield Finding(number, WARNING, f"{word} is no section that the installer knows; it is a line of {section}")
    if section == "%post" and re.search(r"\besxcli\s+system\s+module\s+set\b", line):
        yield Finding(number, WARNING, "%post runs in the installer's memory: a module setting made there is lost")


def _command(number: int, line: str) -> Command | Finding:
    try:
        name, *words = shlex.split(line, comments=True)
    except ValueError as error:
        return Finding(number, ERROR, f"cannot be read: {error}")
    command = Command(number, name)
    for word in words:
        if word.startswith("--"):
            option, equals, value = word[2:].partition("=")
            command.options[option.lower()] = value if equals else None
        else:
            command.words.append(word)
    return command


def _of_command(command: Command) -> Iterator[Finding]:
    known = OPTIONS.get(command.name)
    if command.name == "%end":
        yield Finding(command.line, ERROR, "%end is no keyword; delete it")
        return
    if known is None:
        yield Finding(
            command.line, WARNING, f"the installer does not know {visible(command.name)}, and passes over the line"
        )
        return
    for option in command.options:
        if option not in known:
            yield Finding(command.line, WARNING, f"{command.name} has no option --{option}")
    if command.name in INSTALLS:
        yield from _disk(command)
    elif command.name == "rootpw":
        yield from _rootpw(command)
    elif command.name == "network":
        yield from _network(command)


def _disk(command: Command) -> Iterator[Finding]:
    named = [name for name in ("disk", "drive", "firstdisk") if name in command.options]
    if not named:
        yield Finding(command.line, ERROR, f"{command.name} requires --disk or --firstdisk")
    elif len(named) > 1:
        yield Finding(command.line, ERROR, f"{command.name} takes one of --{named[0]} and --{named[1]}, not both")
    if command.options.get("firstdisk") == "usb":
        what = "--firstdisk=usb takes the first USB disk it meets, perhaps this very stick: leave no other plugged in"
        yield Finding(command.line, WARNING, what)
    if {"overwritevmfs", "preservevmfs"} <= set(command.options):
        yield Finding(command.line, ERROR, f"{command.name} takes one of --overwritevmfs and --preservevmfs, not both")


def _rootpw(command: Command) -> Iterator[Finding]:
    if len(command.words) != 1:
        yield Finding(command.line, ERROR, "rootpw takes one password")
    elif "iscrypted" not in command.options:
        yield Finding(
            command.line, ERROR, "rootpw holds the password in clear; write rootpw --iscrypted and its hash ($6$)"
        )
    elif not CRYPTED.match(command.words[0]):
        yield Finding(command.line, ERROR, "rootpw --iscrypted: this is no hash that begins with $6$ (SHA-512)")
    elif not command.words[0].startswith("$6$"):
        yield Finding(command.line, WARNING, "rootpw: the hash is an old kind; make one that begins with $6$ (SHA-512)")


def _network(command: Command) -> Iterator[Finding]:
    options, line = command.options, command.line
    kind = options.get("bootproto") or "dhcp"
    if kind not in ("static", "dhcp"):
        yield Finding(line, ERROR, f"--bootproto is static or dhcp, not {kind}")
    if kind == "static":
        if not options.get("ip"):
            yield Finding(line, ERROR, 'bootproto was set to static but "--ip=" was not set')
        for name in ("netmask", "gateway"):
            if not options.get(name):
                yield Finding(line, WARNING, f"a static address without --{name}: the installer guesses it")
    if kind == "dhcp" and "ip" in options:
        yield Finding(line, ERROR, "--ip stands beside DHCP; write --bootproto=static, or leave --ip out")
    for name in ("ip", "netmask", "gateway", "nameserver"):
        for value in (options.get(name) or "").split(","):
            if value and not _is_address(value):
                yield Finding(line, ERROR, f"--{name}: {value} is no IPv4 address")
    vlan = options.get("vlanid")
    if vlan is not None and not (vlan.isdecimal() and int(vlan) <= 4095):
        yield Finding(line, ERROR, f"--vlanid: {vlan} is not a number from 0 to 4095")
    if options.get("addvmportgroup", "1") not in ("0", "1"):
        # Many public files say true or false, and install.
        yield Finding(line, WARNING, "--addvmportgroup is 0 or 1 in VMware's documentation")


def _is_address(value: str) -> bool:
    try:
        IPv4Address(value)
    except AddressValueError:
        return False
    return True


def _of_file(commands: list[Command]) -> Iterator[Finding]:
    by_name: dict[str, list[Command]] = {}
    for command in commands:
        by_name.setdefault(command.name, []).append(command)
    included = [command for name in INCLUDES for command in by_name.get(name, [])]
    for names in REQUIRED:
        found = [command for name in names for command in by_name.get(name, [])]
        if not found and included:
            where = " ".join(included[0].words) or "a file"
            what = f"{' or '.join(names)} is not here: it has to stand in {where}, which is read at install time"
            yield Finding(included[0].line, WARNING, what)
        elif not found:
            yield Finding(0, ERROR, f"has no {' or '.join(names)}, which the installer requires")
        for extra in found[1:]:
            yield Finding(extra.line, ERROR, f"{extra.name} is there again; line {found[0].line} has {found[0].name}")
    for extra in by_name.get("network", [])[1:]:
        yield Finding(extra.line, WARNING, "network is there again; the last one counts")
    if "network" not in by_name:
        yield Finding(0, WARNING, "has no network: the host asks DHCP on the first NIC that has a link")
    if "reboot" not in by_name:
        yield Finding(0, WARNING, "has no reboot: the installer waits for a key when it is done")
