"""The command `plan`: what bootstrap would change, and why."""

from homelab.commands.lab_run import LabRun, open_run
from homelab.commands.options import Options
from homelab.engine.plan import Plan
from homelab.engine.step import HandOver
from homelab.errors import CHANGES, DONE, FAILED, HANDED_OVER
from homelab.output.documents import plan_document
from homelab.output.estimate import estimated
from homelab.output.spans import spans_of
from homelab.ports.files.runs import earlier_runs, events_of
from homelab.steps.product import all_steps

# From so many of the last runs it is learnt how long things take.
RUNS = 10


def plan(options: Options) -> int:
    """Show the plan of bootstrap; nothing is written."""
    run = open_run(options, all_steps())
    found = run.runner.plan()
    if options.ui.json:
        options.ui.document(plan_document(found))
    show_plan(run, found)
    if found.failures:
        return FAILED
    if found.of(HandOver):
        return HANDED_OVER
    return DONE if found.empty else CHANGES


def time_of(run: LabRun, found: Plan) -> str:
    """How long a plan may take, by this lab's own earlier runs; empty where there is nothing to do."""
    if not found.busy:
        return ""
    folders = earlier_runs(run.files.home, RUNS, but=run.files.run)
    runs = [spans_of(events_of(folder), folder.name) for folder in folders]
    return estimated(found, run.runner.waits(found), runs).sentence


def show_plan(run: LabRun, found: Plan) -> None:
    """The plan for people; to a script that reads JSON only what could not be looked at, on stderr."""
    if not run.ui.json:
        run.ui.plan(found, time_of(run, found))
        return
    for node, error in found.failures.items():
        run.ui.error(error)
        run.world.run.log(f"{node}: {error}")
