"""The documentation's site in headless Chromium: links, pictures, a phone, and a search that needs no network.

In short, without a browser: tests/house/test_links.py.
"""

import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlparse

import pytest

from tests.helpers.browser import Browser, browser, program
from tests.helpers.checkout import ROOT

SITE = ROOT / "build" / "site"
MKDOCS = ROOT / ".venv" / "docs" / "bin" / "mkdocs"
# What is promised for a build.
BUILD_SECONDS = 60
pytestmark = [
    pytest.mark.thorough,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not MKDOCS.exists(), reason="make docs sets it up"),
]
PHONE, DESK = 390, 1280
# Wide tables and code may be scrolled by themselves; the page may not.
WIDE = "document.documentElement.scrollWidth > window.innerWidth ? document.documentElement.scrollWidth : 0"
# What a phone's reader would have to pinch: text smaller than 10 pixels.
SMALL = """[...document.querySelectorAll('.md-content p, .md-content li, .md-content td, .md-content code')]
  .filter((one) => one.innerText && parseFloat(getComputedStyle(one).fontSize) < 10).length"""
LINKS = "[...document.querySelectorAll('a[href]')].map((one) => one.href)"
MISSING = "[...document.images].filter((one) => !one.complete || !one.naturalWidth).map((one) => one.src)"
IDS = "[...document.querySelectorAll('[id]')].map((one) => one.id)"


class Quiet(SimpleHTTPRequestHandler):
    """The site's files; nobody is told of each."""

    def log_message(self, *_: object) -> None:
        """Nothing."""


def build(*argv: str, cwd: Path = ROOT) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([*argv], cwd=cwd, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    began = time.monotonic()
    done = build("scripts/docs")
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    assert time.monotonic() - began < BUILD_SECONDS
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(SITE)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    if program() is None:
        pytest.skip("no Chromium here; scripts/packages thorough installs it")
    with browser(tmp_path_factory.mktemp("browser")) as opened:
        yield opened


def names() -> list[str]:
    return [path.relative_to(SITE).as_posix() for path in sorted(SITE.rglob("*.html"))]


def test_every_page_on_a_desk_and_on_a_phone(site: str, chromium: Browser) -> None:
    pages, links, wrong = {}, {}, []
    for name in names():
        for width in (DESK, PHONE):
            chromium.look_like(width, 800, dark=width == PHONE)
            chromium.open(site + name)
            told = {"wide": chromium.run(WIDE), "small": chromium.run(SMALL), "missing": chromium.run(MISSING)}
            foreign = [url for url in chromium.requests if not url.startswith((site, "data:", "blob:"))]
            wrong += [(name, width, key, found) for key, found in told.items() if found]
            wrong += [(name, width, "asked for", url) for url in foreign]
            wrong += [(name, width, "complains", said) for said in chromium.complaints]
        pages[name], links[name] = set(chromium.run(IDS)), set(chromium.run(LINKS))
    assert not wrong
    assert len(pages) > 60
    broken = [(name, link) for name in pages for link in links[name] if link.startswith(site) and lost(link, pages)]
    # A page that is not found has links to the site's own root.
    assert not [one for one in broken if one[0] != "404.html"]


def lost(link: str, pages: dict[str, set[str]]) -> bool:
    """Whether a link leads to no file, or to no place in a page."""
    address, anchor = urldefrag(link)
    name = unquote(urlparse(address).path).lstrip("/") or "index.html"
    if not (SITE / name).is_file():
        return True
    return bool(anchor) and name in pages and unquote(anchor) not in pages[name]


def test_the_search_finds_something_in_a_folder_without_any_server(site: str, chromium: Browser) -> None:
    chromium.look_like(DESK, 800, dark=False)
    chromium.open((SITE / "index.html").as_uri())
    chromium.run("document.querySelector('[for=__search]').click()")
    chromium.run("""(() => { const field = document.querySelector('input.md-search__input');
      field.focus(); field.value = 'preferVmklinux'; field.dispatchEvent(new Event('keyup', {bubbles: true})); })()""")
    chromium.until("document.querySelectorAll('.md-search-result__item').length > 1", "the search finds pages")
    found = chromium.run("[...document.querySelectorAll('.md-search-result__link')].map((one) => one.href)")
    assert any("hardware.html" in link for link in found)
    assert all(url.startswith(("file:", "data:", "blob:")) for url in chromium.requests)


def test_a_warning_fails_the_build(tmp_path: Path) -> None:
    for name in ("docs", "scripts"):
        shutil.copytree(ROOT / name, tmp_path / name)
    shutil.copy(ROOT / "mkdocs.yml", tmp_path)
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "docs").symlink_to(ROOT / ".venv" / "docs")
    index = tmp_path / "docs" / "index.md"
    index.write_text(index.read_text() + "\n[nowhere](how-to/scripts.md#nowhere)\n")
    done = build("scripts/docs", cwd=tmp_path)
    assert done.returncode == 1
    assert "how-to/scripts.md" in done.stderr
    (tmp_path / "docs" / "lonely.md").write_text("# Lonely\n")
    index.write_text(index.read_text().replace("#nowhere", ""))
    done = build("scripts/docs", cwd=tmp_path)
    assert done.returncode == 1
    assert "lonely.md" in done.stderr
