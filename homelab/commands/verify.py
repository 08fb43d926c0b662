"""The command `verify`: smoke tests, and the plan must be empty."""

from collections.abc import Sequence
from typing import Any

from homelab.checks.check import Result, left_out, run_checks
from homelab.checks.smoke import smoke_tests
from homelab.commands.lab_run import LabRun, open_run
from homelab.commands.options import Options
from homelab.commands.plan import show_plan
from homelab.engine.plan import Plan
from homelab.errors import DONE, FAILED
from homelab.steps.product import all_steps

SECONDS = 5.0


def verify(options: Options) -> int:
    """Ask whether the lab is as it is wanted."""
    run = open_run(options, all_steps())
    plan = run.runner.plan()
    results = run_checks(run.world, smoke_tests(run.lab), SECONDS, lambda check, answer: None)
    ok = _holds(results) and plan.empty and not plan.failures
    show_checks(run, results, plan, ok=ok)
    show_plan(run, plan)
    return DONE if ok else FAILED


def _holds(results: Sequence[Result]) -> bool:
    return all(result.answer.ok for result in results)


def checks_document(results: Sequence[Result], plan: Plan, *, ok: bool) -> dict[str, Any]:
    """The contract's document, with the number of planned items."""
    changes = sum(len(items) for items in plan.items.values())
    return {"ok": ok, "checks": [result.fields() for result in results], "changes": changes}


def show_checks(run: LabRun, results: Sequence[Result], plan: Plan, *, ok: bool) -> None:
    """How the checks ended; in JSON with the number of planned items. What was left out is a sentence on the way."""
    asked = [result for result in results if not result.answer.left_out]
    if left := left_out(results):
        run.note(left)
    if run.ui.json:
        run.ui.document(checks_document(asked, plan, ok=ok))
        return
    for result in asked:
        run.ui.say(f"{'ok    ' if result.answer.ok else 'FAILED'} {result.check.sentence}: {result.answer.text}")
        if not result.answer.ok:
            run.ui.say(f"       to do: {result.check.advice}")
