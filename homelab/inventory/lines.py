"""Where a variable is defined: the lines of an inventory's plain YAML files, and the mistakes of their shape.

Reads the files as Ansible finds them (hosts files, group_vars/, host_vars/), keeps the position of every key, and knows
which of several definitions wins. Encrypted files, scripts, ini files and plugin configurations have no lines.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml

from homelab.errors import Mistake
from homelab.formats.host_range import expanded

EXTENSIONS = ("", ".yml", ".yaml", ".json")
# What Ansible passes over in a folder given as inventory (INVENTORY_IGNORE_EXTS of ansible-core 2.19).
IGNORED = re.compile(
    r"^\.|^(host_vars|group_vars|vars_plugins)$|(~|\.(pyc|pyo|swp|bak|rpm|md|txt|rst|orig|cfg|retry))$"
)

# What Ansible knows in a group of a YAML file.
PARTS = ("hosts", "children", "vars")
# Headings of docs/reference/mistakes.md.
NOT_YAML, PASSED = "not-yaml", "a-file-that-ansible-passes-over"

# Ansible's precedence, lowest first.
INLINE_ALL, INLINE_GROUP, FILE_ALL, FILE_GROUP, INLINE_HOST, FILE_HOST = range(6)


@dataclass(frozen=True)
class Definition:
    """One place that sets a variable for the group or host called `scope`."""

    path: str
    key: yaml.Node
    value: yaml.Node
    scope: str
    level: int
    source: int
    order: int

    @property
    def where(self) -> str:
        """`FILE:LINE` of the key."""
        return at(self.path, self.key)

    @property
    def text(self) -> str | None:
        """The value as it is written, when it is a plain scalar."""
        return str(self.value.value) if isinstance(self.value, yaml.ScalarNode) else None

    def holds(self, value: Any) -> bool:
        """Whether this is where a value came from: a file without lines may have won.

        A value with a tag of Ansible's, as !vault, cannot be compared, and is taken for it.
        """
        try:
            mine = yaml.constructor.SafeConstructor().construct_document(self.value)
        except yaml.YAMLError:
            return True
        return bool(mine == value or str(mine) == str(value))

    def item(self, location: Sequence[int | str]) -> str:
        """`FILE:LINE` of a part of the value: indices of lists, keys of mappings."""
        node, where = self.value, self.where
        for step in location:
            if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
                node = node.value[step]
                where = at(self.path, node)
            elif isinstance(node, yaml.MappingNode):
                child = next((pair for pair in node.value if pair[0].value == step), None)
                if child is None:
                    break
                node, where = child[1], at(self.path, child[0])
        return where


@dataclass
class Lines:
    """The positions of an inventory's plain files, and what is wrong with their shape.

    `broken`: Ansible cannot read them. `hosts` and `groups`: `FILE:LINE` of names. `opaque`: files without lines.
    """

    sources: tuple[Path, ...]
    hosts: dict[str, str] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=dict)
    mistakes: list[Mistake] = field(default_factory=list)
    broken: bool = False
    encrypted: list[Path] = field(default_factory=list)
    opaque: list[str] = field(default_factory=list)
    _found: dict[tuple[bool, str, str], list[Definition]] = field(default_factory=dict)
    _order: int = 0

    def find(self, host: str, groups: Mapping[str, int], variable: str) -> Definition | None:
        """The definition that wins for a host in `groups` (name to depth); None when no plain file holds one."""
        found = list(self._found.get((True, host, variable), ()))
        for group in groups:
            found += self._found.get((False, group, variable), ())

        def rank(one: Definition) -> tuple[int, int, int, str, int]:
            # Files of a later source win over files of deeper groups; for inline values it is the other way round.
            inline = one.level in (INLINE_ALL, INLINE_GROUP)
            return one.level, 0 if inline else one.source, groups.get(one.scope, 0), one.scope, one.order

        return max(found, key=rank, default=None)

    @property
    def fallback(self) -> str:
        """What to name where no line is known: the file without lines if there is one, else the first source."""
        return self.opaque[0] if len(self.opaque) == 1 else str(self.sources[0])

    def folder(self) -> Path:
        """The folder beside which group_vars/ lies: that of the first source."""
        return self.sources[0] if self.sources[0].is_dir() else self.sources[0].parent

    def define(self, path: str, node: yaml.Node, scope: str, level: int, source: int) -> None:
        """Note every variable of a mapping."""
        is_host = level in (INLINE_HOST, FILE_HOST)
        for key, value in pairs(node):
            self._order += 1
            one = Definition(path, key, value, scope, level, source, self._order)
            self._found.setdefault((is_host, scope, str(key.value)), []).append(one)

    def define_one(self, key: yaml.Node, value: yaml.Node, variable: str, host: str, level: int) -> None:
        """Note a variable of a host that stands under another key."""
        self._order += 1
        one = Definition(str(self.sources[0]), key, value, host, level, 0, self._order)
        self._found.setdefault((True, host, variable), []).append(one)

    def variables_of(self, group: str) -> list[tuple[yaml.Node, yaml.Node]]:
        """The keys and values that a group's variables were written with, the one that counts of each."""
        return [
            (found[-1].key, found[-1].value)
            for (is_host, scope, _), found in self._found.items()
            if not is_host and scope == group
        ]

    def mistake(self, where: str, what: str, fix: str, kind: str, *, breaks: bool = False) -> None:
        """Note a mistake; `breaks` when Ansible cannot read the file."""
        self.mistakes.append(Mistake(where, what, fix, kind))
        self.broken = self.broken or breaks


