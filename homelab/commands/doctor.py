"""The command `doctor`: preflight checks, each asked once; what would be changed is counted and not judged."""

from homelab.checks.check import run_checks
from homelab.checks.preflight import preflight
from homelab.commands.lab_run import open_run
from homelab.commands.options import Options
from homelab.commands.verify import show_checks
from homelab.errors import DONE, FAILED
from homelab.steps.product import all_steps


def doctor(options: Options) -> int:
    """Check this machine, every host, the NAS, the image and the addresses."""
    run = open_run(options, all_steps())
    chosen = [check for check in preflight(run.lab) if run.selection.has(check.target)]
    results = run_checks(run.world, chosen, 0.0, lambda check, answer: None)
    ok = all(result.answer.ok for result in results)
    show_checks(run, results, run.runner.plan(), ok=ok)
    return DONE if ok else FAILED
