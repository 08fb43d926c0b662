"""Every kind of mistake in an inventory: tests/invalid/NAME/ has it, and in expected.txt what a person is told.

What is read is the sample's inventory with that folder, or the folder alone where it holds a sources.txt.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from homelab.errors import UsageError
from homelab.inventory import read_lab
from homelab.inventory.rules import ADVICE, CHECKS
from homelab.output.ui import Ui
from tests.helpers.ansible_here import ansible_here
from tests.helpers.checkout import INVENTORIES, ROOT

INVALID = ROOT / "tests" / "invalid"
NAMES = sorted(path.name for path in INVALID.iterdir())
BASE = (Path("inventory"), INVENTORIES.relative_to(ROOT) / "password")
PAGE = ROOT / "docs" / "reference" / "mistakes.md"
# A file and its line, or a file where no line is known.
PLACE = re.compile(r"^(tests/invalid|inventory)/\S*?(:\d+)?: ")


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(ROOT)
    with ansible_here(monkeypatch):
        yield


def sources(name: str) -> tuple[Path, ...]:
    folder = (INVALID / name).relative_to(ROOT)
    return (folder,) if (folder / "sources.txt").exists() else (*BASE, folder)


def told(name: str, capsys: pytest.CaptureFixture[str]) -> str:
    """What a person reads."""
    with pytest.raises(UsageError) as caught:
        read_lab(sources(name))
    assert caught.value.exit_code == 2
    capsys.readouterr()
    Ui().error(caught.value)
    return capsys.readouterr().err


def headings() -> set[str]:
    """The anchors of the page, as GitHub makes them."""
    found = re.findall(r"^## (.+)$", PAGE.read_text(), re.MULTILINE)
    return {re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in found}


@pytest.mark.parametrize("name", NAMES)
def test_a_mistake_is_told(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert told(name, capsys) == (INVALID / name / "expected.txt").read_text()


@pytest.mark.parametrize("name", NAMES)
def test_what_is_told_has_a_place_a_remedy_and_a_page(name: str) -> None:
    lines = (INVALID / name / "expected.txt").read_text().splitlines()
    if lines[1].startswith("  where: "):
        assert [line.split(":")[0] for line in lines[1:]] == ["  where", "  to do", "  see"]
    else:
        *pairs, last = lines
        assert re.fullmatch(rf"{len(pairs) // 2} mistake\(s\) in the inventory; nothing was touched", last)
        for said in pairs[::2]:
            assert PLACE.match(said), said
            assert "; " in said, said
    pages = [line for line in lines if line.startswith("  see: ")]
    assert pages
    assert {page.removeprefix("  see: docs/reference/mistakes.md#") for page in pages} <= headings()


def test_there_are_many_kinds() -> None:
    assert len(NAMES) >= 60


def test_every_heading_that_the_code_names_is_there() -> None:
    named = {*CHECKS.values(), *ADVICE.values()}
    for folder in ("inventory", "ports/ansible"):
        for path in (ROOT / "homelab" / folder).glob("*.py"):
            named |= set(re.findall(r'kind="([a-z0-9-]+)"', path.read_text()))
    assert named <= headings()


def test_no_secret_is_told() -> None:
    everything = "".join((INVALID / name / "expected.txt").read_text() for name in NAMES)
    for secret in ("12345", "c2VjcmV0LWJ1dC1ub3QtYS1rZXk", "for-the-tests", "only-a-test"):
        assert secret not in everything, secret
