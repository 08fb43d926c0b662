"""`make bench-failover`, or `python -m tests.bench.failover --help`."""

import argparse
import json
import os
import platform
import sys
import tempfile
from pathlib import Path

from tests.bench.failover import bench, root
from tests.bench.failover.configurations import configurations
from tests.bench.failover.faults import FAULTS
from tests.bench.failover.machines import apart, is_apart, settle_in


def tell(line: str) -> None:
    """Progress goes to stderr."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def arguments() -> argparse.Namespace:
    """What was asked for."""
    names = list(configurations())
    parser = argparse.ArgumentParser(prog="bench-failover", description=sys.modules["tests.bench.failover"].__doc__)
    parser.add_argument("--runs", type=int, default=5, help="of each fault (default: 5)")
    parser.add_argument("--configurations", default=",".join(names), help=f"of {', '.join(names)}")
    parser.add_argument("--faults", default=",".join(FAULTS), help=f"of {', '.join(FAULTS)}")
    parser.add_argument("--at-once", type=int, default=3, help="configurations side by side (default: 3)")
    parser.add_argument("--suite", choices=root.SUITES, default=root.SUITES[0], help="the balancers' Debian")
    parser.add_argument("--output", type=Path, default=Path("build/failover"), help="for page, chart and raw JSON")
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
    )
    if lack := root.missing():
        raise SystemExit(lack)
    debian = root.ensure_root(asked.suite, tell)
    if not is_apart():
        tell(f"about {plan.seconds() / 60:.0f} min; figures count only when nothing else runs on this machine")
        with tempfile.TemporaryDirectory(prefix="failover-") as scratch:
            return apart(["-m", "tests.bench.failover", *sys.argv[1:]], Path(scratch))
    runs = bench.run_all(plan, debian, settle_in(), asked.output / "raw", tell)
    document = {
        "machine": {"processors": os.cpu_count(), "kernel": platform.release(), "python": platform.python_version()},
        "versions": root.versions(debian),
        "runs": [run.document() for run in runs],
    }
    (asked.output / "failover.json").write_text(json.dumps(document, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
