"""The guards at the act: what changed after the last look is seen through what is opened for writing, and left."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from homelab.errors import Refused, UsageError
from homelab.lab import EsxiHost, no_lab
from homelab.ports.media.download import Progress
from homelab.ports.media.qemu import Emulator
from homelab.ports.media.this_machine import ShortRun, ThisMachine
from homelab.steps.sticks.build import UsbBuild
from homelab.steps.sticks.driver_fix import StickDriverFix
from homelab.steps.sticks.install import InstallState, UsbInstall
from homelab.steps.sticks.source import Request
from homelab.steps.sticks.write import UsbWrite
from tests.helpers import signature_tools as heads
from tests.helpers.esxi_iso import esxi_files, write_iso
from tests.helpers.sample import sample_lab
from tests.helpers.stick_tools import SMALL, SMALL_SIZE, boot_cfg, digest, installed, installer
from tests.helpers.sysfs_tools import Machine

GB = 10**9
LAB = no_lab()


@dataclass
class Heard:
    """What a person would have been told."""

    said: list[str] = field(default_factory=list)
    verbose: bool = False

    def show(self, text: str) -> None:
        self.said.append(text)

    warn = trace = show

    def progress(self, sentence: str) -> AbstractContextManager[Progress]:
        return nullcontext(lambda done, total: None)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    lab = Machine(tmp_path)
    lab.disk("sdb", 8 * GB, parts=1, diskseq="7")
    installer(tmp_path / "brix3.img")
    return lab


def world_of(machine: Machine) -> tuple[ThisMachine, Heard]:
    heard = Heard()
    return ThisMachine(machine.disks, ShortRun(heard)), heard


def something_on_it(machine: Machine) -> None:
    heads.put(machine.node("sdb1"), 0, b"x" * 512)


def another_image(machine: Machine) -> None:
    installer(machine.root / "other.img", "6.5.0-4564106").replace(machine.root / "brix3.img")


def plugged_in_anew(machine: Machine) -> None:
    (machine.root / "sys/block/sdb/diskseq").write_text("8\n")


def mounted(machine: Machine) -> None:
    machine.mount("8:17", "/media/me/STICK")
    assert machine.disks


@pytest.mark.parametrize(
    ("happens", "said", "shown"),
    [
        (something_on_it, "what is on it is not what was shown any more; nothing was written", "on it: sdb1"),
        (another_image, "the image is not what was shown any more; nothing was written", "ESXi 6.5.0-4564106"),
        (plugged_in_anew, "sdb was plugged in anew", ""),
        (mounted, "sdb1 is mounted at /media/me/STICK", ""),
    ],
)
def test_a_stick_that_changed_after_the_last_look_is_not_written(
    machine: Machine, happens: Callable[[Machine], None], said: str, shown: str
) -> None:
    world, heard = world_of(machine)
    step = UsbWrite("brix3", "sdb", machine.root / "brix3.img")
    [change] = step.plan(LAB, "brix3", step.observe(world, LAB, "brix3"))
    happens(machine)
    before = digest(machine.node("sdb"))
    with pytest.raises(Refused, match=said):
        step.apply(world, change)
    assert digest(machine.node("sdb")) == before
    assert any(shown in text for text in heard.said) if shown else not heard.said


def test_a_disk_that_must_not_be_written_is_not_even_opened(machine: Machine) -> None:
    world, _ = world_of(machine)
    machine.mount("8:16", "/")
    assert machine.disks
    machine.node("sdb").unlink()
    step = UsbWrite("brix3", "sdb", machine.root / "brix3.img")
    found = step.observe(world, LAB, "brix3")
    assert found.contents is None
    with pytest.raises(Refused, match="sdb is a system disk"):
        step.plan(LAB, "brix3", found)


def test_a_name_stays_with_the_disk_that_had_it_first(machine: Machine) -> None:
    world, _ = world_of(machine)
    assert world.disk("sdb") == world.disk("sdb")
    (machine.root / "sys/block/sdb/device/model").write_text("Backup Disk\n")
    with pytest.raises(Refused, match="sdb is another disk now"):
        world.disk("sdb")
    (machine.root / "sys/block/sdb").unlink()
    with pytest.raises(Refused, match="sdb is gone"):
        world.disk("sdb")


@pytest.mark.parametrize(
    "text", [boot_cfg(updated=4, options="gdbPort=none"), boot_cfg("6.5.0-4564106", updated=9)], ids=["text", "build"]
)
def test_a_boot_cfg_that_changed_after_the_last_look_is_not_written(machine: Machine, text: bytes) -> None:
    world, heard = world_of(machine)
    stick = installed(machine.root / "stick.img", {5: boot_cfg(updated=4), 6: None})
    step = StickDriverFix("brix3", str(stick), undo=False)
    [change] = step.plan(LAB, "brix3", step.observe(world, LAB, "brix3"))
    before = digest(installed(stick, {5: text, 6: None}))
    with pytest.raises(Refused, match="the stick is not as it was shown any more; nothing was written"):
        step.apply(world, change)
    assert digest(stick) == before
    assert "appends preferVmklinux=TRUE to kernelopt= of boot.cfg" in heard.said[0]


def test_a_stick_that_was_mended_needs_nothing(machine: Machine) -> None:
    world, _ = world_of(machine)
    stick = installed(machine.root / "stick.img", {5: boot_cfg(), 6: None})
    step = StickDriverFix("brix3", str(stick), undo=False)
    [change] = step.plan(LAB, "brix3", step.observe(world, LAB, "brix3"))
    step.apply(world, change)
    assert step.plan(LAB, "brix3", step.observe(world, LAB, "brix3")) == []


def test_no_image_is_built_from_an_iso_that_changed_after_the_last_look(machine: Machine) -> None:
    world, _ = world_of(machine)
    iso = write_iso(machine.root / "esxi.iso", esxi_files())
    host = {"name": "brix3", "address": "192.168.2.13", "password": "geheim", "iso": str(iso), "board": "GB-BRi7-8550"}
    lab = sample_lab(esxi=[EsxiHost.model_validate(host)])
    step = UsbBuild(Request("brix3", (machine.root,)), machine.root / "new.img")
    [change] = step.plan(lab, "brix3", step.observe(world, lab, "brix3"))
    assert "rootpw" not in repr(change)
    iso.unlink()
    write_iso(iso, esxi_files(loader=b"MZ another"))
    with pytest.raises(Refused, match="the ISO was changed meanwhile; nothing was written"):
        step.apply(world, change)
    assert not list(machine.root.glob("*new.img*"))


def test_nothing_is_installed_from_an_image_that_changed_after_the_last_look(machine: Machine) -> None:
    world, _ = world_of(machine)
    step = UsbInstall("brix3", machine.root / "whole.img", machine.root / "brix3.img")
    emulator = Emulator("/nowhere/qemu", Path("code"), Path("variables"), "kvm")
    found = step.observe(world, LAB, "brix3")
    [change] = step.plan(LAB, "brix3", InstallState(found.image, emulator))
    another_image(machine)
    with pytest.raises(Refused, match="the image was changed meanwhile; nothing was made"):
        step.apply(world, change)
    assert not list(machine.root.glob("whole.img*"))


def test_what_cannot_be_installed_is_told_before_what_is_not_here_to_do_it(machine: Machine) -> None:
    world, _ = world_of(machine)
    image = installed(machine.root / "old.img", {5: boot_cfg(), 6: None}, SMALL_SIZE, SMALL)
    step = UsbInstall("brix3", machine.root / "whole.img", image)
    found = InstallState(step.observe(world, LAB, "brix3").image, UsageError("no QEMU", where="PATH", advice="get it"))
    with pytest.raises(UsageError, match="installed on this image already"):
        step.plan(LAB, "brix3", found)
