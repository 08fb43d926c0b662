"""What a machine has before something large is begun there, and what is refused for it."""

import time
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.one_role import CAN_RUN, OneRole

from .conftest import library

room = library("room")
# Of a Raspberry Pi 4 with 2 GB.
MEMINFO = "MemTotal:        1892332 kB\nMemFree:          102024 kB\n"
here = pytest.mark.skipif(not CAN_RUN, reason="needs root and a mount namespace of its own")


def test_memory_is_what_the_kernel_has() -> None:
    assert room.memory_mib(MEMINFO) == 1847


def test_of_a_folder_that_is_not_there_the_one_above_counts(tmp_path: Path) -> None:
    assert room.nearest(tmp_path / "var" / "lib" / "containerd") == tmp_path


def said(machine: OneRole, **variables: Any) -> str:
    done = machine.run(**variables)
    assert "Traceback" not in done.stdout + done.stderr
    return " ".join((done.stdout + done.stderr).split())


@pytest.mark.thorough
@here
def test_a_clock_that_goes_wrong_is_named_with_how_far(tmp_path: Path) -> None:
    machine = OneRole(tmp_path / "machine", "kubernetes_node", "clock.yml")
    assert "failed=0" in said(machine)
    # The machine's own clock is right here, so it is the other one's that is an hour behind.
    role = tmp_path / "machine" / "playbooks" / "roles" / "kubernetes_node" / "tasks" / "clock.yml"
    role.write_text(role.read_text().replace("now().timestamp()", f"{time.time() - 3600}"))
    assert "The clock of here is 360" in said(machine)


@pytest.mark.thorough
@here
@pytest.mark.parametrize(
    ("role", "tasks", "variables", "sentence"),
    [
        (
            "kubernetes_node",
            "disk.yml",
            {"kubernetes_node_free_mib": 10**9},
            "MiB left on the disk of /var/lib, and programs",
        ),
        ("control_plane", "room.yml", {"control_plane_memory_mib": 10**9}, "MiB of memory, and needs 1000000000"),
        ("control_plane", "room.yml", {"control_plane_cpus": 10**4}, "processor, and needs 10000"),
    ],
)
def test_too_little_of_something_is_refused_before_kubeadm_does(
    tmp_path: Path, role: str, tasks: str, variables: dict[str, Any], sentence: str
) -> None:
    machine = OneRole(tmp_path / "machine", role, tasks)
    assert sentence in said(machine, **variables)


@pytest.mark.thorough
@here
def test_what_kubeadm_is_told_to_pass_over_is_passed_over(tmp_path: Path) -> None:
    machine = OneRole(tmp_path / "machine", "control_plane", "room.yml")
    little = {"control_plane_memory_mib": 10**9, "control_plane_cpus": 10**4}
    assert "failed=0" in said(machine, **little, control_plane_ignored_preflight_errors=["Mem", "NumCPU"])
