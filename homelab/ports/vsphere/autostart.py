"""Which VMs start with a host: the one call that changes it, and what this run has changed already."""

import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from pyVmomi import vim, vmodl

from homelab.ports.vsphere.session import Session

# A position behind all that have one, in whatever order.
ANY_TIME = -1
# Debian's cloud images have no VMware Tools, so no heartbeat is waited for: the next VM starts after so many seconds.
START_SECONDS = 10
# The guest shuts itself down with its host; how long that may take is the host's own setting.
STOP_ACTION = "guestShutdown"


@dataclass(frozen=True)
class Autostart:
    """How a VM is to start with its host.

    `order` is its position among the VMs of `known` (paths of .vmx), None when it has one. Positions are 1, 2, 3... and
    a VM that is put where another one is moves that one, and all behind it (vim.host.AutoStartManager.AutoPowerInfo).
    None is ever moved by itself: hosts were seen to lose their order by that. `rank` says which of our VMs come before:
    those of lower ranks. `enable` switches the host's autostart on as well.
    """

    order: int | None
    rank: int
    known: frozenset[str] = field(default=frozenset(), repr=False)
    enable: bool = False


class PutByUs:
    """What this run itself put among the VMs that start with a host: a plan that is older does not know of it."""

    def __init__(self) -> None:
        self._put: dict[str, list[tuple[str, int]]] = defaultdict(list)
        self._locks: dict[str, threading.Lock] = defaultdict(threading.Lock)
        self._guard = threading.Lock()

    @contextmanager
    def place(self, host: str, path: str, wanted: Autostart) -> Iterator[Autostart]:
        """The same, with the position that it has by now; nobody else puts a VM there until it is put."""
        with self._guard:
            lock, put = self._locks[host], self._put[host]
        with lock:
            before = [1 for other, rank in put if other not in wanted.known and rank < wanted.rank]
            yield wanted if wanted.order is None else replace(wanted, order=wanted.order + len(before))
            put.append((path, wanted.rank))


def set_autostart(session: Session, vm: Any, wanted: Autostart) -> None:
    """Have a VM start with the host, and the host start VMs at all: one call, and no other VM is named in it.

    Where the host refuses the position the VM is put behind all that have one.
    """
    try:
        _reconfigure(session, vm, wanted)
    except vmodl.fault.InvalidArgument:
        if wanted.order in (None, ANY_TIME):
            raise
        _reconfigure(session, vm, replace(wanted, order=ANY_TIME))


def end_autostart(session: Session, vm: Any) -> None:
    """Take a VM out of those that start and stop with the host."""
    manager = vim.host.AutoStartManager
    _manager(session).ReconfigureAutostart(manager.Config(powerInfo=[_row(vm, ANY_TIME, "none", "none")]))


def _reconfigure(session: Session, vm: Any, wanted: Autostart) -> None:
    manager = vim.host.AutoStartManager
    spec = manager.Config()
    if wanted.enable:
        spec.defaults = manager.SystemDefaults(enabled=True)
    if wanted.order is not None:
        spec.powerInfo = [_row(vm, wanted.order, "powerOn", STOP_ACTION)]
    _manager(session).ReconfigureAutostart(spec)


def _manager(session: Session) -> Any:
    """Its id is a constant, as all are on a standalone host."""
    return session.managed(vim.host.AutoStartManager, "ha-autostart-mgr")


def _row(vm: Any, order: int, start: str, stop: str) -> Any:
    return vim.host.AutoStartManager.AutoPowerInfo(
        key=vm,
        startOrder=order,
        startDelay=START_SECONDS if start == "powerOn" else -1,
        waitForHeartbeat="no" if start == "powerOn" else "systemDefault",
        startAction=start,
        stopDelay=-1,
        stopAction=stop,
    )
