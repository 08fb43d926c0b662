"""The physics of a simulated host: what is configured, what runs, and what a boot makes of it."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from homelab.rehearsal.host.host import Host
from homelab.rehearsal.nas.nas import DENIED, NO_CONNECTION, Nas
from homelab.rehearsal.state.hardware import MODELS
from homelab.rehearsal.state.machines import GuestSpec
from homelab.rehearsal.state.parts import Timing
from homelab.rehearsal.state.refusals import (
    AlreadyExists,
    DuplicateName,
    FileLocked,
    FileNotFound,
    InvalidPowerState,
    InvalidState,
    NasRefused,
    ReadOnly,
    ResourceInUse,
    Timedout,
    UnknownModule,
)
from homelab.rehearsal.state.settings import AutoStart
from homelab.rehearsal.state.vm import Vm, VmDisk, VmNic
from homelab.rehearsal.storage.disk_changes import extend
from homelab.rehearsal.storage.disk_files import flat_of, writes_of
from homelab.rehearsal.storage.volumes import Volumes

NAS, SHARE = "192.168.1.20", "/volume1/homelab"
ROOT = b"homelab rehearsal root trixie-1\n"


class Machines:
    """Remembers what was switched on."""

    def __init__(self) -> None:
        self.on: dict[str, GuestSpec] = {}

    def power_on(self, spec: GuestSpec) -> None:
        self.on[spec.name] = spec

    def power_off(self, name: str) -> None:
        self.on.pop(name, None)

    def shut_down(self, name: str) -> None:
        self.on.pop(name, None)

    def is_running(self, name: str) -> bool:
        return name in self.on


class Clock:
    """A clock that is wound by hand."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def volumes(tmp_path: Path) -> Volumes:
    return Volumes(tmp_path, Nas({NAS}, {SHARE}))


def make_host(volumes: Volumes, model: str = "GB-BRi7-8550", name: str = "brix3") -> Host:
    timing = Timing(boot_seconds=0.02, api_delay_seconds=0.02, shut_down_seconds=0.0)
    number = int(name[-1])
    return Host(
        name,
        f"192.168.1.1{number}",
        MODELS[model],
        "root",
        "secret",
        volumes=volumes,
        machines=Machines(),
        timing=timing,
    )


@pytest.fixture
def host(volumes: Volumes) -> Host:
    return make_host(volumes)


