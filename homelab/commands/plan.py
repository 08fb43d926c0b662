"""The command `plan`: what bootstrap would change, and why."""

from homelab.commands.lab_run import LabRun, open_run
from homelab.commands.options import Options
from homelab.engine.plan import Plan
from homelab.engine.step import HandOver
from homelab.errors import CHANGES, DONE, FAILED, HANDED_OVER
from homelab.output.documents import plan_document
from homelab.steps.product import all_steps


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


def show_plan(run: LabRun, found: Plan) -> None:
    """The plan for people; to a script that reads JSON only what could not be looked at, on stderr."""
    if not run.ui.json:
        run.ui.plan(found)
        return
    for node, error in found.failures.items():
        run.ui.error(error)
        run.world.run.log(f"{node}: {error}")
