"""The host key in a VM's mark: a host's answer, checked before it is trusted."""

from collections.abc import Iterator
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from homelab.errors import TrustError
from homelab.formats.trust.ssh_key import new_key
from homelab.lab import ControlPlane, Lab
from homelab.ports.ansible.inventory import Vault
from homelab.ports.files.home import HomeFiles
from homelab.ports.guest.look import GuestAway
from homelab.ports.open_world import open_world
from homelab.rehearsal.served_host import ServedHost
from homelab.rehearsal.state.vm import Vm
from tests.helpers.one_host import lab_of, standing

NAS_LINE = f"192.168.2.5 {new_key('x').public.rpartition(' ')[0]}\n"
KEY = new_key("cp1").public
PLAIN = KEY.rpartition(" ")[0]
GUEST = "127.0.0.9"


class Bench:
    """A host with a running VM cp1 that carries our mark, and a known_hosts that knows the NAS."""

    def __init__(self, lab: Lab, served: ServedHost, folder: Path) -> None:
        self.vm = Vm("1", "cp1", "nas", "[nas] cp1/cp1.vmx", powered_on=True)
        self.vm.extra_config = {"homelab.lab": lab.name, "homelab.name": "cp1"}
        served.host.registered_vms["1"] = self.vm
        self.lab, self.home = lab, folder / "home"
        self.files = HomeFiles(self.home)
        self.files.home.mkdir(exist_ok=True)
        self.files.trust.known_hosts.write_text(NAS_LINE)

    def look(self, mark: str | None) -> object:
        if mark is not None:
            self.vm.extra_config["homelab.host_key"] = mark
        world = open_world(self.lab, [self.home], Vault(None), HomeFiles(self.home), lambda _: None)
        return world.guest("cp1")


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    lab = lab_of().model_copy(update={"control_plane": (ControlPlane(name="cp1", address=IPv4Address(GUEST)),)})
    with standing(lab, tmp_path) as served:
        yield Bench(lab, served, tmp_path)


BAD_MARKS = {
    "a second line": f"{KEY}\n192.168.2.5 {KEY}",
    "a carriage return": f"{KEY}\r192.168.2.5 {KEY}",
    "a cut key": PLAIN[:-8],
    "another type": PLAIN.replace("ssh-ed25519", "ssh-rsa"),
    "an old type": PLAIN.replace("ssh-ed25519", "ssh-dss"),
    "no key of its type": "ssh-ed25519 AAAA",
    "no key": "ssh-ed25519",
    "a name before it": f"* {PLAIN}",
}


@pytest.mark.parametrize("mark", BAD_MARKS)
def test_a_mark_that_is_not_one_key_is_refused_and_repins_nobody(bench: Bench, mark: str) -> None:
    with pytest.raises(TrustError, match="the mark ") as caught:
        bench.look(BAD_MARKS[mark])
    assert "homelab.host_key of the VM cp1 on brix3" in caught.value.where
    assert bench.files.trust.known_hosts.read_text() == NAS_LINE


def test_a_good_mark_is_for_that_vm_s_address_alone(bench: Bench) -> None:
    assert isinstance(bench.look(KEY), GuestAway)
    assert bench.files.trust.known_hosts.read_text() == f"{NAS_LINE}{GUEST} {PLAIN}\n"


def test_a_mark_that_changed_is_refused_until_the_old_key_is_forgotten(bench: Bench) -> None:
    bench.look(KEY)
    before, other = bench.files.trust.known_hosts.read_text(), new_key("cp1").public
    with pytest.raises(TrustError, match="the SSH host key changed") as caught:
        bench.look(other)
    assert "homelab trust cp1 --forget" in caught.value.advice
    assert bench.files.trust.known_hosts.read_text() == before
    bench.files.trust.forget_host_keys({GUEST})
    assert isinstance(bench.look(other), GuestAway)
