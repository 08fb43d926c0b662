"""Has the kernel and nginx do what the picture says: by one transaction, by one tested file and a reload."""

import os
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from balancer.checker import Configuration, Places
from balancer.nftables import TABLE, changed_rules
from balancer.nginx import changed_conf, ready_line
from judge import Picture

# A program that takes longer hangs.
PATIENCE = 5
# By then nginx runs on a new configuration.
TAKE_OVER = 2.0


class Refused(Exception):
    """A program refused what it was given, in its own words."""


def run(words: list[str], text: str = "") -> str:
    """Runs a program on `text`, and gives its output. Raises Refused."""
    try:
        done = subprocess.run(words, input=text, capture_output=True, text=True, timeout=PATIENCE, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Refused(f"{words[0]} cannot be run: {error}") from None
    if done.returncode:
        raise Refused(f"{' '.join(words[:2])} refuses: {' '.join((done.stderr + done.stdout).split())}")
    return done.stdout


def put(path: Path, text: str) -> None:
    """Puts a file in its place in one go.

    By way of a name that nobody can guess: root writes so too, into a folder of the service's user.
    """
    descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            os.fchmod(descriptor, 0o644)
        Path(draft).replace(path)
    finally:
        Path(draft).unlink(missing_ok=True)


class Kernel:
    """The rules: laid down whole once, then changed by transactions; laid down again when somebody took them away."""

    def __init__(self, configuration: Configuration) -> None:
        self._nft = configuration.places.nft
        self._frame = Path(configuration.places.rules)
        self._balances = configuration.kind == "nftables"
        self._listed = ""

    def apply(self, wanted: Picture) -> None:
        """Raises Refused; then all is as it was."""
        whole = "" if self._listed else self._frame.read_text(encoding="utf-8")
        chosen = wanted.chosen if self._balances else ()
        try:
            run([self._nft, "-f", "-"], whole + changed_rules(chosen, wanted.dead, wanted.dead_hosts))
            self._listed = self._list()
        except Refused:
            self._listed = ""
            raise

    def is_intact(self) -> bool:
        """Whether the rules are as they were laid down; else the next `apply` lays all of them down."""
        try:
            intact = bool(self._listed) and self._list() == self._listed
        except Refused:
            intact = False
        self._listed = self._listed if intact else ""
        return intact

    def _list(self) -> str:
        return run([self._nft, "--stateless", "list", "table", *TABLE.split()])


class Proxy:
    """nginx, which runs on a copy of its configuration in the checker's own folder."""

    def __init__(self, configuration: Configuration) -> None:
        self._places = configuration.places
        self._door = ("127.0.0.1", configuration.ready_port)
        self._live = Path(configuration.places.folder) / "nginx.conf"

    def apply(self, wanted: Picture) -> None:
        """Raises Refused; then the old file is still in place."""
        text = changed_conf(Path(self._places.nginx_conf).read_text(encoding="utf-8"), wanted.away())
        if not self._live.exists() or self._live.read_text(encoding="utf-8") != text:
            self._lay_down(text)
        if self._answer() != ready_line(text) and reload_nginx(self._places):
            self._wait_for(ready_line(text))

    def _lay_down(self, text: str) -> None:
        draft = self._live.with_name("nginx.conf.draft")
        draft.write_text(text, encoding="utf-8")
        try:
            test_nginx(self._places, draft)
        except Refused:
            draft.unlink()
            raise
        draft.replace(self._live)

    def _wait_for(self, line: str) -> None:
        deadline = time.monotonic() + TAKE_OVER
        while self._answer() != line:
            if time.monotonic() > deadline:
                told = "`journalctl --unit=homelab-nginx` tells why"
                raise Refused(f"nginx did not take {self._live} over within {TAKE_OVER} s; {told}")
            time.sleep(0.02)

    def _answer(self) -> str:
        """What nginx says of itself; empty when it does not answer."""
        try:
            with socket.create_connection(self._door, 0.5) as door:
                return door.recv(64).decode("ascii", "replace").strip()
        except OSError:
            return ""


def test_nginx(places: Places, file: Path) -> None:
    """Has nginx read a configuration. Raises Refused."""
    run([places.nginx, "-t", "-q", "-e", "stderr", "-g", "pid /dev/null;", "-c", str(file)])


def reload_nginx(places: Places) -> bool:
    """Has nginx read its configuration again; whether it runs, for else it reads it when it starts."""
    try:
        pid = int(Path(places.nginx_pid).read_text(encoding="ascii"))
        # A number that was left behind may be somebody else's by now.
        if Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip() != "nginx":
            return False
        os.kill(pid, signal.SIGHUP)
    except (FileNotFoundError, ProcessLookupError, ValueError):
        return False
    except PermissionError as error:
        raise Refused(f"nginx cannot be told to read its configuration again: {error}") from None
    return True
