"""The one SSH connection to a host whose API only reads, where the host does not let us in."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from homelab.errors import HomelabError, LoginRefused, TrustError
from homelab.lab import EsxiHost
from homelab.ports.esxi.kept_shells import KeptShells
from homelab.ports.files.home import HomeFiles
from homelab.rehearsal.shell.server import new_host_key
from tests.helpers.vm_lab import HostsOnNas, hosts_on_nas, vm_lab


@pytest.fixture
def at(tmp_path: Path) -> Iterator[HostsOnNas]:
    with hosts_on_nas(vm_lab(tmp_path, host="brix3"), tmp_path, free=True) as made:
        yield made


def kept(at: HostsOnNas) -> KeptShells:
    return KeptShells(HomeFiles(at.home), lambda _: None, threading.Event())


def refusals(shells: KeptShells, host: EsxiHost) -> list[HomelabError]:
    """What the VMs of a host meet, each of which asks for the connection."""
    met = []
    for _ in range(6):
        with pytest.raises(HomelabError) as caught:
            shells.get(host)
        met.append(caught.value)
    return met


def test_a_refused_login_is_not_tried_again_in_a_run(at: HostsOnNas) -> None:
    """Five failures lock the account, for SSH and the API alike (esxi-facts)."""
    host: EsxiHost = at.lab.host("brix3")
    met = refusals(kept(at), host.model_copy(update={"password": SecretStr("wrong")}))
    assert {type(error) for error in met} == {LoginRefused}
    with at.session():
        pass
    assert kept(at).get(host).alive


def test_a_changed_key_is_told_again_without_asking(at: HostsOnNas) -> None:
    host: EsxiHost = at.lab.host("brix3")
    assert kept(at).get(host).alive
    shell = at.served_hosts["brix3"].shell
    shell.stop()
    shell.host_key = new_host_key(at.host().version)
    shell.start()
    met = refusals(kept(at), host)
    assert {type(error) for error in met} == {TrustError}
    assert len(set(map(id, met))) == 1
