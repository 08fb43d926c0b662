"""Manifests: the objects of YAML and JSON files, each with its place, and the order in which they are applied. Pure.

What is sent to kubectl is what was written, value by value: nothing is read as a number or a date in between.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import yaml

from homelab.formats.kubernetes.nodes import get, text, written

# What has to be there before anything that needs it.
FIRST = {("apiextensions.k8s.io", "CustomResourceDefinition"), ("", "Namespace")}


class NoManifest(ValueError):
    """A document is no manifest: the `line` in its file, a clause, and what to do."""

    def __init__(self, line: int, what: str, fix: str) -> None:
        super().__init__(what)
        self.line, self.what, self.fix = line, what, fix


@dataclass(frozen=True)
class Manifest:
    """One object, and its place in a file of this machine.

    `text` is its YAML, and `secrets` are what of it nobody may see; `brings` is the group and kind that a CRD defines.
    """

    file: str
    line: int
    api_version: str
    kind: str
    namespace: str
    name: str
    text: str = field(repr=False)
    brings: tuple[str, str] | None = None
    secrets: tuple[str, ...] = field(default=(), repr=False)

    @property
    def group(self) -> str:
        """The API group; empty for the core one."""
        return self.api_version.rpartition("/")[0]

    @property
    def goes_first(self) -> bool:
        """Whether others may need it: a namespace, or the definition of a kind."""
        return (self.group, self.kind) in FIRST

    @property
    def is_secret(self) -> bool:
        """Whether its content is shown to nobody."""
        return self.kind == "Secret"

    @property
    def label(self) -> str:
        """As kubectl names it: `Deployment apps/web`, without its namespace where none is written."""
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"

    @property
    def file_names(self) -> frozenset[str]:
        """What `kubectl diff` may call it: [GROUP.]VERSION.KIND.NAMESPACE.NAME; kinds without namespaces have none."""
        version = self.api_version.replace("/", ".")
        places = (self.namespace, "") if self.namespace else ("default", "")
        return frozenset(f"{version}.{self.kind}.{place}.{self.name}" for place in places)

    def needs(self, other: "Manifest") -> bool:
        """Whether it cannot even be looked at before the other one is there."""
        in_it = other.kind == "Namespace" and other.group == "" and self.namespace == other.name
        return in_it or (other.brings is not None and other.brings == (self.group, self.kind))


def in_waves(manifests: Sequence[Manifest]) -> list[Manifest]:
    """Those that others may need first, else in the order of files and lines."""
    return sorted(manifests, key=lambda one: not one.goes_first)


def manifests_of(content: str, file: str) -> list[Manifest]:
    """The objects of one file; those of a List one by one. Raises NoManifest for the first that is none."""
    try:
        documents = [node for node in yaml.compose_all(content, Loader=yaml.SafeLoader) if not _is_empty(node)]
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or "unexpected characters"
        fix = "look at this line and the one above it; a template (Helm, Kustomize) has to be rendered first"
        raise NoManifest(mark.line + 1 if mark else 1, f"this is not YAML: {problem}", fix) from None
    return [one for node in documents for one in _objects(node, file)]


def _is_empty(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.value in ("", "null", "~")


def _objects(node: yaml.Node, file: str) -> Iterator[Manifest]:
    kind, version = (_text(node, key) for key in ("kind", "apiVersion"))
    items = get(node, "items")
    if kind.endswith("List") and isinstance(items, yaml.SequenceNode):
        for item in items.value:
            yield from _objects(item, file)
        return
    name = _text(get(node, "metadata"), "name")
    found = {"apiVersion": version, "kind": kind, "metadata.name": name}
    if missing := [key for key, value in found.items() if not value]:
        raise _nothing(node, kind, missing)
    namespace, spec = _text(get(node, "metadata"), "namespace"), get(node, "spec")
    brings = (_text(spec, "group"), _text(get(spec, "names"), "kind")) if kind == "CustomResourceDefinition" else None
    hidden = tuple(_hidden(node)) if kind == "Secret" else ()
    yield Manifest(file, node.start_mark.line + 1, version, kind, namespace, name, written(node), brings, hidden)


def _nothing(node: yaml.Node, kind: str, missing: Sequence[str]) -> NoManifest:
    """What a document lacks, and what to do."""
    odd = next((value for key in missing if (value := get(node, key)) is not None), None)
    fix = "write it; every document of the file is an object of its own"
    if odd is not None:
        fix = "write plain text there; a template (Helm, Kustomize) has to be rendered first"
    elif kind == "Kustomization":
        fix = "render it into a file first: kubectl kustomize FOLDER > FILE"
    elif _text(get(node, "metadata"), "generateName"):
        fix = "give it a name: by generateName each run would make another one"
    return NoManifest((odd or node).start_mark.line + 1, f"this document has no {' and no '.join(missing)}", fix)


def _hidden(node: yaml.Node) -> Iterator[str]:
    """The values of a Secret, as they are written."""
    for part in ("data", "stringData"):
        values = get(node, part)
        for _, value in values.value if isinstance(values, yaml.MappingNode) else ():
            if found := (text(value) or "").strip():
                yield found


def _text(node: yaml.Node | None, key: str) -> str:
    return text(get(node, key)) or ""
