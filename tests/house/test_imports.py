"""Imports run one way, and what touches the world stays behind its door. Read from the source, without running it."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from tests.helpers.checkout import ROOT

FILES = sorted((ROOT / "homelab").rglob("*.py"))

# Each layer may import its own rooms and those below. A new room of homelab/ takes its place here.
LAYERS = (
    {"__main__"},
    {"cli"},
    {"commands"},
    {"output", "checks", "inventory"},
    {"steps"},
    {"engine", "ports"},
    {"formats"},
    {"lab"},
    {"errors"},
)
# Rooms of one layer that do not know each other.
APART = ({"engine", "ports"}, {"output", "inventory"}, {"checks", "inventory"})
# The same inside of ports/: what puts the world together above, what starts a child process at the bottom.
PORTS = (
    {"open_world"},
    {"world"},
    {"host_reader", "lan", "run_context"},
    {"vm_writer"},
    {"datastore_writer"},
    {"esxi"},
    {"vsphere"},
    {"kubernetes"},
    {"ansible", "guest", "media", "net", "host_writer"},
    {"sftp", "ssh_stream"},
    {"ssh", "signals"},
    {"files", "looks", "choices", "rehearsed", "ssh_sessions"},
    {"process"},
    {"family"},
)
# The rooms of rehearsal/: who serves and breaks a lab above, plain state at the bottom. Rooms of one layer are apart.
REHEARSAL = (
    {"__main__", "outside"},
    {"faults"},
    {"served_host"},
    {"soap"},
    {"shell"},
    {"host"},
    {"vms"},
    {"storage"},
    {"nas", "guests", "kubernetes"},
    {"state"},
)
PURE = {"engine", "formats", "lab", "errors"}
OUTSIDE = {"paramiko", "pyVim", "pyVmomi", "subprocess"}
# Where a library may be imported. The rehearsal is a process of its own, with both faces of a host in it.
DOORS = {library: {"ports", "rehearsal"} for library in OUTSIDE} | {"rich": {"output", "cli"}, "click": {"cli"}}
INPUT_OUTPUT = OUTSIDE | {"socket", "ssl", "urllib", "http", "os", "shutil", "tempfile", "requests", "asyncio"}
REHEARSAL_MAY = {"", "rehearsal", "lab", "formats", "errors"}


@dataclass(frozen=True)
class Import:
    """`module` imports `name`, both in dots; `line` is where it stands, inside a function or not."""

    module: str
    line: int
    name: str
    for_types: bool = False

    @property
    def importer(self) -> str:
        """The module or package right below homelab that imports."""
        return part(self.module)

    @property
    def library(self) -> str:
        """The first part of what is imported."""
        return self.name.partition(".")[0]

    def __str__(self) -> str:
        return f"{self.module}:{self.line} imports {self.name}"


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def part(module: str) -> str:
    """The part of homelab that a module belongs to; empty for the package itself."""
    return module.partition(".")[2].partition(".")[0]


MODULES = {module_name(path) for path in FILES}


def imports_of(source: str, module: str, package: str) -> Iterator[Import]:
    """Every import of a source text; `from homelab import steps` counts as homelab.steps if that is a module."""
    tree = ast.parse(source)
    for_types = {
        id(below)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
        for above in node.body
        for below in ast.walk(above)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(module, node.lineno, alias.name, id(node) in for_types)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                full = f"{base}.{alias.name}"
                yield Import(module, node.lineno, full if full in MODULES else base, id(node) in for_types)


@cache
def all_imports() -> list[Import]:
    found = []
    for path in FILES:
        module = module_name(path)
        package = module if path.name == "__init__.py" else module.rpartition(".")[0]
        found += imports_of(path.read_text(encoding="utf-8"), module, package)
    return found


@cache
def own() -> list[Import]:
    """The imports of homelab's own modules; like all of them read once, and where a test asks, not while collecting."""
    return [each for each in all_imports() if each.library == "homelab"]


def layer(name: str) -> int:
    return next((number for number, names in enumerate(LAYERS) if name in names), len(LAYERS))


def told(wrong: list[Import]) -> str:
    return "\n".join(map(str, wrong))


def test_every_part_has_a_layer() -> None:
    assert {part(module) for module in MODULES} - set().union(*LAYERS) <= {"", "rehearsal"}


def test_imports_run_one_way() -> None:
    wrong = [
        each
        for each in own()
        if each.importer not in ("", "rehearsal")
        and part(each.name) not in ("", "rehearsal")
        and layer(part(each.name)) < layer(each.importer)
    ]
    assert not wrong, told(wrong)


def test_imports_run_one_way_inside_of_the_ports() -> None:
    def floor(module: str) -> int:
        name = [*module.split("."), "", ""][2]
        return next((number for number, names in enumerate(PORTS) if name in names), -1)

    inside = [each for each in own() if each.importer == part(each.name) == "ports"]
    unknown = {each.module for each in inside if floor(each.module) == -1}
    assert unknown == set()
    wrong = [each for each in inside if floor(each.name) < floor(each.module)]
    assert not wrong, told(wrong)


def test_imports_run_one_way_inside_of_the_rehearsal() -> None:
    def room(module: str) -> str:
        return [*module.split("."), "", ""][2]

    inside = [each for each in own() if each.importer == part(each.name) == "rehearsal" and room(each.name)]
    assert {room(each.module) for each in inside} <= set().union(*REHEARSAL)
    floors = {name: number for number, names in enumerate(REHEARSAL) for name in names}
    apart = [each for each in inside if room(each.name) != room(each.module)]
    wrong = [each for each in apart if floors.get(room(each.name), -1) <= floors[room(each.module)]]
    assert not wrong, told(wrong)


def test_rooms_that_are_apart_do_not_know_each_other() -> None:
    wrong = [each for each in own() for pair in APART if {each.importer, part(each.name)} == pair]
    assert not wrong, told(wrong)


def test_no_import_goes_in_circles() -> None:
    graph: dict[str, set[str]] = {}
    for each in own():
        if each.name != each.module and not each.for_types:
            graph.setdefault(each.module, set()).add(each.name)
    TopologicalSorter(graph).prepare()


def test_only_the_rehearsal_s_commands_import_it() -> None:
    users = [each for each in own() if part(each.name) == "rehearsal" and each.importer != "rehearsal"]
    wrong = [each for each in users if each.module not in ("homelab.commands.rehearse", "homelab.commands.served_lab")]
    assert users
    assert not wrong, told(wrong)


def test_the_rehearsal_shares_nothing_but_pure_parts() -> None:
    wrong = [each for each in own() if each.importer == "rehearsal" and part(each.name) not in REHEARSAL_MAY]
    assert not wrong, told(wrong)


@pytest.mark.parametrize("library", sorted(DOORS))
def test_libraries_stay_behind_their_doors(library: str) -> None:
    wrong = [each for each in all_imports() if each.library == library and each.importer not in DOORS[library]]
    assert not wrong, told(wrong)


def test_pure_parts_do_no_input_or_output() -> None:
    wrong = [each for each in all_imports() if each.importer in PURE and each.library in INPUT_OUTPUT]
    assert not wrong, told(wrong)


def test_the_reader_sees_every_kind_of_import() -> None:
    source = """
import paramiko.client
def late():
    from subprocess import run
    from homelab import errors
    from . import lab
    from .ports.vsphere import anything
"""
    names = [each.name for each in imports_of(source, "homelab.x", "homelab")]
    assert names == [
        "paramiko.client",
        "subprocess",
        "homelab.errors",
        "homelab.lab",
        "homelab.ports.vsphere",
    ]
