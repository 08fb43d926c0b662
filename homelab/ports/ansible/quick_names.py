"""The names in an inventory's plain files, without a run of Ansible: for completion on the command line.

What cannot be read is passed over without a word; scripts, plugins and encrypted files have no names here.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import yaml

from homelab.formats.host_range import expanded

# More than any inventory of a home has; a folder named by mistake costs no time.
MOST_BYTES, MOST_FILES = 1 << 20, 50
SECTION, NAME = re.compile(r"^\[([^\]:]+)(:children)?\]"), re.compile(r"^([\w.:\[\]-]+)")
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
Names = dict[str, list[str]]


def group_names(sources: Sequence[Path]) -> Names:
    """GROUP -> the hosts in it and in the groups below it, in the order of the files."""
    found: Names = {}
    for source in sources:
        for path in _files(source):
            with suppress(OSError, ValueError, yaml.YAMLError, RecursionError):
                text = path.read_bytes()[:MOST_BYTES].decode()
                pairs = _ini(text) if path.suffix in ("", ".ini", ".cfg") else _yaml(text)
                for group, host in pairs:
                    names = found.setdefault(group, [])
                    names += [host] if host not in names else []
    return found


def _files(source: Path) -> list[Path]:
    with suppress(OSError):
        if source.is_dir():
            files = (path for path in sorted(source.iterdir()) if path.is_file() and not path.name.startswith("."))
            return list(files)[:MOST_FILES]
    return [source]


def _yaml(text: str) -> Iterator[tuple[str, str]]:
    root = yaml.compose(text, Loader=LOADER)
    for key, node in _pairs(root):
        yield from _group(str(key.value), node, ())


def _group(name: str, node: yaml.Node, above: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    groups = (*above, name)
    for part, content in _pairs(node):
        if part.value == "hosts":
            for host, _ in _pairs(content):
                yield from ((group, one) for one in expanded(str(host.value)) for group in groups)
        elif part.value == "children" and len(groups) < 20:
            for child, below in _pairs(content):
                yield from _group(str(child.value), below, groups)


def _pairs(node: yaml.Node | None) -> Iterable[tuple[yaml.Node, yaml.Node]]:
    return node.value if isinstance(node, yaml.MappingNode) else ()


def _ini(text: str) -> Iterator[tuple[str, str]]:
    group, children = "ungrouped", False
    for line in text.splitlines():
        if section := SECTION.match(line.strip()):
            group, children = section[1], bool(section[2])
        elif line.strip().startswith("["):
            children = True
        elif (name := NAME.match(line.strip())) and not children:
            yield from ((group, one) for one in expanded(name[1]))
