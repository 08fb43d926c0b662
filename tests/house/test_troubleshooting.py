"""docs/troubleshooting.md: what it says that homelab says, homelab says."""

import re
from functools import cache

import pytest

from tests.helpers.checkout import ROOT

PAGE = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
CODE = re.compile(r"`([^`]+)`")
# The first cells that are a sentence of homelab's alone, in code, with ... where something stands between.
ROWS = [
    row for row in re.findall(r"^\| (`.+?`) \| ", PAGE, re.MULTILINE) if re.fullmatch(r"`[^`]+`( \.\.\. `[^`]+`)*", row)
]


@cache
def sources() -> str:
    """Every sentence in the sources, with what is filled in taken out."""
    text = "\n".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "homelab").rglob("*.py")))
    # One literal that goes on in the next line.
    return re.sub(r'"\s*\n\s*f?"', "", text)


def test_most_rows_are_read() -> None:
    assert len(ROWS) > 30


@pytest.mark.parametrize("row", ROWS)
def test_the_words_are_homelabs(row: str) -> None:
    for words in CODE.findall(row):
        assert words in sources(), words
