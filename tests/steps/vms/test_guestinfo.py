"""`guest_seed: guestinfo`: the seed travels in the VM's own configuration, over the API and over SSH, and goes again."""

import base64
import gzip
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from homelab.lab import Lab
from homelab.rehearsal.state.vm import Vm
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
    assert KEYS <= set(vm.extra_config)
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
