"""Whose stick is a copy: told by certificates and addresses, and never of a machine that only got another name."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from homelab.engine.plan import Plan
from homelab.engine.step import Node
from homelab.errors import HomelabError
from homelab.lab import EsxiHost, Lab
from homelab.ports.files.home import HomeFiles
from homelab.ports.vsphere import open_session
from homelab.rehearsal.guests.network import Loopback
from homelab.rehearsal.served_host import Lan, ServedHost
from homelab.rehearsal.state.machines import NoMachines
from homelab.rehearsal.storage.volumes import Volumes
from homelab.steps.hosts.usb_housekeeping import UsbHousekeeping
from tests.helpers.one_host import FAST, lab_of, plan, standing

STEP = (UsbHousekeeping(),)
TWIN = "shows the same certificate as"


def called(lab: Lab, name: str) -> Lab:
    """The same host under another name: an address when no inventory knew it."""
    return lab.model_copy(update={"esxi": (lab.esxi[0].model_copy(update={"name": name}),)})


def meet(host: EsxiHost, home: Path) -> list[str]:
    notes: list[str] = []
    with open_session(host, HomeFiles(home), notes.append):
        return notes


def refusal(planned: Plan, name: str = "brix3") -> HomelabError | None:
    return planned.failures.get(Node("usb-housekeeping", name))


@pytest.mark.parametrize("before", ["127.0.0.1", "brick3"])
def test_a_host_that_gets_another_name_is_no_copy_of_itself(tmp_path: Path, before: str) -> None:
    lab, home = lab_of(), tmp_path / "home"
    with standing(lab, tmp_path):
        meet(called(lab, before).esxi[0], home)
        assert refusal(plan(lab, home, STEP)) is None
        assert set(json.loads((home / "trust.json").read_text())) == {"brix3"}


def test_what_an_earlier_version_left_of_a_renamed_host_makes_no_copy(tmp_path: Path) -> None:
    lab, home = lab_of(), tmp_path / "home"
    with standing(lab, tmp_path):
        meet(lab.esxi[0], home)
        trust = home / "trust.json"
        row = {"certificate": json.loads(trust.read_text())["brix3"]["certificate"], "since": "2026-01-01T00:00:00Z"}
        trust.write_text(json.dumps({"brick3": row, "127.0.0.1": row, "brix3": row}))
        assert refusal(plan(lab, home, STEP)) is None


@contextmanager
def with_copy(lab: Lab, folder: Path) -> Iterator[tuple[EsxiHost, ServedHost]]:
    """A second host, which boots from a copy of the first one's stick."""
    other = lab_of("brix4").esxi[0]
    with standing(lab, folder) as first:
        served = ServedHost(other, Loopback(), Volumes(folder / "more"), NoMachines(), FAST, Lan.of_lab(lab))
        served.clone_stick_of(first)
        served.start()
        try:
            yield other, served
        finally:
            served.stop()


def test_a_copy_is_told_by_either_host(tmp_path: Path) -> None:
    lab, home = lab_of(), tmp_path / "home"
    with with_copy(lab, tmp_path) as (other, _):
        both = lab.model_copy(update={"esxi": (*lab.esxi, other)})
        meet(lab.esxi[0], home)
        [said] = meet(other, home)
        assert "shows the certificate that is pinned for brix3" in said
        planned = plan(both, home, STEP)
        for name in ("brix3", "brix4"):
            error = refusal(planned, name)
            assert error and TWIN in error.what


def test_a_copy_that_no_inventory_knows_counts_only_while_it_is_there(tmp_path: Path) -> None:
    lab, home = lab_of(), tmp_path / "home"
    with with_copy(lab, tmp_path) as (other, served):
        meet(other.model_copy(update={"name": "127.0.0.1"}), home)
        meet(lab.esxi[0], home)
        error = refusal(plan(lab, home, STEP))
        assert error and f"{TWIN} 127.0.0.1" in error.what
        served.stop()
        assert refusal(plan(lab, home, STEP)) is None
