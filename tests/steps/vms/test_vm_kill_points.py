"""A run that makes a VM and is killed at any of its writes is completed by the next one, and touches nobody's files.

The NAS belongs to others too: another lab with VMs, images and a half-made VM on it, and files in and beside folders.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from pyVmomi import vim

from homelab.lab import Lab
from homelab.rehearsal.state.settings import AutoStartDefaults
from tests.helpers.checkout import ROOT
from tests.helpers.one_host import bring
from tests.helpers.vm_lab import NOTE, VM_STEPS, HostsOnNas, hosts_on_nas, make_free, plain, steps, tree, vm_lab

# How the hosts are written to: over the API, where the licence lets that only read over SSH, or over the API with a
# linked VM, or with a seed in the VM's own settings.
WAYS = ("api", "ssh", "linked", "guestinfo")
OTHERS = (
    "cp1.txt",
    NOTE,
    "cp1-old/cp1.vmdk",
    "cp1-old/seed.iso",
    "cp11/cp1-flat.vmdk",
    "isos/rescue.iso",
    "homelab/readme.txt",
    "homelab/homelab/images/notes.txt",
    "homelab/homelab/hosts/brix3/scratch.log",
)

# A host writes both when it switches the VM on.
WRITTEN_ANEW = ("cp1.vmx", "cp1.vmdk")


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def lab_of(folder: Path, way: str = "api") -> Lab:
    lab = vm_lab(folder, hosts=("brix3", "brix4"), host="brix3", clone="linked" if way == "linked" else "thin")
    seeded = [vm.model_copy(update={"seed": "guestinfo"}) for vm in lab.control_plane]
    return lab.model_copy(update={"control_plane": tuple(seeded)}) if way == "guestinfo" else lab


def settle_others(at: HostsOnNas, way: str = "api") -> None:
    """What other people have on the NAS and on the hosts; then each host gets its licence."""
    for name in OTHERS:
        at.put(name, f"somebody's {name}".encode())
    annex = vm_lab(at.home.parent / "annex", vms=("cp10", "cp"), host="brix4")
    good, bad = annex.control_plane
    bad = bad.model_copy(update={"network": "No Such Network"})
    annex = annex.model_copy(update={"name": "annex", "esxi": at.lab.esxi, "control_plane": (good, bad)})
    ended = bring(annex, at.home.parent / "annex" / "home", steps(*VM_STEPS))
    assert [event["what"] for event in ended.said("failed", "vm")], ended.events
    assert (at.nas / "cp" / NOTE).exists()
    assert (at.nas / "cp10/cp10.vmx").exists()
    marks = [
        vim.option.OptionValue(key=f"homelab.{key}", value=value) for key, value in (("lab", "annex"), ("name", "cp1"))
    ]
    files = vim.vm.FileInfo(vmPathName="[nas] annex-cp1/cp1.vmx")
    with at.session("brix4") as session:
        spec = vim.vm.ConfigSpec(name="cp1", memoryMB=64, files=files, extraConfig=marks)
        pool = session.managed(vim.ResourcePool, "ha-root-pool")
        at.run(session.managed(vim.Folder, "ha-folder-vm").CreateVM_Task(spec, pool))
    for served in at.served_hosts.values() if way == "ssh" else ():
        make_free(served.host)


def of_others(at: HostsOnNas) -> dict[str, str]:
    """Every file on the NAS that is not ours, hashed; and every folder of others."""
    ends = ("", "-flat", *(f"-1g{end}" for end in ("", "-flat", ".part", ".part-flat")))
    return tree(at.nas, "cp1", *(f"homelab/homelab/images/{at.lab.image.sha256}{end}.vmdk" for end in ends))


def run(
    at: HostsOnNas, number: int = 0, moment: str = "after", lab: Lab | None = None, to: str = ""
) -> tuple[int, dict[str, object]]:
    """A run in a process of its own, killed at one of its writes (0: at none): its status, and what it said."""
    spec = at.home.parent / "lab.json"
    spec.write_text(json.dumps(plain(lab or at.lab)))
    command = [sys.executable, "-m", "tests.helpers.vm_lab", str(spec), str(at.home), str(number), moment]
    command += [to] if to else []
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode in (0, -9), done.stderr
    return done.returncode, json.loads(done.stdout) if done.returncode == 0 else {}


def writes_of_a_whole_run(folder: Path, way: str) -> list[str]:
    """What a run writes, from its record."""
    lab = lab_of(folder, way)
    with hosts_on_nas(lab, folder, free=way == "ssh") as at:
        at.bring(*VM_STEPS)
    return _recorded(folder / "home")


def writes_of_a_whole_end(folder: Path, way: str) -> list[str]:
    """What a run writes that destroys the VM, from its record."""
    lab = lab_of(folder, way)
    with hosts_on_nas(lab, folder, free=way == "ssh") as at:
        at.bring(*VM_STEPS)
        shutil.rmtree(folder / "home")
        at.put("homelab/homelab/images/notes.txt")  # the folder of the images stays, as beside the others' files
        at.bring(*VM_STEPS, lab=lab.wanting("absent", ["cp1"]))
    return _recorded(folder / "home")


def _recorded(home: Path) -> list[str]:
    [path] = [path for path in home.glob("logs/*/record.jsonl") if '"counts"' in path.read_text()]
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return [f"{line['kind']} {line['what']}" for line in lines if line.get("writes") and "what" in line]


def converges(at: HostsOnNas, number: int, moment: str, *, stranger: bool) -> None:
    """Kill at one write, run again, and look. A stranger's file comes into the VM's folder in between."""
    before = of_others(at)
    killed, _ = run(at, number, moment)
    assert killed == -9
    assert of_others(at) == before
    if stranger:
        meet_a_stranger(at)
    status, said = run(at)
    assert (status, said["failed"]) == (0, []), said
    assert not any(said["left"].values())  # type: ignore[attr-defined]
    assert of_others(at) == before
    whole(at)


def start_over(at: HostsOnNas) -> None:
    """The owner destroys the VM, its image and what the laptop knows; the others stay."""
    [vm] = at.host("brix3").registered_vms.values()
    at.host("brix3").vm_power.off(vm)
    at.host("brix3").vms.destroy(vm)
    (at.nas / "cp1/seed.iso").unlink()
    (at.nas / "cp1").rmdir()
    for file in (at.nas / "homelab/homelab/images").glob("*.vmdk"):
        file.unlink()
    at.host("brix3").settings.autostart_defaults = AutoStartDefaults()
    shutil.rmtree(at.home)


def meet_a_stranger(at: HostsOnNas) -> None:
    """A file of somebody's in the folder: it is named and left, with all that is there, or the VM is there already."""
    file = at.put("cp1/thesis.odt")
    at.come_to_rest()
    before = tree(at.nas)
    _, said = run(at)
    if said["failed"]:
        assert "thesis.odt" in str(said["failed"])
        # The image may have come meanwhile; what was there is as it was.
        now = tree(at.nas)
        assert {name: now.get(name) for name in before if "/images/" not in name} == {
            name: digest for name, digest in before.items() if "/images/" not in name
        }
    assert file.read_bytes() == b"mine\n"
    file.unlink()


