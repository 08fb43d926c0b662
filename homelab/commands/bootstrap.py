"""The command `bootstrap`: the whole job, again and again."""

from homelab.commands.carry_out import VERIFY_SECONDS, carry_out
from homelab.commands.lab_run import open_run
from homelab.commands.options import Options
from homelab.commands.selection import chosen_steps
from homelab.errors import DONE
from homelab.steps.product import STEP_NAMES, all_steps


def bootstrap(options: Options, *, only: str | None, start: str | None, until: str | None, wait: float) -> int:
    """Bring the lab up and verify it; `wait` in seconds, for hosts that need a person."""
    part = chosen_steps(STEP_NAMES, only, start, until) if only or start or until else None
    run = open_run(options, all_steps(wait=wait), only_steps=part)
    status = carry_out(run, "bootstrap", verify_seconds=VERIFY_SECONDS)
    if status == DONE and run.selection.whole and run.lab.control_plane:
        run.note("next: homelab kubernetes kubeconfig, then kubectl get nodes")
    return status
