"""What every command does that writes to a lab: plan, consent, apply, verify, and the sum of it."""

import time
import traceback
from dataclasses import replace

from homelab.checks.check import Check, left_out, run_checks
from homelab.checks.smoke import smoke_tests
from homelab.commands.lab_run import LabRun
from homelab.commands.plan import time_of
from homelab.engine.consent import Consent, agreed
from homelab.engine.events import Counts, Failed, Intended, Summary, Unchanged, Waiting
from homelab.engine.plan import Plan
from homelab.engine.step import Node
from homelab.errors import USAGE, Interrupted
from homelab.output.sentences import summary_sentence
from homelab.output.timeline import run_timeline
from homelab.ports.files.record import finish
from homelab.ports.files.runs import TIMELINE, events_of
from homelab.ports.world import at

VERIFY = "verify"
VERIFY_SECONDS = 60.0


def carry_out(run: LabRun, command: str, *, verify_seconds: float = 0.0, then: LabRun | None = None) -> int:
    """Bring the run's lab into the wanted state, as the only run that writes; the exit code.

    A run that comes `then` has the same consent: it begins when the first one ended well. The smoke tests are asked for
    so many seconds.
    """
    with run.files.alone(command, run.note):
        return _carry_out(run, verify_seconds, then)


def _carry_out(run: LabRun, verify_seconds: float, then: LabRun | None) -> int:
    try:
        with run.world.run.connected():
            counts = _brought(run, then)
    except Interrupted:
        sum_up(run, run.runner.counts() + (then.runner.counts() if then else Counts()))
        raise
    if counts is None:
        run.ui.warn("nothing was touched")
        return USAGE
    unmet = _verify(run, verify_seconds) if verify_seconds and counts.well else 0
    return sum_up(run, counts, unmet).counts.exit_code


def _brought(run: LabRun, then: LabRun | None) -> Counts | None:
    """Both runs as planned and agreed to; None when the plan was declined."""
    plan = _planned(run)
    consent = agreed(plan, run.ui, yes=run.yes)
    if consent is None:
        return None
    counts = _run(run, plan, consent)
    if then and counts.well:
        plan = _planned(then)
        counts += _run(then, plan, Consent(plan, run.ui))
    return counts


def _run(run: LabRun, plan: Plan, consent: Consent) -> Counts:
    with run.ui.under_way(plan, run.world.run.stop.is_set):
        return run.runner.run(plan, consent.covers)


def _planned(run: LabRun) -> Plan:
    """The run's plan, told."""
    plan = run.runner.plan()
    run.runner.emit(Intended(plan=plan))
    if not run.ui.json and not plan.empty:
        run.ui.plan(plan, time_of(run, plan))
    return plan


def sum_up(run: LabRun, counts: Counts, unmet: int = 0) -> Summary:
    """The end of a run, told and kept."""
    seconds = round(time.monotonic() - run.began, 1)
    counts = replace(counts, failed=counts.failed + unmet)
    summary = Summary(counts=counts, seconds=seconds, left_out=run.left_out)
    run.runner.emit(summary)
    finish(run.files)
    if not run.ui.json:
        run.ui.say(summary_sentence(summary))
    _keep_timeline(run)
    return summary


def _keep_timeline(run: LabRun) -> None:
    """The run as a picture beside its logs; what goes wrong with it costs the run nothing."""
    try:
        run.files.append(TIMELINE, run_timeline(events_of(run.files.log_folder), run.files.run))
    except Exception as error:
        run.world.run.log("".join(traceback.format_exception(error)))


def _verify(run: LabRun, seconds: float) -> int:
    """The smoke tests of the chosen steps, as events; how many failed."""

    def meant(check: Check) -> bool:
        return run.selection.whole or run.selection(Node(check.step, check.target))

    def waiting(check: Check, answer: str) -> None:
        node = Node(VERIFY, check.target)
        run.runner.emit(Waiting(node=node, condition=check.sentence, deadline=at(seconds), last=answer))

    chosen = [check for check in smoke_tests(run.lab) if meant(check)]
    with run.ui.under_way(Plan(), run.world.run.stop.is_set):
        results = run_checks(run.world, chosen, seconds, waiting)
    for result in [result for result in results if not result.answer.left_out]:
        node, check, answer = Node(VERIFY, result.check.target), result.check, result.answer
        if answer.ok:
            run.runner.emit(Unchanged(node=node, sentence=f"{check.sentence}: {answer.text}"))
        else:
            what = f"not true: {check.sentence}; last answer: {answer.text}"
            run.runner.emit(Failed(node=node, what=what, where=check.target, advice=check.advice))
    if left := left_out(results):
        run.note(left)
    return sum(not result.answer.ok for result in results)
