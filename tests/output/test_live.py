"""A run under way on a real terminal: the table, transfers, waits, and what Ctrl-C does once and twice."""

import sys
from pathlib import Path

import pytest

from homelab.errors import INTERRUPTED
from tests.helpers.terminal import CTRL_C, Terminal, terminal

RUN = (sys.executable, "-m", "tests.helpers.slow_run")
ROOT = Path(__file__).parents[2]


def begun(shown: Terminal) -> None:
    shown.until("last answer: it is full")


@pytest.mark.parametrize("columns", [60, 140])
def test_a_run_is_a_table_with_bars_and_waits(tmp_path: Path, columns: int) -> None:
    with terminal(*RUN, tmp_path, columns=columns, folder=ROOT) as shown:
        screen = shown.until("MB/s")
        [row] = [line for line in screen.splitlines() if line.startswith("brix1")]
        assert "image  ████" in row
        assert "% of 400 MB" in row
        assert "brix2  ·  waits" in screen
        screen = shown.until("for: brix1 has room; last answer: it is full")
        assert " left" in screen
        assert "0 of 2 steps" in screen
        (tmp_path / "go").touch()
        assert shown.end() == 0
        assert shown.shows_cursor
        said = shown.all
    assert "send the image to brix1" in " ".join(said.split())
    # The table is gone, and what it was about stands in lines.
    assert "of 2 steps" not in said
    assert said.endswith("all is well")


def test_ctrl_c_once_ends_what_is_under_way_and_tells_what_is_left(tmp_path: Path) -> None:
    with terminal(*RUN, tmp_path, folder=ROOT) as shown:
        begun(shown)
        shown.type(CTRL_C)
        shown.until("Ctrl-C again ends it at once")
        (tmp_path / "go").touch()
        assert shown.end() == INTERRUPTED
        assert "left undone: image brix2" in shown.all
        assert shown.shows_cursor
    assert (tmp_path / "brix1.sent").exists()
    assert not (tmp_path / "brix2.sent").exists()


def test_ctrl_c_twice_ends_at_once(tmp_path: Path) -> None:
    with terminal(*RUN, tmp_path, folder=ROOT) as shown:
        begun(shown)
        shown.type(CTRL_C)
        shown.until("Ctrl-C again ends it at once")
        shown.type(CTRL_C)
        assert shown.end() == INTERRUPTED
        assert "ended at once; run again" in shown.all
        assert shown.shows_cursor
    assert not (tmp_path / "brix1.sent").exists()