def whole(at: HostsOnNas) -> None:
    """One VM of ours, on, with its own files and no note."""
    [vm] = at.host("brix3").registered_vms.values()
    assert (vm.name, vm.powered_on) == ("cp1", True)
    linked = at.lab.vm("cp1").clone == "linked"
    assert sorted(path.name for path in (at.nas / "cp1").iterdir() if path.is_file()) == [
        "cp1-delta.vmdk" if linked else "cp1-flat.vmdk",
        "cp1.vmdk",
        "cp1.vmx",
        "seed.iso",
    ]
    data = f"homelab/homelab/images/{at.lab.image.sha256}-1g-flat.vmdk" if linked else "cp1/cp1-flat.vmdk"
    assert (at.nas / data).stat().st_size == 1 << 30


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("way", "write"),
    [
        pytest.param("api", "PUT [nas] cp1/.homelab-being-made", marks=pytest.mark.thorough),
        ("api", "CreateVM_Task"),
        pytest.param("ssh", "PUT /vmfs/volumes/nas/cp1/.homelab-being-made", marks=pytest.mark.thorough),
        pytest.param("ssh", "PUT /vmfs/volumes/nas/cp1/cp1.vmx", marks=pytest.mark.thorough),
        pytest.param("linked", "CopyVirtualDisk_Task", marks=pytest.mark.thorough),
        pytest.param("linked", "CreateVM_Task", marks=pytest.mark.thorough),
    ],
)
def test_a_run_that_is_killed_while_it_makes_a_vm_is_completed_and_costs_nobody_a_file(
    tmp_path: Path, way: str, write: str
) -> None:
    writes = writes_of_a_whole_run(tmp_path / "whole", way)
    number = 1 + next(n for n, what in enumerate(writes) if write in what)
    with hosts_on_nas(lab_of(tmp_path, way), tmp_path) as at:
        settle_others(at, way)
        converges(at, number, "after", stranger=".homelab-being-made" in write)


@pytest.mark.thorough
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("moment", "stranger"), [("before", False), ("after", False), ("after", True)])
def test_a_run_that_is_killed_at_any_write_is_completed_and_costs_nobody_a_file(
    tmp_path: Path, way: str, moment: str, stranger: bool
) -> None:
    writes = writes_of_a_whole_run(tmp_path / "whole", way)
    assert 10 < len(writes) < 30, writes
    with hosts_on_nas(lab_of(tmp_path, way), tmp_path) as at:
        settle_others(at, way)
        for number, _ in enumerate(writes, start=1):
            converges(at, number, moment, stranger=stranger)
            start_over(at)


