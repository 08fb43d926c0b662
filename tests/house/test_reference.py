"""The reference pages that are made from the code are as the code is today."""

from pathlib import Path

from homelab.cli.options import STEPS
from homelab.inventory.reader import KNOWN
from homelab.inventory.sentences import SENTENCES
from tools.reference import FOLDER, commands, errors, pages
from tools.reference.markdown import code, table


def test_the_committed_pages_are_those_of_today() -> None:
    made = pages()
    there = {str(path.relative_to(FOLDER)) for path in FOLDER.rglob("*") if path.is_file()}
    stale = sorted(there ^ made.keys()) or [
        name for name, text in made.items() if (FOLDER / name).read_text(encoding="utf-8") != text
    ]
    assert not stale, f"`make reference` writes them anew: {', '.join(stale)}"


def test_nothing_is_left_out() -> None:
    page = (FOLDER / "variables.md").read_text(encoding="utf-8")
    assert SENTENCES.keys() == KNOWN
    assert all(f"| {code(name)} |" in page for name in KNOWN)
    steps = (FOLDER / "steps.md").read_text(encoding="utf-8")
    assert [line[3:] for line in steps.splitlines() if line.startswith("## ")] == list(STEPS)
    told = (FOLDER / "commands.md").read_text(encoding="utf-8")
    assert all(f"\n## {path}\n" in told for path, _ in commands.leaves())


def test_an_error_is_read_from_the_place_that_raises_it(tmp_path: Path) -> None:
    (tmp_path / "commands").mkdir()
    (tmp_path / "commands" / "one.py").write_text(
        "def f(host):\n    advice = 'Name ' + host\n"
        "    raise Refused(f'{host.name} is <off> ' 'today', where='here', advice=advice)\n"
    )
    page = errors.page(tmp_path)
    assert "| NAME is &lt;off> today | Name HOST | `Refused` |" in page


def test_a_cell_cannot_break_its_table() -> None:
    assert table(("a",), [["x | y\nz"]]).splitlines()[2] == r"| x \| y z |"
