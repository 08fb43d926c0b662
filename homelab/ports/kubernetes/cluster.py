"""A cluster as its administrator reads it: objects of the API, and what a node knows of etcd, names and pods."""

import json
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from homelab.errors import HomelabError, HostFault, Unreachable
from homelab.formats.kubernetes.admin import Admin
from homelab.formats.kubernetes.standin import is_standin
from homelab.lab import Lab
from homelab.ports.files.home import HomeFiles
from homelab.ports.files.record import recorded
from homelab.ports.guest.look import GuestAway, GuestLook
from homelab.ports.kubernetes.admin import ADMIN, client_context, fetch_admin
from homelab.ports.net import https
from homelab.ports.ssh import Shell

API_SERVER_PORT = 6443
SECONDS = 5.0
ADVICE = "See what `homelab verify` says of the API servers, and at `journalctl -u kubelet` on them"


class ClusterReader:
    """Reads of one cluster. The administrator is fetched once, over SSH from a control plane that answers.

    `meet` looks at a guest, which tells its host key; `login` is a shell of one that was met.
    """

    def __init__(
        self,
        lab: Lab,
        files: HomeFiles,
        meet: Callable[[str], GuestLook | GuestAway],
        login: Callable[[str], AbstractContextManager[Shell]],
    ) -> None:
        self._lab, self._files, self._meet, self._login = lab, files, meet, login
        self._guard = threading.Lock()
        self._admin: Admin | None = None
        self._context: ssl.SSLContext | None = None
        # Who answered last is asked first: one that is away would cost its deadline each time.
        self._answered = ""
        self._standin: bool | None = None

    def admin(self) -> Admin:
        """The administrator; kept in memory for this run. Raises the last control plane's HomelabError."""
        with self._guard:
            if self._admin is None:
                self._admin = self._fetched()
            return self._admin

    @contextmanager
    def shell(self, name: str) -> Iterator[Shell]:
        """A shell of a node, for reading. Raises Unreachable where it cannot be looked at, LoginRefused, TrustError."""
        met, address = self._meet(name), self._lab.vm(name).address
        if isinstance(met, GuestAway):
            advice = "Check that it is on, and run again"
            raise Unreachable(f"not yet: {met.reason}", where=f"{name} ({address})", advice=advice)
        with self._login(name) as shell:
            yield shell

    def _fetched(self) -> Admin:
        error: HomelabError | None = None
        for vm in self._lab.control_plane:
            try:
                with self.shell(vm.name) as shell:
                    return fetch_admin(shell)
            except HomelabError as fault:
                error = fault
        if error is None:
            what, advice = "the inventory's group control_plane is empty", "Name the control planes there"
            raise HostFault(what, where="kubernetes", advice=advice)
        raise error

    def get(self, path: str, *, seconds: float = SECONDS) -> Mapping[str, Any]:
        """The object at a path of the API, asked through the VIP, else of each API server itself.

        Raises Unreachable when none answers, HostFault when one says no.
        """
        error: HomelabError | None = None
        context = self._speaking()
        for name, address, port in sorted(self._places(), key=lambda place: place[0] != self._answered):
            try:
                with recorded(self._files, "http", name, f"GET {path}", writes=False):
                    status, body = https.ask(lambda: context, address, port, path, timeout=seconds)
                    self._answered = name
                    return _object(path, name, status, body)
            except Unreachable as fault:
                error = fault
        raise error or Unreachable(f"{path}: nobody is there to be asked", where="kubernetes", advice=ADVICE)

    def is_standin(self) -> bool:
        """Whether it is the rehearsal's stand-in, which runs no containers; asked once. Raises as `get` does."""
        if self._standin is None:
            self._standin = is_standin(str(self.get("/version").get("gitVersion", "")))
        return self._standin

    def _places(self) -> Iterator[tuple[str, str, int]]:
        """Who is asked, by name, address and port; the VIP only where balancers of ours hold it."""
        if self._lab.load_balancers:
            yield "api", str(self._lab.api.vip), self._lab.api.port
        for vm in self._lab.control_plane:
            yield vm.name, str(vm.address), API_SERVER_PORT

    def _speaking(self) -> ssl.SSLContext:
        admin = self.admin()
        with self._guard:
            if self._context is None:
                try:
                    self._context = client_context(admin)
                except (OSError, ValueError) as fault:
                    what = f"the administrator's certificate cannot be used: {fault}"
                    raise HostFault(what, where="kubernetes", advice=f"Look at {ADMIN} on the control planes") from None
            return self._context


def _object(path: str, name: str, status: int, body: str) -> Mapping[str, Any]:
    try:
        read = json.loads(body)
    except ValueError:
        read = None
    if status == 200 and isinstance(read, dict):
        return read
    message = read.get("message") if isinstance(read, dict) else None
    said = f"the API answers {status} to {path}" + (f": {message}" if message else "")
    raise HostFault(said if status != 200 else f"the API's answer to {path} is no object", where=name, advice=ADVICE)
