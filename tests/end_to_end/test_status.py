"""`status` on the sample lab without guests: everything is told, in every form, also while a host is away."""

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from homelab.rehearsal.outside.launch import namespaces_possible
from homelab.rehearsal.outside.running_lab import find_running_lab
from tests.helpers.browser import browser, program
from tests.helpers.served import HOMELAB, Lab, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]
KEYS = ["hosts", "datastores", "vms", "balancers", "api_servers", "vip"]


def fault(lab: Lab, *words: str) -> None:
    subprocess.run([*HOMELAB, "rehearsal", "fault", *words], cwd=lab.folder, check=True, capture_output=True)


def status(lab: Lab, *options: str, away: tuple[str, ...] = ()) -> dict[str, Any]:
    """What is told; asked anew while a host has not answered in time only because this machine is busy."""
    told: dict[str, Any] = {}

    def as_expected() -> bool:
        done = lab.homelab("-o", "json", *options, "status")
        assert done.returncode == 0, done.stderr
        told.update(json.loads(done.stdout))
        return {row["name"] for row in told["hosts"] if not row["answers"]} == set(away)

    until(as_expected, 120, f"away are {away or 'none'}")
    return told


def asked(told: dict[str, Any], key: str) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in told[key]}


def test_a_bare_lab_is_told_whole_and_nothing_is_written(host_lab: Lab) -> None:
    told = status(host_lab)
    assert list(told) == KEYS
    hosts = asked(told, "hosts")
    assert {name: (row["answers"], row["version"]) for name, row in hosts.items()} == {
        "brix1": (True, "6.5.0"),
        "brix2": (True, "6.5.0"),
        "brix3": (True, "6.7.0"),
        "brix4": (True, "6.7.0"),
    }
    assert hosts["brix3"]["nics"] == [{"name": "vmnic0", "driver": "ne1000"}]
    assert {row["power"] for row in told["vms"]} == {"absent"}
    assert asked(told, "datastores")["nas"]["lacking"] == ["brix1", "brix2", "brix3", "brix4"]
    assert [row["problem"] for row in told["balancers"]] == [
        f"cannot be asked until VM {name} exists" for name in ("lb1", "lb2")
    ]
    assert [row["answer"] for row in told["api_servers"]] == ["its VM is absent"] * 3
    assert (told["vip"]["address"], told["vip"]["ready"], told["vip"]["holders"]) == ("192.168.2.100", False, [])
    one = status(host_lab, "-l", "brix1,cp1")
    assert [row["name"] for key in KEYS[:-1] for row in one[key]] == ["brix1", "nas", "cp1", "cp1"]
    for record in host_lab.folder.glob(".homelab/rehearsal/logs/*/record.jsonl"):
        lines = [json.loads(line) for line in record.read_text().splitlines()]
        assert not [line for line in lines if line["writes"] and line["kind"] != "file"]


@pytest.mark.thorough
def test_vms_are_told_on_their_hosts_in_every_form(host_lab: Lab) -> None:
    made = host_lab.homelab("--yes", "-o", "json", "bootstrap", "--until", "vm")
    assert made.returncode == 0, made.stderr
    [timeline] = host_lab.folder.glob(".homelab/rehearsal/logs/*/timeline.svg")
    assert timeline.stat().st_mode & 0o777 == 0o600
    drawn = {group.attrib["data-name"] for group in ElementTree.parse(timeline).iter("{http://www.w3.org/2000/svg}g")}
    assert {"plan", "reboot brix3", "image nas", "vm cp1", "vm lb2"} <= drawn
    told = status(host_lab)
    places = {row["name"]: row["host"] for row in told["vms"]}
    assert {row["power"] for row in told["vms"]} == {"on"}
    assert None not in places.values()
    assert asked(told, "datastores")["nas"]["hosts"] == ["brix1", "brix2", "brix3", "brix4"]
    plain = host_lab.homelab("status")
    assert plain.returncode == 0, plain.stderr
    lines = plain.stdout.splitlines()
    for vm, host in places.items():
        at = next(number for number, line in enumerate(lines) if line.startswith(f"{host}  on"))
        below = lines[at + 1 : lines.index("", at)]
        assert any(f"─ {vm}  on" in line or f"- {vm}  on" in line for line in below), (vm, below)
    picture = host_lab.homelab("status", "--svg", "lab.svg")
    assert (picture.returncode, picture.stdout) == (0, "")
    root = ElementTree.parse(host_lab.folder / "lab.svg")
    assert {"brix1", "cp1", "lb2", "nas"} <= {
        group.attrib["data-name"] for group in root.iter("{http://www.w3.org/2000/svg}g")
    }
    both = host_lab.homelab("status", "--svg", "x.svg", "--watch")
    assert both.returncode == 2
    assert "--svg and --watch at once" in both.stderr


