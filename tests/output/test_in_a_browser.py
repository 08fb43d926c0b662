"""The pictures and the page in headless Chromium: nothing stands out or complains, nothing is asked for elsewhere."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from homelab.checks.lab_look import LabLook
from homelab.formats.trust.masks import Masks
from homelab.output.lab_svg import lab_svg
from homelab.output.page import Page, RunShown
from homelab.output.timeline import run_timeline
from homelab.ports.net.page_server import serving
from tests.helpers.browser import Browser, browser, program
from tests.helpers.lab_looks import faulty, one_host_away, well
from tests.output.test_timeline import RUN, documents, story

pytestmark = [
    pytest.mark.thorough,
    pytest.mark.timeout(300),
    pytest.mark.skipif(program() is None, reason="no Chromium here; scripts/packages thorough installs it"),
]

LABS = {"well": well, "host-away": one_host_away, "faulty": faulty}
LAST = RunShown(RUN, documents(story()), [f"12:00:{n:02} {'a long line of the log ' * 9}" for n in range(60)])
THERE = """document.querySelectorAll('details').length > 9 && document.getElementById('lab').naturalWidth > 0
  && document.getElementById('timeline').naturalWidth > 0"""
HEADS = """Object.fromEntries([...document.querySelectorAll('summary')].map((head) =>
  [head.firstChild.textContent, head.querySelector('span').textContent]))"""


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("browser")) as opened:
        yield opened


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("name", LABS)
def test_the_page(chromium: Browser, tmp_path: Path, name: str, width: int, dark: bool) -> None:
    look = LABS[name]()
    with serving("127.0.0.1", 0, Page(look.name, lambda: look, lambda: LAST, Masks())) as url:
        chromium.look_like(width, 800, dark=dark)
        chromium.open(url)
        chromium.until(THERE, "the page shows the lab and the run")
        assert chromium.overflow() == []
        chromium.run("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        assert chromium.overflow() == []
        # Each picture is as wide as it is shown: its letters are as large as they were meant.
        assert chromium.run("document.getElementById('lab').clientWidth") == width
        assert chromium.run("document.getElementById('lab').naturalWidth") == width
        back = chromium.run("getComputedStyle(document.body).backgroundColor")
        assert back == ("rgb(13, 17, 23)" if dark else "rgb(255, 255, 255)")
        chromium.picture(tmp_path / "page.png")
        assert chromium.complaints == []
        assert {address.partition("?")[0].removeprefix(url) for address in chromium.requests} == {
            "", "status.json", "run.json", "status.svg", "timeline.svg",
        }  # fmt: skip
        assert all(address.startswith(url) for address in chromium.requests)


def test_the_page_follows_the_lab_and_says_when_nobody_answers_any_more(chromium: Browser) -> None:
    now: list[LabLook] = [well()]
    chromium.look_like(1280, 800, dark=False)
    with serving("127.0.0.1", 0, Page("homelab", lambda: now[0], lambda: None, Masks())) as url:
        chromium.open(url)
        chromium.until("document.querySelectorAll('details').length > 9", "the facts are there")
        assert chromium.run(HEADS)["brix4"] == "on"
        find = "[...document.querySelectorAll('details')].find((one) => /^brix4/.test(one.textContent))"
        chromium.run(f"{find}.open = true")
        now[0] = one_host_away()
        chromium.until(f"({HEADS})['brix4'] === 'away'", "the host is away")
        opened = "[...document.querySelectorAll('details')].filter((one) => one.open).map((one) => one.textContent)"
        [facts] = chromium.run(opened)
        assert "no TLS connection: No route to host" in facts
        assert chromium.run("document.getElementById('trouble').hidden")
        assert not chromium.run("document.getElementById('no-run').hidden")
    chromium.until("!document.getElementById('trouble').hidden", "the page says that nobody answers")
    assert chromium.run(HEADS)["brix4"] == "away"


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [390, 960])
@pytest.mark.parametrize("name", [*LABS, "two", "eight", "timeline"])
def test_a_picture_by_itself(chromium: Browser, tmp_path: Path, name: str, width: int, dark: bool) -> None:
    shown = well(8 if name == "eight" else 2) if name in ("two", "eight") else LABS.get(name, well)()
    text = run_timeline(documents(story()), RUN, width) if name == "timeline" else lab_svg(shown, width)
    file = tmp_path / "picture.svg"
    file.write_text(text)
    chromium.look_like(width, 800, dark=dark)
    chromium.open(file.as_uri())
    assert chromium.overflow() == []
    page = chromium.run("getComputedStyle(document.querySelector('.page')).fill")
    assert page == ("rgb(13, 17, 23)" if dark else "rgb(255, 255, 255)")
    chromium.picture(tmp_path / "picture.png")
    assert chromium.complaints == []
    assert chromium.requests == [file.as_uri()]
