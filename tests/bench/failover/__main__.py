"""`make bench-failover`, or `python -m tests.bench.failover --help`."""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.bench.failover import bench, chart, report, root
from tests.bench.failover.configurations import configurations
from tests.bench.failover.faults import FAULTS
from tests.bench.failover.gates import Verdict, verdicts
from tests.bench.failover.machines import apart, is_apart, settle_in
from tests.bench.failover.measures import Cell, Figures
from tests.helpers.api_server import lacks, program


def tell(line: str) -> None:
    """Progress goes to stderr."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def arguments() -> argparse.Namespace:
    """What was asked for."""
    names = list(configurations())
    parser = argparse.ArgumentParser(prog="bench-failover", description=sys.modules["tests.bench.failover"].__doc__)
    parser.add_argument("--runs", type=int, default=5, help="of each fault (default: 5)")
    parser.add_argument(
        "--runs-of-others", type=int, help="of each fault, of what others publish (default: as of ours)"
    )
    parser.add_argument("--configurations", default=",".join(names), help=f"of {', '.join(names)}")
    parser.add_argument("--faults", default=",".join(FAULTS), help=f"of {', '.join(FAULTS)}")
    parser.add_argument("--at-once", type=int, default=3, help="configurations side by side (default: 3)")
    parser.add_argument(
        "--servers", choices=bench.SERVERS, default="stand-in", help="the API servers; real ones take a processor a lab"
    )
    parser.add_argument("--suite", choices=root.SUITES, default=root.SUITES[0], help="the balancers' Debian")
    parser.add_argument("--output", type=Path, default=Path("build/failover"), help="for page, chart and raw JSON")
    parser.add_argument("--go-on", action="store_true", help="take such runs that are in OUTPUT/raw already")
    parser.add_argument("--page", type=Path, help="a page whose figures are replaced, its chart beside it")
    return parser.parse_args()


def chosen(text: str, known: dict[str, object], what: str) -> list[object]:
    """The named ones; SystemExit that names those that there are."""
    names = [name for name in text.split(",") if name]
    if unknown := [name for name in names if name not in known]:
        raise SystemExit(f"{what}: there is no {', '.join(unknown)}; there are {', '.join(known)}")
    return [known[name] for name in names]


def main() -> int:
    """Exit code 1 when a gate is missed."""
    asked = arguments()
    plan = bench.Plan(
        chosen(asked.configurations, dict(configurations()), "--configurations"),  # type: ignore[arg-type]
        chosen(asked.faults, dict(FAULTS), "--faults"),  # type: ignore[arg-type]
        asked.runs,
        asked.at_once,
        asked.go_on,
        asked.servers,
        asked.runs_of_others,
    )
    if asked.page and report.MARK not in asked.page.read_text(encoding="utf-8"):
        raise SystemExit(f"--page: {asked.page} has no line {report.MARK}")
    if lack := root.missing() or (lacks() if asked.servers == "real" else ""):
        raise SystemExit(lack)
    debian = root.ensure_root(asked.suite, tell)
    if not is_apart():
        tell(f"about {plan.seconds() / 60:.0f} min; figures count only when nothing else runs on this machine")
        with tempfile.TemporaryDirectory(prefix="failover-") as scratch:
            return apart(["-m", "tests.bench.failover", *sys.argv[1:]], Path(scratch))
    runs = bench.run_all(plan, debian, settle_in(), asked.output / "raw" / f"{asked.suite}-{asked.servers}", tell)
    result = gathered(runs, debian, plan)
    judged = list(verdicts(result.cells, {each.name: each.gates for each in plan.configurations if each.gates}))
    write(result, judged, runs, asked.output)
    if asked.page:
        picture = asked.page.with_suffix(".svg")
        figures = report.markdown(result, judged, picture.name)
        asked.page.write_text(report.page(asked.page.read_text(encoding="utf-8"), figures), encoding="utf-8")
        picture.write_text(chart.svg(result), encoding="utf-8")
    sys.stdout.write(report.markdown(result, judged))
    for each in judged:
        if each.wrong:
            tell(f"gate missed: {each.configuration}, {each.fault}: {each.wrong}")
    return int(any(each.wrong for each in judged))


def kubernetes_version() -> str:
    """Of the API servers that were built for a bundle."""
    asked = subprocess.run([str(program("kube-apiserver")), "--version"], capture_output=True, text=True, check=True)
    return asked.stdout.split()[-1]


def gathered(runs: Sequence[bench.Run], debian: Path, plan: bench.Plan) -> report.Result:
    """All runs of a fault on a configuration together, and what they were measured on."""
    together: dict[tuple[str, str], list[Figures]] = {}
    for run in runs:
        together.setdefault((run.configuration, run.fault), []).append(run.figures)
    load = max((run.load for run in runs), default=0.0)
    return report.Result(
        cells={key: Cell(tuple(each)) for key, each in together.items()},
        configurations=list(dict.fromkeys(run.configuration for run in runs)),
        faults={name: fault.title for name, fault in FAULTS.items()},
        machine={"processors": os.cpu_count(), "kernel": platform.release(), "load": load},
        versions=root.versions(debian) | ({"kube-apiserver": kubernetes_version()} if plan.servers == "real" else {}),
        runs=plan.runs,
        passive=frozenset(each.name for each in plan.configurations if each.down is None),
        again=sum(run.tries - 1 for run in runs),
        disturbed=sum(bench.disturbed(run.figures, FAULTS[run.fault]) for run in runs),
    )


def write(result: report.Result, judged: Sequence[Verdict], runs: Sequence[bench.Run], folder: Path) -> None:
    """Tables, chart and figures, each as a file."""
    document = {
        "machine": result.machine,
        "versions": result.versions,
        "missed": [f"{each.configuration}, {each.fault}: {each.wrong}" for each in judged if each.wrong],
        "runs": [run.document() for run in runs],
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "failover.json").write_text(json.dumps(document, indent=1) + "\n")
    (folder / "failover.md").write_text(report.markdown(result, judged))
    (folder / report.CHART).write_text(chart.svg(result))


if __name__ == "__main__":
    raise SystemExit(main())
