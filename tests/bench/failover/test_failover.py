"""The failover bench: what it counts, its gates, its page and its chart; and one fault on one lab, in short."""

import json
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

import pytest

from homelab.ports.files.data import data_folder
from tests.bench.failover import chart, report, root
from tests.bench.failover.bench import Plan, Run, disturbed, read_run, sentence, warm_up_seconds
from tests.bench.failover.configurations import configurations
from tests.bench.failover.faults import FAULTS
from tests.bench.failover.gates import GATES, WORDS, Gate, verdicts
from tests.bench.failover.measures import Cell, Figures, Seen, as_json, figures, from_json
from tests.bench.failover.ours import DROP_IN_RESTART_SECONDS, UNIT_RESTART_SECONDS
from tests.bench.failover.places import LIGHT, SICK
from tests.bench.failover.services import parse_show_stat
from tests.helpers.api_server import lacks
from tests.helpers.checkout import ROOT

GOOD = Figures(
    requests=850, lost=0, slow=0, cut=0, down=1.5, watch_gap=1.1, gap=0.1, up=None, settled=None, silent=70.0, last=0.0,
    light=0.1, before=0,
)  # fmt: skip
# What HAProxy 2.6 answers to `show stat`, shortened to a few columns.
SHOW_STAT = """\
# pxname,svname,qcur,status,weight,
api-servers,k8s-master1,0,UP,1,
api-servers,k8s-master2,0,DOWN 1/2,1,
api-servers,k8s-master3,0,UP 1/3,1,
status,FRONTEND,,OPEN,,
"""


def seen(requests: list[list[object]], watches: list[list[float]] = [], whole: float | None = None) -> Seen:  # noqa: B006
    """Clients' notes around a fault that begins at 100 and is watched until 120."""
    return Seen({"requests": requests, "watches": watches, "silent": []}, [], 100.0, 120.0, 100.01, whole)


def test_requests_are_counted_by_when_they_were_sent() -> None:
    found = figures(
        seen(
            [
                [90.0, 90.1, "", LIGHT],
                [99.0, 100.5, "reset", ""],
                [100.005, 100.012, "reset", ""],
                [101.0, 101.1, "", LIGHT],
                [102.0, 112.0, "TimeoutError", ""],
                [103.0, 104.5, "", SICK],
                [121.0, 121.1, "refused", ""],
            ]
        )
    )
    assert (found.requests, found.lost, found.slow, found.cut, found.before) == (3, 1, 1, 2, 0)
    assert found.last == 2.0
    assert found.light == 0.5


def test_what_was_lost_before_the_fault_is_told() -> None:
    assert figures(seen([[90.0, 90.1, "reset", ""]])).before == 1


def test_a_watch_gap_reaches_over_the_fault_and_to_the_end() -> None:
    assert figures(seen([], [[97.0, 99.0, 104.0, 105.0, 119.5]])).watch_gap == 14.5
    assert figures(seen([], [[98.0, 99.0, 100.5, 101.0]])).watch_gap == 19.0
    # One that was silent before the fault and well after it is no matter of the fault.
    assert figures(seen([], [[10.0, 99.5, *range(100, 121)]])).watch_gap == 1.0


def test_from_all_down_it_counts_from_when_all_were_back() -> None:
    rows: list[list[object]] = [[101.0, 101.1, "refused", ""], [111.0, 111.1, "refused", ""], [112.0, 112.2, "", SICK]]
    found = figures(seen(rows, whole=110.0))
    assert found.up == pytest.approx(2.2)
    assert found.settled == pytest.approx(1.0)


def test_taken_for_down_counts_from_the_fault() -> None:
    polls = [(99.0, [SICK]), (99.5, []), (101.6, [SICK])]
    assert figures(replace(seen([]), polls=polls)).down == pytest.approx(1.6)
    assert figures(seen([])).down is None
    # A change is told once: who was down before and is not told to be up is down when it begins.
    assert figures(replace(seen([]), polls=[(90.0, []), (99.0, [SICK])])).down == 0.0


def test_never_is_the_worst_that_can_be() -> None:
    cell = Cell((replace(GOOD, down=1.0), replace(GOOD, down=None), replace(GOOD, down=2.0)))
    assert (cell.median("down"), cell.worst("down")) == (2.0, None)


def test_a_run_comes_back_from_json() -> None:
    run = replace(GOOD, gap=0.12345, up=2.0)
    assert from_json(json.loads(json.dumps(as_json(run)))) == replace(run, gap=0.123)


