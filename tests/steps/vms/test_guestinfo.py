"""`guest_seed: guestinfo`: the seed in the VM's own configuration, over the API and over SSH, until the guest is up."""

import base64
import gzip
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from homelab.engine.step import Change
from homelab.errors import DeadlinePassed
from homelab.lab import Lab
from homelab.ports.ansible.inventory import Vault
from homelab.ports.files.home import HomeFiles
from homelab.ports.open_world import open_world
from homelab.ports.world import World
from homelab.rehearsal.state.vm import Vm
from homelab.steps.guests.guest import AwaitGuest, Guest
from homelab.steps.guests.guestinfo_seed import ClearGuestinfo, RestartWithoutGuestinfo
from tests.formats.guest.test_guestinfo import keys
from tests.helpers.vm_lab import VM_STEPS, HostsOnNas, hosts_on_nas, vm_lab

KEYS = {f"guestinfo.{name}{end}" for name in ("metadata", "userdata") for end in ("", ".encoding")}


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture(params=[False, True], ids=["api", "ssh"])
def at(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[HostsOnNas]:
    lab = told_by_guestinfo(vm_lab(tmp_path, vms=("cp1",), host="brix3"))
    with hosts_on_nas(lab, tmp_path, free=request.param) as made:
        yield made


def told_by_guestinfo(lab: Lab) -> Lab:
    return lab.model_copy(update={"guests": lab.guests.model_copy(update={"seed": "guestinfo"})})


def world_of(at: HostsOnNas) -> World:
    return open_world(at.lab, [at.home], Vault(None), HomeFiles(at.home), lambda _: None)


def the_vm(at: HostsOnNas) -> Vm:
    [vm] = at.host().registered_vms.values()
    return vm


def secret(vm: Vm) -> str:
    user = yaml.safe_load(gzip.decompress(base64.b64decode(vm.extra_config["guestinfo.userdata"])))
    return str(user["ssh_keys"]["ed25519_private"]).splitlines()[1]


def test_a_vm_has_its_seed_in_its_configuration_and_no_drive(at: HostsOnNas) -> None:
    ended = at.bring(*VM_STEPS)
    assert not ended.counts.failed, ended.events
    assert ended.plan.empty
    vm = the_vm(at)
    assert vm.powered_on and not vm.cdroms
    assert set(vm.extra_config) >= KEYS
    assert not (at.nas / "cp1/seed.iso").exists()
    logs = b"".join(path.read_bytes() for path in at.home.rglob("*") if path.is_file() and "logs" in path.parts)
    assert logs
    assert secret(vm).encode() not in logs
    assert vm.extra_config["guestinfo.userdata"].encode() not in logs


def test_a_seed_that_is_too_large_is_refused_with_the_number_before_anything_is_made(at: HostsOnNas) -> None:
    guests = at.lab.guests.model_copy(update={"authorized_keys": keys(900)})
    [failure] = at.bring(*VM_STEPS, lab=at.lab.model_copy(update={"guests": guests})).said("failed", "vm")
    assert "guestinfo.userdata of the seed is " in failure["what"]
    assert failure["what"].endswith("and a VM takes 64512")
    assert not (at.nas / "cp1").exists()
    assert not at.host().registered_vms


def planned(at: HostsOnNas) -> list[Change]:
    return [change for changes in at.plan("guest").items.values() for change in changes]


def test_over_the_api_it_goes_while_the_vm_runs_and_nothing_else_with_it(tmp_path: Path) -> None:
    with hosts_on_nas(told_by_guestinfo(vm_lab(tmp_path)), tmp_path) as at:
        assert not at.bring(*VM_STEPS).counts.failed
        the_vm(at).extra_config["guestinfo.note"] = "mine"
        [_, change] = planned(at)
        assert change == ClearGuestinfo("cp1", "brix3", "[nas] cp1/cp1.vmx")
        assert not change.disruptive
        Guest().apply(world_of(at), change)
        gone(at)
        assert the_vm(at).powered_on
        assert the_vm(at).extra_config["guestinfo.note"] == "mine"


def test_where_the_api_only_reads_the_fresh_guest_starts_once_more_without_it(tmp_path: Path) -> None:
    lab = told_by_guestinfo(vm_lab(tmp_path))
    lab = lab.model_copy(update={"guests": lab.guests.model_copy(update={"timeout": 1})})
    with hosts_on_nas(lab, tmp_path, free=True) as at:
        assert not at.bring(*VM_STEPS).counts.failed
        first = the_vm(at).boot_time
        [_, change] = planned(at)
        assert change == RestartWithoutGuestinfo("cp1", "brix3", "[nas] cp1/cp1.vmx", "127.0.0.21", 1)
        assert change.disruptive
        with pytest.raises(DeadlinePassed, match="cp1 answers on SSH"):
            Guest().apply(world_of(at), change)
        gone(at)
        assert the_vm(at).powered_on
        assert the_vm(at).boot_time != first


def gone(at: HostsOnNas) -> None:
    """From the VM and from its file; the guest, which is none here, is still waited for."""
    assert not {*KEYS, "homelab.seed"} & set(the_vm(at).extra_config)
    assert "homelab.host_key" in the_vm(at).extra_config
    text = (at.nas / "cp1/cp1.vmx").read_text()
    assert "guestinfo.metadata" not in text
    assert "guestinfo.userdata" not in text
    assert [type(change) for change in planned(at)] == [AwaitGuest]


def test_guestinfo_of_somebody_else_is_left(tmp_path: Path) -> None:
    with hosts_on_nas(vm_lab(tmp_path), tmp_path) as at:
        assert not at.bring(*VM_STEPS).counts.failed
        the_vm(at).extra_config["guestinfo.userdata"] = "mine"
        assert not [change for change in planned(at) if isinstance(change, ClearGuestinfo)]


def test_a_restart_that_was_killed_is_completed(tmp_path: Path) -> None:
    """Killed while the VM is off: it is switched on, and the seed is still planned to go."""
    with hosts_on_nas(told_by_guestinfo(vm_lab(tmp_path)), tmp_path, free=True) as at:
        assert not at.bring(*VM_STEPS).counts.failed
        at.host().vm_power.off(the_vm(at))
        assert not at.bring("vm").counts.failed
        assert the_vm(at).powered_on
        assert isinstance(planned(at)[-1], RestartWithoutGuestinfo)


def test_a_guest_that_never_comes_is_told_what_reads_guestinfo(tmp_path: Path) -> None:
    """Debian's cloud images have no open-vm-tools, and never come up so."""
    lab = told_by_guestinfo(vm_lab(tmp_path))
    lab = lab.model_copy(update={"guests": lab.guests.model_copy(update={"timeout": 1})})
    with hosts_on_nas(lab, tmp_path) as at:
        [failure] = at.bring(*VM_STEPS, "guest").said("failed", "guest")
        assert "guestinfo is read by open-vm-tools only" in failure["advice"]
