"""A guest that never comes: the picture of its console lies beside the logs, and nothing of it on the datastore."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from homelab.lab import Lab
from homelab.rehearsal.state.vm import Vm
from tests.helpers.vm_lab import HostsOnNas, tree, vm_lab, vms_on_nas


@pytest.fixture
def at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HostsOnNas]:
    with vms_on_nas(vm_lab(tmp_path), tmp_path, monkeypatch) as made:
        yield made


def impatient(at: HostsOnNas) -> Lab:
    guests = at.lab.guests.model_copy(update={"timeout": 1})
    return at.lab.model_copy(update={"guests": guests})


def advice_of(at: HostsOnNas) -> str:
    [failed] = at.bring("guest", lab=impatient(at)).said("failed", "guest")
    assert "answers on SSH" in failed["what"]
    return str(failed["advice"])


def test_the_console_of_a_guest_that_never_comes_is_kept(at: HostsOnNas) -> None:
    at.put("cp1/cp1-1.png", b"a picture of the owner's")
    before = tree(at.nas)
    advice = advice_of(at)
    [kept] = at.home.glob("logs/*/cp1-console.png")
    assert f"See its console in {kept}" in advice
    assert "check vm_network" in advice
    assert kept.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    assert kept.stat().st_mode & 0o777 == 0o600
    assert tree(at.nas) == before


def test_without_a_picture_the_page_to_look_at_is_named(at: HostsOnNas, monkeypatch: pytest.MonkeyPatch) -> None:
    [vm] = at.host().registered_vms.values()

    def is_gone(moid: str) -> Vm:
        at.host().vms.unregister(vm)
        raise KeyError(moid)

    monkeypatch.setattr("homelab.rehearsal.soap.objects.machine_console.lay_picture", is_gone)
    assert "Look at the VM's console in the host's web page" in advice_of(at)
    assert not list(at.home.glob("logs/*/cp1-console.png"))