def read_lines(sources: Sequence[Path]) -> Lines:
    """The lines of these sources; a file that is no YAML is a mistake, and `broken` is set."""
    lines = Lines(tuple(sources))
    seen: set[Path] = set()
    for index, source in enumerate(sources):
        for path in _hosts_files(source):
            _read_hosts(lines, path, index)
    for index, source in enumerate(sources):
        folder = source if source.is_dir() else source.parent
        for kind in ("group_vars", "host_vars"):
            for name, path in _vars_files(lines, folder / kind):
                if path not in seen:
                    seen.add(path)
                    _read_vars(lines, path, kind, name, index)
    return lines


def read_variables(path: Path) -> Lines:
    """The lines of one file of variables, which hold for everybody."""
    lines = Lines((path,))
    _read_vars(lines, path, "group_vars", "all", 0)
    return lines


def at(path: str, node: yaml.Node) -> str:
    """`FILE:LINE` of a node."""
    return f"{path}:{node.start_mark.line + 1}"


def pairs(node: yaml.Node | None) -> Iterator[tuple[yaml.Node, yaml.Node]]:
    """The pairs of a mapping, those of its merge keys (`<<`) first; nothing for other nodes."""
    if not isinstance(node, yaml.MappingNode):
        return
    for key, value in node.value:
        if key.value == "<<":
            for merged in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                yield from pairs(merged)
    yield from (pair for pair in node.value if pair[0].value != "<<")


def is_encrypted(path: Path) -> bool:
    """Whether the whole file is a vault."""
    try:
        with path.open("rb") as file:
            return file.read(14) == b"$ANSIBLE_VAULT"
    except OSError:
        return False


def _hosts_files(source: Path) -> Iterator[Path]:
    if not source.is_dir():
        yield source
        return
    for path in sorted(source.iterdir()):
        if not IGNORED.search(path.name):
            yield from _hosts_files(path)


def _vars_files(lines: Lines, folder: Path) -> Iterator[tuple[str, Path]]:
    """Files of group_vars/ or host_vars/ with the name that each is for. Ansible takes one candidate a name only."""
    if not folder.is_dir():
        return
    taken: dict[str, Path] = {}
    for extension in EXTENSIONS:
        for path in sorted(folder.iterdir()):
            name = path.name.removesuffix(extension)
            # The dots of a host's whole name are no suffix: host_vars/brix1.lab.example is its file, or its folder.
            suffix = "" if path.name in lines.hosts else path.suffix
            if path.name.startswith(".") or suffix != extension or (extension and path.is_dir()):
                continue
            if name not in taken:
                taken[name] = path
                yield from ((name, file) for file in _inside(path))
            elif taken[name].is_dir():
                fix = f"move it into that folder: mv {path} {taken[name]}/"
                lines.mistake(str(path), f"Ansible passes over this file, because {taken[name]}/ exists", fix, PASSED)
            else:
                fix = "put all into one file and delete the other"
                lines.mistake(str(path), f"Ansible passes over this file, because {taken[name]} exists", fix, PASSED)


def _inside(path: Path) -> Iterator[Path]:
    if not path.is_dir():
        yield path
        return
    for child in sorted(path.iterdir()):
        hidden = child.name.startswith(".") or child.name.endswith("~")
        if not hidden and (child.suffix in EXTENSIONS if child.is_file() else not child.suffix):
            yield from _inside(child)


def _read_vars(lines: Lines, path: Path, kind: str, name: str, source: int) -> None:
    node = _compose(lines, path)
    if node is None:
        return
    if not isinstance(node, yaml.MappingNode):
        fix = "write lines such as name: value"
        lines.mistake(at(str(path), node), "this file holds no variables", fix, NOT_YAML, breaks=True)
        return
    level = FILE_HOST if kind == "host_vars" else FILE_ALL if name == "all" else FILE_GROUP
    lines.define(str(path), node, name, level, source)


