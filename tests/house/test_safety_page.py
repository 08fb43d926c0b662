"""docs/reference/safety.md: every promise names a test that is there."""

import ast
import re

import pytest

from tests.helpers.checkout import ROOT

PAGE = (ROOT / "docs" / "reference" / "safety.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| (.+?) \| (\S+\.py)::(\w+) \|$", PAGE, re.MULTILINE)


def test_the_page_is_read_whole() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| ") and not line.startswith("| promise")]
    assert len(rows) == len(ROWS) > 50


@pytest.mark.parametrize(("promise", "file", "name"), ROWS, ids=[row[2] for row in ROWS])
def test_a_promise_names_a_test_that_is_there(promise: str, file: str, name: str) -> None:
    tree = ast.parse((ROOT / "tests" / file).read_text(encoding="utf-8"))
    assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
