"""What no linter knows: sizes, where people are spoken to, and that the files speak of the product alone."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

from tests.helpers.checkout import ROOT

FILES = sorted((ROOT / "homelab").rglob("*.py"))
FILE_LINES = 400
FUNCTION_LINES = 60
# ui.py speaks to people; what lies in ports/guest/remote/ runs on a guest, where stdout is its answer.
PRINTERS = ("homelab/output/ui.py", "homelab/ports/guest/remote/")

# Package mirrors and registries belong to the machine, not to the product; so does anybody's home.
FOREIGN = (
    re.compile(r"https?://(?:[\w-]+\.)*(?:deb|debian|pypi|pythonhosted|registry|mirrors?|proxy)\."),
    re.compile(r"(?<![\w.])/(?:home|Users)/(?!USER\b)\w+/"),
)


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def tracked() -> list[Path]:
    """Every file that is or would be committed; outside a repository (an unpacked archive) there is nothing to ask."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if listed.returncode:
        pytest.skip("not a git repository")
    paths = (ROOT / entry for entry in listed.stdout.decode().split("\0") if entry)
    return [path for path in paths if path.is_file() and not path.is_symlink()]


@pytest.mark.parametrize("path", FILES, ids=name)
def test_files_and_functions_are_small(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    assert source.count("\n") <= FILE_LINES
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            assert lines <= FUNCTION_LINES, f"{name(path)}:{node.lineno} {node.name} has {lines} lines"


def test_only_the_ui_prints() -> None:
    calls = [
        f"{name(path)}:{node.lineno}"
        for path in FILES
        if not name(path).startswith(PRINTERS)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert not calls


def test_files_speak_of_the_product_alone() -> None:
    here = re.compile(rf"(?<![\w./-]){re.escape(str(ROOT))}(?![\w-])")
    found = [
        f"{name(path)}:{number}: {line.strip()[:120]}"
        for path in tracked()
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1)
        if any(pattern.search(line) for pattern in (here, *FOREIGN))
    ]
    assert not found, "\n".join(found)