def _read_hosts(lines: Lines, path: Path, source: int) -> None:
    node = _compose(lines, path) if path.suffix in EXTENSIONS else None
    if not isinstance(node, yaml.MappingNode) or any(key.value == "plugin" for key, _ in pairs(node)):
        lines.opaque.append(str(path))
        return
    for key, value in pairs(node):
        _read_group(lines, str(path), key, value, source)


def _read_group(lines: Lines, path: str, key: yaml.Node, node: yaml.Node, source: int) -> None:
    name = str(key.value)
    lines.groups.setdefault(name, at(path, key))
    if isinstance(node, yaml.SequenceNode):
        _is_a_list(lines, path, key, name, "hosts:, and below it each host with a colon")
    for part, content in pairs(node):
        if part.value not in PARTS:
            close = get_close_matches(str(part.value), PARTS, 1)
            fix = f"did you mean {close[0]}?" if close else f"a group has {', '.join(PARTS)}"
            lines.mistake(at(path, part), f"{part.value} is no part of a group: Ansible passes over it", fix, "groups")
        elif isinstance(content, yaml.SequenceNode):
            wanted = (
                "lines such as name: value" if part.value == "vars" else "each name on a line of its own, with a colon"
            )
            _is_a_list(lines, path, part, f"{part.value} of {name}", wanted)
        elif part.value == "vars":
            lines.define(path, content, name, INLINE_ALL if name == "all" else INLINE_GROUP, source)
        elif part.value == "children":
            for child, value in pairs(content):
                _read_group(lines, path, child, value, source)
        elif part.value == "hosts":
            for host, value in pairs(content):
                for one in expanded(str(host.value)):
                    lines.hosts.setdefault(one, at(path, host))
                    lines.define(path, value, one, INLINE_HOST, source)


def _is_a_list(lines: Lines, path: str, key: yaml.Node, what: str, wanted: str) -> None:
    lines.mistake(
        at(path, key), f"{what} is a list, which Ansible cannot read", f"write {wanted}", "groups", breaks=True
    )


def _compose(lines: Lines, path: Path) -> yaml.Node | None:
    """The file's root node; None for one that is empty, encrypted, a script, an ini file, or no YAML (a mistake)."""
    try:
        if is_encrypted(path):
            lines.encrypted.append(path)
            return None
        text = path.read_text(encoding="utf-8")
        if text.startswith("#!"):
            return None
        node: yaml.Node | None = yaml.compose(text, Loader=yaml.SafeLoader)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        lines.mistake(
            str(path), f"this file cannot be read: {reason}", "make it a readable text file", NOT_YAML, breaks=True
        )
    except yaml.YAMLError as error:
        if path.suffix:  # a file without one may be ini
            _not_yaml(lines, path, error)
    else:
        _check_shape(lines, str(path), node, set(), ())
        return None if lines.broken else node
    return None


def _not_yaml(lines: Lines, path: Path, error: yaml.YAMLError) -> None:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or "unexpected characters"
    where = f"{path}:{mark.line + 1}" if mark else str(path)
    fix = "look at this line and the one above it: indentation, a missing quote or bracket, a tab"
    lines.mistake(where, f"this is not YAML: {problem}", fix, NOT_YAML, breaks=True)


def _check_shape(lines: Lines, path: str, node: yaml.Node | None, seen: set[int], above: tuple[int, ...]) -> None:
    """Keys written twice (the last would win without a word) and templates without quotes, at any depth."""
    if id(node) in above and node:
        fix = "write the value out instead of the alias"
        lines.mistake(at(path, node), "an alias (*name) leads back to what it stands in", fix, NOT_YAML, breaks=True)
    if node is None or id(node) in seen:
        return
    seen.add(id(node))
    above = (*above, id(node))
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _check_shape(lines, path, item, seen, above)
    if not isinstance(node, yaml.MappingNode):
        return
    first: dict[str, yaml.Node] = {}
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            what, fix = "a template stands without quotes", 'write it as "{{ name }}"'
            lines.mistake(at(path, key), what, fix, "templates", breaks=True)
            continue
        if key.value in first:
            line = first[key.value].start_mark.line + 1
            what = f"{key.value} is written twice, here and on line {line}; YAML keeps the last without a word"
            lines.mistake(at(path, key), what, "delete one of the two", "written-twice")
        first.setdefault(key.value, key)
        _check_shape(lines, path, value, seen, above)