@pytest.mark.thorough
def test_one_host_that_is_mute_is_away_with_its_reason_and_the_others_are_told(host_lab: Lab) -> None:
    status(host_lab)
    fault(host_lab, "api-mute@brix4")
    # How soon: test_status_figures.py.
    told = status(host_lab, away=("brix4",))
    hosts = asked(told, "hosts")
    assert [hosts[name]["answers"] for name in ("brix1", "brix2", "brix3", "brix4")] == [True, True, True, False]
    assert "no answer within" in hosts["brix4"]["problem"]
    assert {(row["power"], row["problem"]) for row in told["vms"]} == {("unknown", "brix4 cannot be asked")}
    assert asked(told, "datastores")["nas"]["unknown"] == ["brix4"]
    for name in ("brix1", "brix2", "brix3"):
        fault(host_lab, f"api-mute@{name}")
    nobody = host_lab.homelab("status")
    assert nobody.returncode == 1, nobody.stdout
    assert "Traceback" not in nobody.stderr


@pytest.mark.thorough
def test_a_lab_that_is_watched_tells_what_changes_until_ctrl_c(host_lab: Lab) -> None:
    with host_lab.begin("homelab", "status", "--watch") as process:
        assert process.stdout is not None
        lines = iter(process.stdout.readline, "")
        assert any(line.startswith("brix4  on") for line in lines)
        fault(host_lab, "api-mute@brix4")
        assert any("host brix4: on -> away" in line for line in lines)
        fault(host_lab, "--clear")
        assert any("host brix4: away -> on" in line for line in lines)
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
    # It may be asked for days: what only looks is not recorded.
    records = sorted(host_lab.folder.glob(".homelab/rehearsal/logs/*/record.jsonl"))
    assert not any('"kind": "soap"' in record.read_text() for record in records)


@contextmanager
def page(lab: Lab, *where: str) -> Iterator[str]:
    """The page's URL; it ends by SIGTERM, well."""
    with lab.begin("homelab", "-o", "json", "status", "--serve", *where) as process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())["url"]
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0


def test_the_page_shows_the_lab_to_who_asks_it_by_its_own_name(host_lab: Lab) -> None:
    with page(host_lab, "127.0.0.1:8499") as url:
        assert url == "http://127.0.0.1:8499/"
        told = host_lab.enter("curl", "-sS", f"{url}status.json")
        assert [row["answers"] for row in json.loads(told.stdout)["hosts"]] == [True] * 4
        shown = host_lab.enter("curl", "-sSi", url)
        assert "Content-Security-Policy: default-src 'none'" in shown.stdout
        password = host_lab.folder / ".homelab" / "rehearsal" / "passwords" / "brix1"
        assert password.read_text().strip() not in told.stdout + shown.stdout
        foreign = host_lab.enter("curl", "-sSi", "-H", "Host: evil.example:8499", f"{url}status.json")
        assert foreign.stdout.startswith("HTTP/1.0 421 ")
        assert host_lab.enter("curl", "-sSi", "-X", "POST", url).stdout.startswith("HTTP/1.0 405 ")
        taken = host_lab.homelab("status", "--serve", "127.0.0.1:8499")
        assert taken.returncode == 2
        assert "no page can be served there" in taken.stderr
    for wrong in ("8499", "example.org:8499", "127.0.0.1:99999", "::1:8499"):
        assert host_lab.homelab("status", "--serve", wrong).returncode == 2, wrong


@pytest.mark.thorough
@pytest.mark.skipif(
    program() is None or not namespaces_possible(), reason="no Chromium here, or no way to start it inside"
)
def test_the_page_in_a_browser_inside_of_the_lab(host_lab: Lab, tmp_path: Path) -> None:
    assert host_lab.homelab("--yes", "bootstrap", "--until", "nfs-datastore").returncode == 0
    running = find_running_lab(host_lab.folder / ".homelab")
    assert running is not None
    inside = ("nsenter", f"--target={running.leader}", "--net")
    state = "[...document.querySelectorAll('summary')].find((one) => /^brix4/.test(one.textContent))?.textContent"
    with page(host_lab) as url, browser(tmp_path, *inside) as chromium:
        for width, dark in ((1280, False), (390, True)):
            chromium.look_like(width, 800, dark=dark)
            chromium.open(url)
            chromium.until(f"{state} === 'brix4on'", "the host is shown")
            chromium.until("document.getElementById('timeline').naturalWidth > 0", "the last run is shown")
            assert chromium.overflow() == []
        fault(host_lab, "api-mute@brix4")
        chromium.until(f"{state} === 'brix4away'", "the host is away")
        assert chromium.overflow() == []
        chromium.picture(tmp_path / "page.png")
        assert chromium.complaints == []
        assert all(address.startswith(url) for address in chromium.requests)
