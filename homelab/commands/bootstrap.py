"""The command `bootstrap`: the whole job, again and again."""

from homelab.checks.cluster import cluster_words
from homelab.commands.carry_out import VERIFY_SECONDS, carry_out
from homelab.commands.lab_run import LabRun, open_run
from homelab.commands.options import Options
from homelab.commands.selection import chosen_steps
from homelab.errors import DONE, HomelabError
from homelab.steps.product import STEP_NAMES, all_steps


def bootstrap(options: Options, *, only: str | None, start: str | None, until: str | None, wait: float) -> int:
    """Bring the lab up and verify it; `wait` in seconds, for hosts that need a person."""
    part = chosen_steps(STEP_NAMES, only, start, until) if only or start or until else None
    run = open_run(options, all_steps(wait=wait), only_steps=part)
    status = carry_out(run, "bootstrap", verify_seconds=VERIFY_SECONDS)
    if status == DONE and run.selection.whole and run.lab.control_plane:
        run.note(f"{_stands(run)}next: homelab kubernetes kubeconfig, then kubectl get nodes")
    return status


def _stands(run: LabRun) -> str:
    """What stands now, as the beginning of a line; nothing when the cluster does not tell: all was verified before."""
    try:
        with run.world.run.connected():
            return f"{cluster_words(run.world)}; "
    except HomelabError:
        return ""