def ends(at: HostsOnNas, number: int, moment: str) -> None:
    """Kill a run that destroys the VM at one of its writes, run again, and look."""
    before, absent = of_others(at), at.lab.wanting("absent", ["cp1"])
    shutil.rmtree(at.home)  # so that the writes are those of the whole run
    killed, _ = run(at, number, moment, absent)
    assert killed == -9
    at.come_to_rest()
    assert of_others(at) == before
    status, said = run(at, lab=absent)
    assert (status, said["failed"]) == (0, []), said
    assert not any(said["left"].values())  # type: ignore[attr-defined]
    assert of_others(at) == before
    assert not at.host("brix3").registered_vms
    # An empty folder is not known to be ours; the next VM of the name takes it.
    assert not tree(at.nas / "cp1")


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("way", "write"),
    [
        pytest.param("api", "UnregisterVM", marks=pytest.mark.thorough),
        ("api", "DeleteVirtualDisk_Task"),
        pytest.param("ssh", "vmsvc/unregister", marks=pytest.mark.thorough),
        pytest.param("ssh", "vmkfstools -U", marks=pytest.mark.thorough),
        pytest.param("linked", "DeleteDatastoreFile_Task", marks=pytest.mark.thorough),
    ],
)
def test_a_run_that_is_killed_while_it_destroys_a_vm_is_completed_and_costs_nobody_a_file(
    tmp_path: Path, way: str, write: str
) -> None:
    writes = writes_of_a_whole_end(tmp_path / "whole", way)
    number = 1 + next(n for n, what in enumerate(writes) if write in what)
    with hosts_on_nas(lab_of(tmp_path, way), tmp_path) as at:
        settle_others(at, way)
        assert not at.bring(*VM_STEPS).counts.failed
        ends(at, number, "after")


@pytest.mark.thorough
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_run_that_is_killed_at_any_write_of_a_destruction_is_completed(tmp_path: Path, way: str, moment: str) -> None:
    writes = writes_of_a_whole_end(tmp_path / "whole", way)
    assert 5 < len(writes) < 30, writes
    with hosts_on_nas(lab_of(tmp_path, way), tmp_path) as at:
        settle_others(at, way)
        for number, _ in enumerate(writes, start=1):
            assert not at.bring(*VM_STEPS).counts.failed
            ends(at, number, moment)


def moves(at: HostsOnNas, number: int, moment: str, source: str, to: str) -> None:
    """Kill a move at one of its writes, run again, and look: the VM is on one host, with all that it had."""
    before, own = of_others(at), tree(at.nas / "cp1", *WRITTEN_ANEW)
    shutil.rmtree(at.home)
    killed, _ = run(at, number, moment, to=to)
    assert killed == -9
    at.come_to_rest()
    assert of_others(at) == before
    status, said = run(at, to=to)
    assert (status, said["failed"]) == (0, []), said
    assert of_others(at) == before
    assert not [vm for vm in at.host(source).registered_vms.values() if vm.name == "cp1" and "annex" not in vm.vmx_path]
    assert not at.bring("vm").counts.failed  # one that was off already when the run was killed is switched on
    [vm] = [vm for vm in at.host(to).registered_vms.values() if vm.vmx_path == "[nas] cp1/cp1.vmx"]
    assert vm.powered_on
    assert tree(at.nas / "cp1", *WRITTEN_ANEW) == own


def writes_of_a_whole_move(folder: Path) -> list[str]:
    lab = vm_lab(folder, hosts=("brix3", "brix5"), host="brix3")
    with hosts_on_nas(lab, folder) as at:
        at.bring(*VM_STEPS)
        shutil.rmtree(folder / "home")
        run(at, to="brix5")
    return _recorded(folder / "home")


@pytest.mark.timeout(3000)
@pytest.mark.parametrize(
    ("moment", "writes"),
    [
        ("after", ["UnregisterVM"]),
        pytest.param("before", [""], marks=pytest.mark.thorough),
        pytest.param("after", [""], marks=pytest.mark.thorough),
    ],
)
def test_a_move_that_is_killed_is_completed_and_costs_nobody_a_file(
    tmp_path: Path, moment: str, writes: list[str]
) -> None:
    whole = writes_of_a_whole_move(tmp_path / "whole")
    assert 3 < len(whole) < 20, whole
    lab = vm_lab(tmp_path, hosts=("brix3", "brix4", "brix5"), host="brix3")
    with hosts_on_nas(lab, tmp_path) as at:
        settle_others(at, "api")
        assert not at.bring(*VM_STEPS).counts.failed
        source, to = "brix3", "brix5"
        for number, what in enumerate(whole, start=1):
            if any(one in what for one in writes):
                moves(at, number, moment, source, to)
                source, to = to, source
