"""A person's kubeconfig, with a lab's cluster in it. Pure.

What is not ours stays as it is written, down to the form of every value: kubectl reads a truth value in quotes as
something else. Only comments are lost, for YAML's own readers drop them.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from homelab.formats.kubernetes.admin import Admin
from homelab.formats.kubernetes.nodes import get, text, written

# Lists of named entries, and what each entry holds beside its name.
PARTS = {"clusters": "cluster", "contexts": "context", "users": "user"}
# What of an entry that is ours stays: what a person set beside it.
KEPT: dict[str, tuple[str, ...]] = {
    "cluster": ("proxy-url", "disable-compression", "extensions"),
    "context": ("namespace", "extensions"),
    "user": (),
}


class NoKubeconfig(ValueError):
    """A text is no kubeconfig, as a clause."""


class Taken(ValueError):
    """The name is somebody else's in there, as a clause."""


@dataclass(frozen=True)
class Entry:
    """A lab's cluster as it stands in a kubeconfig: under one name as cluster, user and context.

    `server` is its URL, `server_name` the name in its certificate, which nobody has to resolve.
    """

    name: str
    server: str
    server_name: str
    admin: Admin

    def parts(self) -> dict[str, dict[str, str]]:
        """What each of the three lists holds under the name."""
        return {
            "clusters": {
                "certificate-authority-data": _base64(self.admin.ca),
                "server": self.server,
                "tls-server-name": self.server_name,
            },
            "contexts": {"cluster": self.name, "user": self.name},
            "users": {
                "client-certificate-data": _base64(self.admin.certificate),
                "client-key-data": _base64(self.admin.key),
            },
        }


@dataclass(frozen=True)
class Merged:
    """The new text, None when all is as wanted already, and the context that is the current one in it."""

    text: str | None
    current: str


def merged(content: str, entry: Entry, elsewhere: str = "") -> Merged:
    """A kubeconfig with a lab's entry in it; what it is put into may be empty. Raises NoKubeconfig, Taken.

    The lab becomes the current context where there is none, here or `elsewhere` (in the other files of KUBECONFIG).
    """
    read = _read(content)
    _refuse_taken(read, entry)
    root = yaml.compose(content, Loader=yaml.SafeLoader) if read else None
    root = root or yaml.MappingNode("tag:yaml.org,2002:map", [])
    assert isinstance(root, yaml.MappingNode)
    for key, value in (("apiVersion", "v1"), ("kind", "Config")):
        if not read.get(key):
            _set(root, key, _scalar(value))
    for part, inner in PARTS.items():
        _put(root, part, inner, entry)
    current = str(read.get("current-context") or "") or elsewhere
    if not current:
        _set(root, "current-context", _scalar(entry.name))
    new = written(root)
    return Merged(None if _read(new) == read else new, current or entry.name)


def current_context(content: str) -> str:
    """The current context of another kubeconfig; empty where it names none, or is no kubeconfig."""
    try:
        return str(_read(content).get("current-context") or "")
    except NoKubeconfig:
        return ""


def _read(content: str) -> Mapping[str, Any]:
    """What a kubeconfig says, every value as it is written. Raises NoKubeconfig, which quotes nothing of it."""
    try:
        read = yaml.load(content, Loader=yaml.BaseLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise NoKubeconfig(f"it is no YAML{f' (line {mark.line + 1})' if mark else ''}") from None
    if read in (None, ""):
        return {}
    if not isinstance(read, dict):
        raise NoKubeconfig("it is no mapping")
    if read.get("kind") not in (None, "", "Config"):
        raise NoKubeconfig(f"its kind is {str(read['kind'])[:40]}")
    if not {"kind", *PARTS} & set(read):
        raise NoKubeconfig("it has neither clusters nor contexts nor users")
    for part, inner in PARTS.items():
        entries = read.get(part) or []
        if not isinstance(entries, list) or not all(
            isinstance(one, dict) and isinstance(one.get("name"), str) and isinstance(one.get(inner) or {}, dict)
            for one in entries
        ):
            raise NoKubeconfig(f"its {part} are no list of entries with names")
    return read


def _refuse_taken(read: Mapping[str, Any], entry: Entry) -> None:
    """An entry of our name is ours when it is a cluster at our own address, and what belongs to it."""
    found = {part: _named(read, part, inner, entry.name) for part, inner in PARTS.items()}
    cluster = found["clusters"]
    if cluster is not None and cluster.get("server") != entry.server:
        raise Taken(f"a cluster called {entry.name} stands in it with another server, {cluster.get('server')}")
    if cluster is None:
        for part in ("users", "contexts"):
            if found[part] is not None:
                raise Taken(f"a {PARTS[part]} called {entry.name} stands in it, without a cluster of that name")


def _named(read: Mapping[str, Any], part: str, inner: str, name: str) -> Mapping[str, Any] | None:
    return next((one.get(inner) or {} for one in read.get(part) or [] if one["name"] == name), None)


def _put(root: yaml.MappingNode, part: str, inner: str, entry: Entry) -> None:
    """Put the lab's entry into one of the lists: in the place of the one it had, else at the end."""
    entries = get(root, part)
    if not isinstance(entries, yaml.SequenceNode):
        entries = yaml.SequenceNode("tag:yaml.org,2002:seq", [])
        _set(root, part, entries)
    mine = next((one for one in entries.value if text(get(one, "name")) == entry.name), None)
    if mine is None:
        mine = _mapping({})
        _set(mine, "name", _scalar(entry.name))
        entries.value.append(mine)
    made = _mapping(entry.parts()[part])
    before = get(mine, inner)
    for key in KEPT[inner]:
        if isinstance(before, yaml.MappingNode) and (kept := get(before, key)) is not None:
            _set(made, key, kept)
    _set(mine, inner, made)


def _set(node: yaml.MappingNode, key: str, value: yaml.Node) -> None:
    for index, (name, _) in enumerate(node.value):
        if text(name) == key:
            node.value[index] = (name, value)
            return
    node.value.append((_scalar(key), value))


def _scalar(value: str) -> yaml.ScalarNode:
    return yaml.ScalarNode("tag:yaml.org,2002:str", value)


def _mapping(values: Mapping[str, str]) -> yaml.MappingNode:
    pairs = [(_scalar(key), _scalar(value)) for key, value in values.items()]
    return yaml.MappingNode("tag:yaml.org,2002:map", pairs, flow_style=False)


def _base64(pem: str) -> str:
    return base64.b64encode(pem.encode()).decode()
