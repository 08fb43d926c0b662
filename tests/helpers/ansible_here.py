"""Ansible's own `ansible-inventory`, again and again in this process: for tests that read many inventories.

A run as a program costs half a second, most of it imports. It is the same class with the same arguments; only what a
process can initialise once is not initialised again.
"""

import contextlib
import io
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import pytest

from homelab.ports import process
from homelab.ports.ansible import inventory, settings


@contextmanager
def ansible_here(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Within this context `ansible-inventory` runs in this process."""
    for name in [name for name in os.environ if name.startswith(settings.PREFIX)]:
        monkeypatch.delenv(name)
    for name, value in {**settings.environment(), **inventory.SETTINGS}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(inventory, "_run", _run)
    yield


def _run(program: Sequence[str], arguments: Sequence[str], *_: Any, **__: Any) -> process.Done:
    assert list(program) == ["inventory"], "nothing else is run here"
    out, err = io.StringIO(), io.StringIO()
    status = 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            _program([source for flag, source in pairwise(arguments) if flag == "-i"]).cli_executor(
                ["ansible-inventory", *arguments]
            )
        except SystemExit as end:
            status = int(end.code or 0)
    return process.Done(status, out.getvalue(), err.getvalue())


def _program(sources: list[str]) -> Any:
    argv, sys.argv = sys.argv, ["ansible-inventory"]
    try:
        from ansible.cli.inventory import InventoryCLI
        from ansible.inventory.manager import InventoryManager
        from ansible.parsing.dataloader import DataLoader
        from ansible.vars.manager import VariableManager
    finally:
        sys.argv = argv

    class Again(InventoryCLI):  # type: ignore[misc]
        @staticmethod
        def _play_prereqs() -> Any:
            # The arguments of the first run are Ansible's for ever.
            loader = DataLoader()
            found = InventoryManager(loader=loader, sources=sources)
            return loader, found, VariableManager(loader=loader, inventory=found)

    return Again
