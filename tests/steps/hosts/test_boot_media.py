"""A host that has never answered is handed to a person, or waited for; the steps that need it wait too."""

import threading
from pathlib import Path

from homelab.engine.step import HandOver
from homelab.lab import Lab
from homelab.steps.hosts.boot_media import AwaitHost, BootMedia, BootMediaState, instructions
from homelab.steps.product import all_steps
from tests.helpers.one_host import HOST_STEPS, bring, lab_of, standing
from tests.helpers.sample import sample_lab

ISO = "../iso/VMware-VMvisor-Installer-6.7.0-8169922.x86_64.iso"


def lab() -> Lab:
    return sample_lab(esxi=[{"name": "brix3", "address": "192.168.2.13", "password": "x", "iso": ISO}])


def test_a_host_that_never_answered_is_handed_over_with_all_that_hands_need() -> None:
    [item] = BootMedia().plan(lab(), "brix3", BootMediaState(False, False, "No route to host"))
    assert isinstance(item, HandOver)
    for words in (
        "has never answered at 192.168.2.13 (No route to host)",
        "`homelab usb build brix3` makes brix3.img from VMware-VMvisor-Installer-6.7.0-8169922.x86_64.iso",
        "`homelab usb write brix3 DEVICE`",
        "rear USB port",
        "F12",
        "grey and yellow console with 192.168.2.13",
        "check its cable and ansible_host",
    ):
        assert words in item.do


def test_a_host_that_answers_or_did_so_once_needs_no_stick() -> None:
    assert list(BootMedia().plan(lab(), "brix3", BootMediaState(True, False))) == []
    assert list(BootMedia().plan(lab(), "brix3", BootMediaState(False, True, "silent"))) == []


def test_without_an_iso_a_host_is_expected_to_run() -> None:
    assert list(BootMedia().targets(sample_lab())) == []
    assert list(BootMedia().targets(lab())) == ["brix3"]


def test_when_told_to_wait_the_hand_over_becomes_a_wait() -> None:
    [item] = BootMedia(60).plan(lab(), "brix3", BootMediaState(False, False, "silent"))
    assert item == AwaitHost("brix3", "192.168.2.13", instructions(lab().esxi[0], "silent"), 60)


def test_nothing_else_fails_while_a_person_is_needed(tmp_path: Path) -> None:
    ended = bring(
        lab_of(iso=ISO), tmp_path / "home", tuple(s for s in all_steps() if s.name in (*HOST_STEPS, "boot-media"))
    )
    assert (ended.counts.failed, ended.counts.handed_over) == (0, 1)
    assert ended.counts.blocked == len(HOST_STEPS) - 1  # the sample host has no local datastore
    assert not ended.plan.failures
    assert [item for _, item in ended.plan.of(HandOver)]


def test_bootstrap_goes_on_by_itself_when_the_host_answers(tmp_path: Path) -> None:
    here = lab_of(iso=ISO)
    with standing(here, tmp_path) as served:
        served.host.power.shut_down()
        with served.host.changed:
            assert served.host.changed.wait_for(lambda: served.host.power.state == "down", 5)
        steps = tuple(step for step in all_steps(wait=30) if step.name in (*HOST_STEPS, "boot-media"))
        switched_on = threading.Timer(1.0, served.host.power.press_button)
        switched_on.start()
        ended = bring(here, tmp_path / "home", steps)
        switched_on.join()
    assert not ended.counts.failed + ended.counts.handed_over + ended.counts.blocked, ended.events
    waits = ended.said("waiting", "boot-media")
    assert "answers at 127.0.0.1 for the first time" in waits[0]["for"]
    assert served.host.nics[0].driver == "e1000e"


def test_a_wait_that_nobody_ended_is_a_hand_over(tmp_path: Path) -> None:
    ended = bring(lab_of(iso=ISO), tmp_path / "home", (BootMedia(1),))
    [handed] = ended.said("hand_over", "boot-media")
    assert "waited 1 s for: brix3 answers at 127.0.0.1 for the first time" in handed["do"]
    assert "`homelab usb build brix3`" in handed["do"]
