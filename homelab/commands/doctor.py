"""The command `doctor`: preflight checks, each asked once; what would be changed is counted and not judged."""

from collections.abc import Mapping, Sequence

from homelab.checks.check import Result, ask_at_once
from homelab.checks.preflight import ALL_HOSTS, LAPTOP, preflight
from homelab.commands.lab_run import LabRun, open_run
from homelab.commands.options import Options
from homelab.commands.verify import checks_document
from homelab.engine.plan import Plan
from homelab.errors import DONE, FAILED
from homelab.lab import Lab
from homelab.output.checks_table import all_of_it, details, machines_table
from homelab.output.sentences import counted
from homelab.output.signs import wrapped
from homelab.steps.product import all_steps


def doctor(options: Options) -> int:
    """Check this machine, every host, the NAS, the image and the addresses."""
    run = open_run(options, all_steps()).only_reading()
    chosen = [check for check in preflight(run.lab) if run.selection.has(check.target)]
    with run.world.run.connected():
        answers = ask_at_once(run.world, chosen)
        plan = run.runner.plan()
        results = answers()
    ok = all(result.answer.ok for result in results)
    if run.ui.json:
        run.ui.document(checks_document(results, plan, ok=ok))
    else:
        _show(run, results, plan)
    return DONE if ok else FAILED


def _show(run: LabRun, results: Sequence[Result], plan: Plan) -> None:
    """The table, then what is not fine; with --verbose every check."""
    room = run.ui.screen.room
    run.ui.screen.draw([*machines_table(results, _kinds(run.lab), room), *details(results, room), ()])
    if run.ui.verbose:
        for sentence in all_of_it(results):
            run.ui.say(sentence)
    failed = sum(not result.answer.ok for result in results)
    fine = f"{failed} of {len(results)} checks are not so" if failed else f"all {len(results)} checks hold"
    changes = sum(len(items) for items in plan.items.values())
    sentence = f"{fine}; bootstrap has {counted(changes, 'thing')} to do (homelab plan)"
    run.ui.screen.draw([((line, "bold"),) for line in wrapped("", "", sentence, room)])


def _kinds(lab: Lab) -> Mapping[str, str]:
    """What each target is, as the head of its rows."""
    return {
        LAPTOP: "HERE",
        **{host.name: "HOST" for host in lab.esxi},
        ALL_HOSTS: "HOSTS",
        **{nas.name: "NAS" for nas in lab.nfs},
        **{vm.name: "VM" for vm in lab.vms},
        "api": "VM",
    }
