"""Nodes of YAML: a text that is changed or sent on stays as it was written, value by value. Pure."""

import yaml


def get(node: yaml.Node | None, key: str) -> yaml.Node | None:
    """The value of a key; None where there is none, or no mapping."""
    pairs = node.value if isinstance(node, yaml.MappingNode) else ()
    return next((value for name, value in reversed(pairs) if text(name) == key), None)


def text(node: yaml.Node | None) -> str | None:
    """A scalar as it is written; None for what is none."""
    return str(node.value) if isinstance(node, yaml.ScalarNode) else None


def written(root: yaml.Node) -> str:
    """The text of a document, its collections in lines: in braces a date would be given a tag, and read otherwise."""
    _in_blocks(root, set())
    return str(yaml.serialize(root, Dumper=yaml.SafeDumper, width=1 << 20, allow_unicode=True))


def _in_blocks(node: yaml.Node, seen: set[int]) -> None:
    if not isinstance(node, yaml.CollectionNode) or id(node) in seen:
        return
    seen.add(id(node))
    node.flow_style = False
    for child in node.value:
        for one in child if isinstance(child, tuple) else (child,):
            _in_blocks(one, seen)
