"""One SSH connection a host whose API only reads, kept for the whole run: such a host is written to by nothing else."""

import threading
from collections.abc import Callable
from contextlib import ExitStack

from homelab.errors import LoginRefused, TrustError, Unreachable
from homelab.lab import EsxiHost
from homelab.ports import ssh
from homelab.ports.esxi.shell import START_SECONDS, login_of
from homelab.ports.files.home import HomeFiles


class KeptShells:
    """Opens a connection when it is first asked for, and anew when it broke, as at a reboot.

    SSH runs there already, for the API cannot start it, and stays on. Commands go side by side on one connection. A
    login that was refused is not tried again in a run: five failures lock the account, and every VM asks for one.
    """

    def __init__(self, files: HomeFiles, note: Callable[[str], None], stop: threading.Event) -> None:
        self._files, self._note, self._stop = files, note, stop
        self._kept: dict[str, tuple[ssh.Shell, ExitStack]] = {}
        self._refused: dict[str, LoginRefused | TrustError] = {}
        self._locks: dict[str, threading.Lock] = {}
        self._guard = threading.Lock()

    def get(self, host: EsxiHost) -> ssh.Shell:
        """The connection to a host. Raises Unreachable, TrustError, LoginRefused."""
        with self._guard:
            lock = self._locks.setdefault(host.name, threading.Lock())
        with lock:
            if refused := self._refused.get(host.name):
                raise refused
            kept = self._kept.get(host.name)
            if kept and kept[0].alive:
                return kept[0]
            if kept:
                kept[1].close()
            try:
                self._kept[host.name] = self._anew(host)
            except (LoginRefused, TrustError) as error:
                self._refused[host.name] = error
                raise
            return self._kept[host.name][0]

    def _anew(self, host: EsxiHost) -> tuple[ssh.Shell, ExitStack]:
        try:
            return self._opened(host)
        except Unreachable:
            # After a boot the API may answer before sshd listens.
            ssh.await_port(login_of(host), START_SECONDS, self._stop)
            return self._opened(host)

    def _opened(self, host: EsxiHost) -> tuple[ssh.Shell, ExitStack]:
        stack = ExitStack()
        shell = stack.enter_context(ssh.connect(login_of(host), self._files, self._note))
        shell.keep_alive()
        return shell, stack
