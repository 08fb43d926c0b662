"""A recording of a terminal as a picture that moves, and the pictures of README.md that were made so."""

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.helpers.browser import browser, program
from tests.helpers.checkout import ROOT
from tests.helpers.recording import Frame, film

FRAMES = [
    Frame(0.0, ((), ())),
    Frame(3.0, ((("brix1  ", ""), ("■", "green")), (("<&> ", "bold"),))),
    Frame(3.1, ((("brix1  ", ""), ("✗", "red bold")), ())),
    Frame(23.0, ((("brix1  ", ""), ("✗", "red bold")), (("all is well", ""),))),
]
ANIMATIONS = "document.getAnimations()"
PICTURES = sorted((ROOT / "docs" / "pictures").glob("*.svg"))
# What is seen of the film: all else lies beside the picture.
SEEN = """[...document.querySelectorAll('.film use')]
  .filter((one) => { const box = one.getBoundingClientRect();
    return box.x >= 0 && box.x < document.querySelector('svg').viewBox.baseVal.width; })
  .map((one) => document.querySelector(one.getAttribute('href')).textContent)"""


def test_a_film_is_one_picture_that_needs_nothing_from_elsewhere() -> None:
    made = film(FRAMES, "a title <b>", columns=20, rows=2)
    ElementTree.fromstring(made)
    # What was there too shortly to be seen gave way to what came next; the blank before the first word counts nothing.
    assert len(re.findall(r"translateX\(-?\d+px\)\}", made.partition("@media (prefers-reduced")[0])) == 3
    assert "brix1" in made
    assert "&lt;&amp;&gt;" not in made
    assert "a title &lt;b&gt;" in made
    assert not re.findall(r"https?://(?!www\.w3\.org/2000/svg)|@import|url\(|<script|<image", made)


def test_readme_shows_pictures_that_are_there_and_need_nothing_from_elsewhere() -> None:
    named = re.findall(r"!\[[^]]+\]\(([^)]+)\)", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert [Path(name).name for name in named] == ["lab.svg", "rehearsal.svg"]
    for name in named:
        text = (ROOT / name).read_text(encoding="utf-8")
        ElementTree.fromstring(text)
        assert not re.findall(r"https?://(?!www\.w3\.org/2000/svg)|@import|url\(|<script|<image", text)
        assert "prefers-color-scheme" in text


@pytest.mark.thorough
@pytest.mark.skipif(program() is None, reason="no Chromium here; scripts/packages thorough installs it")
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_a_film_shows_one_frame_after_another(tmp_path: Path, dark: bool) -> None:
    picture = tmp_path / "film.svg"
    picture.write_text(film(FRAMES, columns=20, rows=2), encoding="utf-8")
    with browser(tmp_path) as opened:
        for path in (picture, *PICTURES):
            opened.look_like(1400, 900, dark=dark)
            opened.open(path.as_uri())
            assert opened.requests == [path.as_uri()]
            assert opened.complaints == []
        opened.open(picture.as_uri())
        for moment, seen in ((0.5, ["brix1  ✗"]), (5.5, ["brix1  ✗", "all is well"])):
            opened.run(f"{ANIMATIONS}.forEach((one) => {{ one.pause(); one.currentTime = {1000 * moment} }})")
            assert [text.strip() for text in opened.run(SEEN)] == [text.replace("  ", "") for text in seen]