@pytest.mark.parametrize(
    ("gate", "runs", "wrong"),
    [
        (Gate("lost", most=0, worst=0), [0, 0, 0], None),
        (Gate("lost", most=0, worst=0), [0, 0, 1], "requests lost, worst run: 1, must be at most 0"),
        (Gate("lost", most=2), [2, 2, 9], None),
        (Gate("lost", most=2), [2, 3, 9], "requests lost: 3, must be at most 2"),
        (Gate("down", most=4.0), [None, None, 1], "seconds until it is taken for down: never, must be at most 4"),
        (Gate("down", never=True), [None, None, None], None),
        (Gate("down", never=True), [None, None, 3.0], "seconds until it is taken for down: must never be"),
        (Gate("light", least=0.08, most=0.12), [0.05, 0.05, 0.1], "at least 0.08, at most 0.12"),
    ],
)
def test_a_gate_is_met_or_says_what_is_wrong(gate: Gate, runs: list[float | None], wrong: str | None) -> None:
    cell = Cell(tuple(replace(GOOD, **{gate.figure: value}) for value in runs))  # type: ignore[arg-type]
    missed = gate.missed(cell)
    assert (missed is None) if wrong is None else (missed is not None and wrong in missed)


def test_every_gate_is_of_a_fault_and_a_figure_that_there_are() -> None:
    for row in GATES.values():
        assert set(row) <= set(FAULTS)
        assert {gate.figure for gates in row.values() for gate in gates} <= set(WORDS)


def test_every_one_of_ours_has_gates() -> None:
    assert {each.gates for each in configurations().values() if each.name.startswith("ours")} <= set(GATES)
    assert not [name for name, each in configurations().items() if each.gates and not name.startswith("ours")]


@pytest.mark.parametrize(
    ("unit", "seconds"),
    [
        ("haproxy/files/drop-in.conf", DROP_IN_RESTART_SECONDS),
        ("keepalived/files/drop-in.conf", DROP_IN_RESTART_SECONDS),
        ("nginx/files/homelab-nginx.service", UNIT_RESTART_SECONDS),
        ("checker/templates/homelab-checker.service.j2", UNIT_RESTART_SECONDS),
    ],
)
def test_what_is_killed_comes_back_when_the_roles_units_start_it_again(unit: str, seconds: float) -> None:
    text = (data_folder("playbooks") / "roles" / unit).read_text(encoding="utf-8")
    assert f"RestartSec={seconds * 1000:g}ms" in text.splitlines()


def test_show_stat_tells_who_is_not_up() -> None:
    assert parse_show_stat(SHOW_STAT) == {"k8s-master2"}


def test_faults_begin_at_other_moments_of_a_check_in_each_run() -> None:
    for period in (0.5, 1.0, 3.0, 10.0):
        phases = sorted(warm_up_seconds(number) % period / period for number in range(1, 6))
        assert phases[-1] - phases[0] > 0.5


def test_a_plan_leaves_out_what_cannot_befall() -> None:
    known = configurations()
    plan = Plan([known["tutorial-haproxy"], known["kubeadm"], known["ours-haproxy"]], list(FAULTS.values()), 2, 2)
    rounds = [(fault.name, [each.name for each in together]) for _, fault, together in plan.rounds()]
    assert rounds.count(("kill", ["tutorial-haproxy", "kubeadm"])) == 2
    assert rounds.count(("kill", ["ours-haproxy"])) == 2
    assert rounds.count(("balancer-off", ["kubeadm", "ours-haproxy"])) == 2
    assert rounds.count(("weighted", ["ours-haproxy"])) == 2


def test_a_run_that_was_made_before_is_taken(tmp_path: Path) -> None:
    run = Run("kubeadm", "kill", 2, 0.5, replace(GOOD, gap=0.125), tries=3)
    (tmp_path / "run.json").write_text(json.dumps({**run.document(), "clients": {}}))
    assert read_run(tmp_path / "run.json") == run


RESULT = report.Result(
    cells={
        ("tutorial-haproxy", "kill"): Cell((replace(GOOD, lost=97, down=11.6), replace(GOOD, lost=160, down=19.4))),
        ("ours-haproxy", "kill"): Cell((GOOD, replace(GOOD, lost=1))),
        ("ours-haproxy", "balancer-off"): Cell((replace(GOOD, gap=0.75),)),
        ("tutorial-haproxy", "hang"): Cell((replace(GOOD, down=None),)),
        ("tutorial-nginx", "kill"): Cell((replace(GOOD, down=None),)),
    },
    configurations=["tutorial-haproxy", "tutorial-nginx", "ours-haproxy"],
    faults={name: fault.title for name, fault in FAULTS.items()},
    machine={"kernel": "6.1", "processors": 2, "load": 1.0},
    versions={"haproxy": "2.6.12"},
    runs=2,
    passive=frozenset({"tutorial-nginx"}),
)


