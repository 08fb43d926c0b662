"""`homelab lb` where no balancer stands yet: what cannot be asked is told, and nothing is guessed."""

import json
import signal
import subprocess

import pytest

from tests.helpers.served import HOMELAB, Lab, events

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


def watched(lab: Lab) -> dict[str, object]:
    """The second document of `--watch`, which Ctrl-C then ends."""
    command = [*HOMELAB, "rehearsal", "enter", "--", "homelab", "-o", "json", "lb", "status", "--watch"]
    with subprocess.Popen(command, cwd=lab.folder, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        second = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
    return dict(json.loads(second))


@pytest.mark.thorough
def test_balancers_that_do_not_exist_are_away_and_a_drain_is_work_left_undone(host_lab: Lab) -> None:
    status = host_lab.homelab("-o", "json", "lb", "status")
    assert status.returncode == 1, status.stderr
    told = json.loads(status.stdout)
    assert told["servers"] == []
    assert [(row["name"], row["answers"], row["problem"]) for row in told["balancers"]] == [
        (name, False, f"cannot be asked until VM {name} exists") for name in ("lb1", "lb2")
    ]
    plain = host_lab.homelab("lb", "status")
    assert plain.returncode == 1
    assert plain.stdout.splitlines()[1].split()[:4] == ["lb1", "-", "haproxy", "-"]
    drain = host_lab.homelab("-o", "json", "lb", "drain", "cp1")
    assert drain.returncode == 1
    blocked = [(e["target"], e["until"]) for e in events(drain.stdout) if e["event"] == "blocked"]
    assert sorted(blocked) == [("lb1", "VM lb1 exists"), ("lb2", "VM lb2 exists")]
    unknown = host_lab.homelab("lb", "drain", "CP11")
    assert unknown.returncode == 2
    assert "Did you mean cp1?" in unknown.stderr
    assert host_lab.homelab("lb", "drain", "lb1").returncode == 2
    assert watched(host_lab) == told
    nothing = host_lab.homelab("-l", "brix1", "lb", "status", "--watch")
    assert (nothing.returncode, nothing.stdout) == (0, "")
    assert "no balancer" in nothing.stderr