def until(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true"
        threading.Event().wait(0.005)


def booted(host: Host, boots: int) -> None:
    until(lambda: host.power.boots == boots)


def put_disk(host: Host, path: str, first_sector: bytes = ROOT, size: int = 1 << 20) -> None:
    file = host.datastores.path_of(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    host.datastores.volumes.create_disk(file, size, label=path)
    with flat_of(file).open("r+b") as flat:
        flat.write(first_sector)


def new_vm(host: Host, name: str = "cp1") -> Vm:
    path = f"[NAS] {name}/{name}.vmdk"
    put_disk(host, path)
    vm = Vm(host.vms.next_moid(), name, "", f"[NAS] {name}/{name}.vmx", disks=[VmDisk(2000, path, 1 << 20)])
    vm.controllers[1000] = "ParaVirtualSCSIController"
    vm.nics.append(VmNic(4000, "", "VM Network"))
    return host.vms.create(vm)


def test_a_fresh_host_runs_the_native_driver_and_has_ssh_off(host: Host) -> None:
    assert host.nics[0].driver == "ne1000"
    assert host.drivers.modules["ne1000"].loaded and not host.drivers.modules["e1000e"].loaded
    assert not host.services["TSM-SSH"].running
    assert (host.power.boots, host.power.reachable, host.power.api_ready, host.dirty) == (1, True, True, False)


def test_the_other_model_is_held_by_its_community_driver(volumes: Volumes) -> None:
    host = make_host(volumes, "GB-XM11-3337", "brix1")
    assert host.nics[0].driver == "r8168"
    assert host.drivers.modules["ne1000"].enabled and not host.drivers.modules["ne1000"].loaded


def test_a_module_acts_at_the_next_boot_only(host: Host) -> None:
    before = host.boot_time
    host.drivers.set_enabled("ne1000", False)
    assert host.dirty and host.nics[0].driver == "ne1000"
    down, up = threading.Event(), threading.Event()
    host.power.on_down, host.power.on_up = down.set, up.set
    host.power.reboot()
    assert down.wait(5) and up.wait(5)
    assert host.nics[0].driver == "e1000e"
    assert host.drivers.modules["e1000e"].loaded and not host.drivers.modules["ne1000"].loaded
    assert host.boot_time > before and not host.dirty
    until(lambda: host.power.api_ready)


@pytest.mark.parametrize(("kept", "driver"), [(False, "ne1000"), (True, "e1000e")])
def test_a_power_cut_loses_what_was_not_kept(host: Host, kept: bool, driver: str) -> None:
    host.datastores.mount_nas(NAS, SHARE, "NAS")
    host.drivers.set_enabled("ne1000", False)
    if kept:
        host.auto_backup.keep()
    host.power.cut()
    booted(host, 2)
    assert host.nics[0].driver == driver
    assert list(host.datastores.mounts) == (["NAS"] if kept else [])


def test_a_host_without_a_driver_stays_unreachable(host: Host) -> None:
    up = threading.Event()
    host.power.on_up = up.set
    host.drivers.set_enabled("ne1000", False)
    host.drivers.set_enabled("e1000e", False)
    host.power.reboot()
    booted(host, 2)
    assert host.nics[0].driver is None
    assert not host.power.reachable and not host.power.api_ready and not up.is_set()
    host.drivers.set_enabled("ne1000", True)
    host.power.reboot()
    assert up.wait(5) and host.nics[0].driver == "ne1000"


def test_prefer_vmklinux_lets_the_legacy_driver_win(host: Host) -> None:
    host.options.set_kernel_setting("preferVmklinux", "TRUE")
    assert host.kernel_settings["preferVmklinux"].runtime == "FALSE"
    host.power.reboot()
    booted(host, 2)
    assert host.kernel_settings["preferVmklinux"].runtime == "TRUE"
    assert host.nics[0].driver == "e1000e" and host.drivers.modules["ne1000"].enabled


def test_a_service_that_was_only_started_is_off_after_a_boot(host: Host) -> None:
    host.services.set("TSM-SSH", running=True)
    host.power.reboot()
    booted(host, 2)
    assert not host.services["TSM-SSH"].running
    with pytest.raises(UnknownModule):
        host.drivers.set_enabled("ne1000e", False)


def test_five_failures_lock_the_account(volumes: Volumes) -> None:
    clock = Clock()
    host = Host("b", "10.0.0.1", MODELS["GB-BRi7-8550"], "root", "s", volumes=volumes, machines=Machines(), clock=clock)
    assert host.account.login("root", "s")
    assert not any(host.account.login("root", "wrong") for _ in range(5))
    assert not host.account.login("root", "s")
    clock.now = 899
    assert not host.account.login("root", "s")
    clock.now = 901
    assert host.account.login("root", "s")


def test_mounts_answer_as_the_nas_does(host: Host, volumes: Volumes) -> None:
    host.datastores.mount_nas(NAS, SHARE, "NAS")
    with pytest.raises(AlreadyExists, match="is already exported by a volume with the name NAS"):
        host.datastores.mount_nas(NAS, SHARE, "other")
    with pytest.raises(DuplicateName):
        host.datastores.mount_nas(NAS, SHARE + "/", "NAS")
    with pytest.raises(NasRefused, match=DENIED):
        host.datastores.mount_nas(NAS, "/elsewhere", "two")
    with pytest.raises(NasRefused, match=NO_CONNECTION):
        host.datastores.mount_nas("192.168.1.99", SHARE, "two")
    volumes.nas.refuses = "Permission denied"
    with pytest.raises(NasRefused, match="Permission denied"):
        host.datastores.mount_nas(NAS, SHARE + "/", "two")
    volumes.nas.away = True
    assert not host.datastores.accessible(host.datastores.mounts["NAS"])


def test_a_vm_lives_from_creation_to_destruction(host: Host) -> None:
    host.datastores.mount_nas(NAS, SHARE, "NAS")
    vm = new_vm(host)
    machines = host.vm_power.machines
    assert isinstance(machines, Machines)
    assert vm.moid == "1" and vm.nics[0].mac.startswith("00:0c:29:")
    assert 'displayName = "cp1"' in host.datastores.path_of(vm.vmx_path).read_text()
    host.vm_power.on(vm)
    spec = machines.on["cp1"]
    assert (spec.root_id, spec.mac, spec.disk.name) == ("trixie-1", vm.nics[0].mac, "cp1.vmdk.d")
    with pytest.raises(InvalidPowerState):
        host.vm_power.on(vm)
    with pytest.raises(InvalidPowerState):
        host.vms.destroy(vm)
    with pytest.raises(ResourceInUse):
        host.datastores.unmount_nas("NAS")
    disk = host.datastores.path_of(vm.disks[0].path)
    with pytest.raises(FileLocked):
        host.datastores.volumes.delete(flat_of(disk), label="x")
    host.vm_power.shut_down_guest(vm)
    until(lambda: not vm.powered_on)
    host.vms.destroy(vm)
    assert not disk.parent.exists() and not host.registered_vms
    host.datastores.unmount_nas("NAS")


def test_a_disk_is_locked_for_the_other_host_too(host: Host, volumes: Volumes) -> None:
    other = make_host(volumes, name="brix4")
    host.datastores.mount_nas(NAS, SHARE, "NAS")
    other.datastores.mount_nas(NAS, SHARE, "NAS")
    vm = new_vm(host)
    twin = other.vms.register(vm.vmx_path)
    assert (twin.name, twin.cpus, twin.nics[0].mac, twin.disks[0].path) == (
        "cp1",
        vm.cpus,
        vm.nics[0].mac,
        vm.disks[0].path,
    )
    assert twin.controllers == vm.controllers and twin.uuid == vm.uuid
    # Somebody said that it was moved; on another host it asks (test_questions.py).
    twin.location = other.vms.location_of(twin)
    host.vm_power.on(vm)
    with pytest.raises(FileLocked):
        other.vm_power.on(twin)
    host.power.cut()
    booted(host, 2)
    other.vm_power.on(twin)


def test_a_guest_that_leaves_by_itself_switches_its_vm_off(host: Host) -> None:
    host.datastores.mount_nas(NAS, SHARE, "NAS")
    vm = new_vm(host)
    host.vm_power.on(vm)
    host.vm_power.machines.shut_down("cp1")
    until(lambda: not vm.powered_on)


def test_a_host_that_was_shut_down_waits_for_its_button(host: Host) -> None:
    boots = host.power.boots
    host.power.shut_down()
    until(lambda: host.power.state == "down")
    host.power.press_button()
    until(lambda: host.power.boots == boots + 1)
    assert host.power.reachable


def test_reboot_switches_vms_off_and_keeps_them(host: Host) -> None:
    host.datastores.mount_nas(NAS, SHARE, "NAS")
    host.vm_power.on(new_vm(host))
    host.power.reboot()
    booted(host, 2)
    assert [vm.name for vm in host.registered_vms.values()] == ["cp1"]
    assert not host.registered_vms["1"].powered_on and not host.vm_power.machines.is_running("cp1")


def test_a_host_answers_while_its_vms_start_and_may_go_down_again(host: Host) -> None:
    host.datastores.mount_nas(NAS, SHARE, "NAS")
    host.timing = replace(host.timing, power_on_seconds=1.0)
    first, second = new_vm(host, "cp1"), new_vm(host, "cp2")
    for order, vm in enumerate((first, second), start=1):
        host.start_order.put(vm.moid, AutoStart(order))
    host.start_order.set_defaults(enabled=True)
    starts = threading.Thread(target=host.vm_power.start_with_host)
    starts.start()
    until(lambda: first.powered_on)
    with host.lock:
        assert not second.powered_on
        host.vm_power.cut_all()
    starts.join()
    assert not (first.powered_on or second.powered_on)


def test_maintenance_waits_for_running_vms(host: Host) -> None:
    host.datastores.mount_nas(NAS, SHARE, "NAS")
    vm = new_vm(host)
    host.vm_power.on(vm)
    with pytest.raises(Timedout):
        host.maintenance.enter(timeout=0.01)
    waiting = threading.Thread(target=host.maintenance.enter)
    waiting.start()
    host.vm_power.off(vm)
    waiting.join(5)
    assert host.in_maintenance
    with pytest.raises(InvalidState):
        host.vm_power.on(vm)


def test_a_copy_takes_the_guests_writes_along(host: Host, volumes: Volumes) -> None:
    host.datastores.mount_nas(NAS, SHARE, "NAS")
    put_disk(host, "[NAS] images/golden.vmdk", size=64 << 20)
    source, target = (
        host.datastores.path_of("[NAS] images/golden.vmdk"),
        host.datastores.path_of("[NAS] images/copy.vmdk"),
    )
    (writes_of(source) / "upper").mkdir(parents=True)
    (writes_of(source) / "upper" / "file").write_text("kept")
    volumes.copy_disk(source, target, force=False, thin=True, label="s", target_label="t")
    assert (writes_of(target) / "upper" / "file").read_text() == "kept"
    assert flat_of(target).stat().st_blocks * 512 < 1 << 20
    extend(volumes, target, 128 << 20, label="t")
    assert volumes.capacity(target, label="t") == 128 << 20 == flat_of(target).stat().st_size
    volumes.delete_disk(target, label="t")
    assert sorted(path.name for path in target.parent.iterdir()) == ["golden-flat.vmdk", "golden.vmdk", "golden.vmdk.d"]
    with pytest.raises(FileNotFound):
        volumes.delete_disk(target, label="t")


def test_a_read_only_export_mounts_and_refuses_writes(host: Host, volumes: Volumes) -> None:
    host.datastores.mount_nas(NAS, SHARE, "NAS")
    volumes.nas.read_only = True
    with pytest.raises(ReadOnly, match="Read-only file system"):
        volumes.make_directory(host.datastores.path_of("[NAS] probe"), parents=False, label="[NAS] probe")


def test_a_new_disk_never_finds_the_writes_of_an_old_one(host: Host, volumes: Volumes) -> None:
    host.datastores.mount_nas(NAS, SHARE, "NAS")
    put_disk(host, "[NAS] cp1/cp1.vmdk")
    disk = host.datastores.path_of("[NAS] cp1/cp1.vmdk")
    for deleted in (flat_of(disk), disk):
        (writes_of(disk) / "upper").mkdir(parents=True)
        volumes.delete(deleted, label="x")
        assert not writes_of(disk).exists()


def test_nobody_meets_hostd_before_it_is_up(tmp_path: Path) -> None:
    """Asked without the lock, in the middle of a boot."""
    seen: list[bool] = []
    booting: list[Host] = []

    def clock() -> float:
        if booting:
            host = booting.pop()
            seen.append(host.power.reachable and host.power.api_ready)
            booting.append(host)
        return time.monotonic()

    volumes, timing = Volumes(tmp_path, Nas()), Timing(api_delay_seconds=60)
    model = MODELS["GB-BRi7-8550"]
    host = Host("b", "10.0.0.1", model, "root", "s", volumes=volumes, machines=Machines(), timing=timing, clock=clock)
    host.power.state = "down"
    booting.append(host)
    host.power.boot()
    booting.clear()
    assert seen == [False]
    assert not host.power.api_ready