def test_the_page_has_medians_worst_runs_and_gates() -> None:
    page = report.markdown(RESULT, verdicts(RESULT.cells, {"ours-haproxy": "haproxy"}))
    assert "| | tutorial-haproxy | tutorial-nginx | ours-haproxy |" in page
    assert "| a server is killed | 160 of 850 | 0 of 850 | 1 of 850 |" in page
    assert "| a server hangs | never | passive | - |" in page
    assert "| the balancer's node is off | 0.75 |" in page
    assert "| ours-haproxy | kill | requests lost: at most 0, worst run 0 | **missed**:" in page
    assert "| ours-haproxy | balancer-off | longest time without an answer, s: at most 1 | met |" in page


@pytest.mark.parametrize(
    ("found", "is_disturbed"),
    [
        (GOOD, False),
        (replace(GOOD, requests=825), False),
        (replace(GOOD, requests=824), True),
        (replace(GOOD, before=1), True),
    ],
)
def test_a_run_in_which_clients_lost_something_before_or_were_late_is_disturbed(
    found: Figures, is_disturbed: bool
) -> None:
    assert disturbed(found, FAULTS["kill"]) is is_disturbed


def test_what_had_fewer_runs_is_named() -> None:
    assert (
        "Every fault 2 times (tutorial-haproxy once, ours-haproxy once, tutorial-nginx once); the"
        in report.markdown(RESULT, [])
    )
    assert "Every fault once; the" in report.markdown(replace(RESULT, runs=1), [])


def test_what_others_publish_may_have_fewer_runs() -> None:
    known = configurations()
    plan = Plan([known["kubeadm"], known["ours-haproxy"]], [FAULTS["kill"]], 2, 2, runs_of_others=1)
    assert [[each.name for each in together] for _, _, together in plan.rounds()] == [
        ["kubeadm", "ours-haproxy"],
        ["ours-haproxy"],
    ]


def test_runs_that_were_begun_anew_are_told() -> None:
    """A balancer that loses requests while nothing is wrong makes for such runs, as a machine that is too busy does."""
    run = Run("kubeadm", "kill", 2, 0.5, replace(GOOD, before=4), tries=3)
    assert sentence(run).endswith("; begun 3 times; 4 lost before it happened")
    page = report.markdown(replace(RESULT, again=2, disturbed=1), [])
    assert "or were late: 2. Runs in which that was so to the end: 1." in page
    assert "begun anew" not in report.markdown(RESULT, [])


def test_what_is_written_by_hand_stays() -> None:
    assert report.page(f"by hand\n{report.MARK}\nold\n", "new\n") == f"by hand\n{report.MARK}\n\nnew\n"
    with pytest.raises(ValueError, match="no line"):
        report.page("by hand\n", "new\n")
    assert report.MARK in (ROOT / "docs" / "reference" / "failover.md").read_text(encoding="utf-8")


def test_the_chart_is_an_image_without_scripts_or_foreign_fonts() -> None:
    picture = chart.svg(RESULT)
    texts = [element.text for element in ElementTree.fromstring(picture).iter("{http://www.w3.org/2000/svg}text")]
    assert {"tutorial-haproxy", "ours-haproxy", "a server is killed", "160", "never", "passive"} <= set(texts)
    assert "prefers-color-scheme: dark" in picture
    assert not [word for word in ("<script", "href", "url(", "@import", "@font-face") if word in picture]


def test_what_is_not_there_is_named() -> None:
    asked = bench("--faults", "kill,burn")
    assert asked.returncode == 1
    assert "--faults: there is no burn; there are kill, restart, hang" in asked.stderr


@pytest.mark.figures
@pytest.mark.thorough
@pytest.mark.timeout(400)
@pytest.mark.parametrize("servers", ["stand-in", "real"])
def test_a_killed_server_costs_ours_nothing(tmp_path: Path, servers: str) -> None:
    if lack := root.missing() or (lacks() if servers == "real" else ""):
        pytest.skip(lack)
    names = ("ours-haproxy", "ours-nginx-layer-7")
    words = ("--runs", "1", "--faults", "kill", "--servers", servers, "--output", str(tmp_path))
    asked = bench("--configurations", ",".join(names), *words)
    assert asked.returncode == 0, asked.stderr
    runs = json.loads((tmp_path / "failover.json").read_text())["runs"]
    assert [run["configuration"] for run in runs] == list(names)
    for run in runs:
        assert run["requests"] > 800
        assert run["lost"] == 0
        assert run["down"] < 4
    assert "| ours-haproxy | kill | requests lost: at most 0, worst run 0 | met |" in asked.stdout
    ElementTree.parse(tmp_path / "failover.svg")


def bench(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """The bench as make starts it."""
    command = [sys.executable, "-m", "tests.bench.failover", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=390)
