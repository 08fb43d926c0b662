"""Every link of the pages leads to something, on a forge and on the site; `make docs` checks the site itself."""

import re
from functools import cache
from pathlib import Path

import pytest
import yaml

from tests.helpers.checkout import ROOT

DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted(DOCS.rglob("*.md"))]
FENCE = re.compile(r"^ *```.*?^ *```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


@cache
def text(path: Path) -> str:
    return FENCE.sub("", path.read_text(encoding="utf-8"))


@cache
def anchors(path: Path) -> set[str]:
    """As forges and the site make them of headings: small letters, hyphens for blanks, and no other signs."""
    found = set()
    for heading in HEADING.findall(text(path)):
        said = re.sub(r"\[([^]]+)\]\([^)]*\)", r"\1", heading).replace("`", "").lower()
        found.add(re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", said).strip()))
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_link_leads_to_something(page: Path) -> None:
    for link in LINK.findall(text(page)):
        if re.match(r"https?://|mailto:", link):
            continue
        target, _, anchor = link.partition("#")
        path = (page.parent / target).resolve() if target else page
        assert path.exists(), f"{page.name}: {link}"
        # The site has what is in docs/ and nothing else.
        assert page.is_relative_to(DOCS) <= path.is_relative_to(DOCS), f"{page.name}: {link} leaves the site"
        assert not anchor or anchor in anchors(path), f"{page.name}: {link}"


def test_every_page_has_its_place_on_the_site() -> None:
    site = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))

    def listed(entry: object) -> list[str]:
        if isinstance(entry, str):
            return [entry]
        return [name for one in (entry.values() if isinstance(entry, dict) else entry) for name in listed(one)]  # type: ignore[union-attr,attr-defined]

    assert sorted(listed(site["nav"])) == sorted(str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md"))


@pytest.mark.parametrize("page", [path for path in PAGES if path.is_relative_to(DOCS)], ids=lambda path: path.name)
def test_the_site_reads_a_page_as_a_forge_does(page: Path) -> None:
    """Python-Markdown wants a blank line before a list, and four blanks before what belongs to its entry."""
    before, fenced = "", False
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        where = f"{page.name}:{number}: {line[:60]}"
        if line.lstrip().startswith("```"):
            assert fenced or not re.match(r" {1,3}`", line), where
            fenced = not fenced
        elif not fenced:
            begins = re.match(r"([-*]|\d+\.) ", line) and before.strip()
            assert not begins or re.match(r"([-*]|\d+\.) |\s+\S|#", before), where
            assert not re.match(r" {1,3}([-*]|\d+\.) ", line), where
        before = line
