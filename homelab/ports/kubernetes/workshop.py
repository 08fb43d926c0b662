"""The parts of a bundle: each made once, kept under its recipe's hash, and never taken for whole before it is."""

import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from homelab.errors import HomelabError
from homelab.formats.kubernetes.bundle import recipe_id
from homelab.formats.kubernetes.estimate import in_words, remaining

Note = Callable[[str], None]
FOLDER = "bundle-parts"
# How often a part that is being made says so.
EVERY_SECONDS = 30.0


class Workshop:
    """The folder of parts, and who tells how far the work is; `weights` are the parts to come, in seconds."""

    def __init__(self, cache: Path, note: Note, weights: Mapping[str, float]) -> None:
        self.folder = cache / FOLDER
        self._note = note
        self._weights = weights
        self._left = dict.fromkeys(weights)
        self._took: dict[str, float] = {}

    def part(self, name: str, recipe: object, make: Callable[[Path], None]) -> Path:
        """The folder of a part; `make` fills it, if it is not there yet. HomelabError when it cannot be kept."""
        folder = self.folder / f"{name.replace(' ', '-')}-{recipe_id(recipe)}"
        if not folder.is_dir():
            with kept_in_words(folder), self._told(name):
                unfinished = folder.with_name(f".{folder.name}")
                shutil.rmtree(unfinished, ignore_errors=True)
                unfinished.mkdir(parents=True)
                make(unfinished)
                _sync(unfinished)
                unfinished.rename(folder)
        self._left.pop(name, None)
        return folder

    @contextmanager
    def _told(self, name: str) -> Iterator[None]:
        """Say what is being made and how long the rest takes, at its beginning and now and then."""
        began, ended = time.monotonic(), threading.Event()

        def tell() -> None:
            while True:
                past = time.monotonic() - began
                rest = remaining(self._weights, self._took, self._left, name, past)
                so_far = f", {past:.0f} s so far" if past >= 1 else ""
                self._note(f"{name}{so_far}; about {in_words(rest)} for all that is left")
                if ended.wait(EVERY_SECONDS):
                    return

        teller = threading.Thread(target=tell, daemon=True)
        teller.start()
        try:
            yield
        finally:
            ended.set()
            teller.join()
        self._took[name] = time.monotonic() - began


@contextmanager
def kept_in_words(path: Path) -> Iterator[None]:
    """The one door where the operating system's errors about the cache are translated."""
    try:
        yield
    except OSError as error:
        raise HomelabError(
            f"{error.strerror or error} ({error.filename or path})",
            where=str(path),
            advice="A bundle and its parts take 2 GB: make room, or name another cache with XDG_CACHE_HOME",
        ) from None


def _sync(folder: Path) -> None:
    """Its files are on the disk before the folder gets its name: a power cut must not leave empty ones under it."""
    for file in folder.rglob("*"):
        if file.is_file():
            with file.open("rb") as opened:
                os.fsync(opened.fileno())
