"""Headless Chromium, driven over its own pipe (the DevTools protocol): opens pages, measures and pictures them.

Everything that a page asks for and everything that it complains of is kept.
"""

import base64
import json
import os
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PROGRAMS = ("chromium-headless-shell", "chromium", "google-chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--remote-debugging-pipe",
    "--hide-scrollbars",
    # What a browser asks for by itself would be taken for the page's doing.
    "--disable-background-networking",
    "--disable-component-update",
)
SECONDS = 60.0
# What stands out of the window, or out of its own box: of a picture every text out of the box of its group.
OVERFLOW = """(() => {
  const out = [], page = document.documentElement, isPicture = page.tagName === 'svg';
  if (page.scrollWidth > window.innerWidth) out.push(`the page is ${page.scrollWidth} wide`);
  const within = (mine, room) => mine.x >= room.x && mine.x + mine.width <= room.x + room.width
    && mine.y >= room.y && mine.y + mine.height <= room.y + room.height + 1;
  for (const group of document.querySelectorAll('g[data-name]')) {
    const box = group.querySelector('rect.box, rect.inner');
    for (const text of box ? group.querySelectorAll('text') : [])
      if (!within(text.getBBox(), box.getBBox())) out.push(`${group.dataset.name}: ${text.textContent}`);
  }
  for (const text of isPicture ? page.querySelectorAll('text') : [])
    if (!within(text.getBBox(), page.viewBox.baseVal)) out.push(`out of the picture: ${text.textContent}`);
  return out;
})()"""


def program() -> str | None:
    """The browser of this machine."""
    return next(filter(None, map(shutil.which, PROGRAMS)), None)


class Browser:
    """One page of a browser. `requests` are the addresses that it asked for, `complaints` its console's errors."""

    def __init__(self, to: int, of: int) -> None:
        self._to, self._of = to, of
        self._number, self._rest = 0, b""
        self._session: str | None = None
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self._loaded = 0
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.ask(f"{domain}.enable")

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """One command of the protocol, and its answer."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        end = time.monotonic() + SECONDS
        while True:
            heard = self._next(end)
            if heard.get("id") == self._number:
                assert "error" not in heard, (method, heard["error"])
                return dict(heard["result"])

    def _next(self, end: float) -> dict[str, Any]:
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._of], [], [], max(0.0, end - time.monotonic()))
            assert ready, "the browser does not answer"
            piece = os.read(self._of, 1 << 20)
            assert piece, "the browser has ended"
            self._rest += piece
        line, _, self._rest = self._rest.partition(b"\0")
        heard: dict[str, Any] = json.loads(line)
        self._note(heard.get("method", ""), heard.get("params", {}))
        return heard

    def _note(self, method: str, params: dict[str, Any]) -> None:
        if method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        elif method == "Page.loadEventFired":
            self._loaded += 1
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(str(params["exceptionDetails"]))
        elif method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            self.complaints.append(params["entry"]["text"])
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning", "assert"):
            self.complaints.append(str(params["args"]))

    def look_like(self, width: int, height: int, *, dark: bool) -> None:
        """A window of this size, of somebody who wants it light or dark."""
        self.ask(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 500
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.ask("Emulation.setEmulatedMedia", features=[scheme])

    def open(self, url: str) -> None:
        """Go there, and wait until all of it is there."""
        self.requests.clear()
        self.complaints.clear()
        before = self._loaded
        self.ask("Page.navigate", url=url)
        end = time.monotonic() + SECONDS
        while self._loaded == before:
            self._next(end)

    def run(self, script: str) -> Any:
        """The value of an expression in the page."""
        found = self.ask("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def until(self, script: str, sentence: str) -> None:
        """Ask the page until an expression is true."""
        end = time.monotonic() + SECONDS
        while not self.run(script):
            assert time.monotonic() < end, f"not within {SECONDS:g} s: {sentence}"
            self.run("new Promise((done) => setTimeout(done, 100))")

    def overflow(self) -> list[str]:
        """What stands out of the window, or out of the box that it belongs to."""
        return list(self.run(OVERFLOW))

    def picture(self, path: Path) -> None:
        """All of the page as a PNG."""
        shot = self.ask("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shot["data"]))


@contextmanager
def browser(folder: Path, *before: str) -> Iterator[Browser]:
    """A browser with a profile in `folder`; `before` are words of a command that starts it."""
    to_read, to_write = os.pipe()
    of_read, of_write = os.pipe()
    found = program()
    assert found
    argv: Sequence[str] = [*before, found, *FLAGS, f"--user-data-dir={folder / 'profile'}"]

    def ends() -> None:
        # The protocol is spoken on the descriptors 3 and 4.
        high_read, high_write = os.dup(to_read), os.dup(of_write)
        os.dup2(high_read, 3)
        os.dup2(high_write, 4)

    process = subprocess.Popen(
        argv, preexec_fn=ends, close_fds=False,
        start_new_session=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=(folder / "browser.err").open("w"),
    )  # fmt: skip
    os.close(to_read)
    os.close(of_write)
    try:
        yield Browser(to_write, of_read)
    finally:
        # Its own children with it: they write to the profile.
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(30)
        os.close(to_write)
        os.close(of_read)
