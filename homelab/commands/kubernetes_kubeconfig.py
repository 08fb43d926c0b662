"""The command `kubernetes kubeconfig`: the cluster's administrator in a person's kubeconfig, through the VIP."""

from pathlib import Path

from homelab.commands.lab_run import LabRun, open_run
from homelab.commands.options import Options
from homelab.errors import DONE, UsageError
from homelab.formats.kubernetes.kubeconfig import Entry, merged
from homelab.lab import Lab
from homelab.ports.kubernetes.kubeconfig_file import Written, merge_into, usual_files
from homelab.ports.rehearsed import sign_of_rehearsal

STDOUT = "-"


def kubeconfig(options: Options, output: str | None) -> int:
    """Merge the lab's cluster into a kubeconfig: the usual one, or `output`; print one of its own for "-"."""
    run = open_run(options, ())
    if not run.lab.control_plane:
        advice = "Name the control planes there"
        raise UsageError("the inventory's group control_plane is empty", where="inventory", advice=advice)
    entry = entry_of(run)
    if output == STDOUT:
        run.ui.say(merged("", entry).text or "", file=True)
        return DONE
    file, *others = [Path(output)] if output else _files(run, options)
    written = merge_into(file, entry, others)
    _tell(run, entry, written, usual=output is None and not _rehearsed(options))
    return DONE


def entry_of(run: LabRun) -> Entry:
    """The lab's cluster as a kubeconfig has it.

    The address is the VIP itself, so that nobody has to resolve the API's name; the certificate is asked for by that
    name, which it has whatever address the API is given later.
    """
    return Entry(run.lab.name, server_of(run.lab), run.lab.api_name, run.world.cluster.admin())


def server_of(lab: Lab) -> str:
    """The API's URL, through the VIP."""
    return f"https://{lab.api.vip}:{lab.api.port}"


def _rehearsed(options: Options) -> bool:
    return sign_of_rehearsal(options.inventories) is not None


def _files(run: LabRun, options: Options) -> list[Path]:
    """Where it goes unless told: a rehearsal's cluster has the real one's name, and keeps out of a person's own."""
    if not _rehearsed(options):
        return usual_files()
    return [run.files.home / "kubeconfig"]


def _tell(run: LabRun, entry: Entry, written: Written, *, usual: bool) -> None:
    if run.ui.json:
        run.ui.document(
            {
                "file": str(written.file),
                "changed": written.changed,
                "backup": str(written.backup) if written.backup else None,
                "context": entry.name,
                "current_context": written.current,
                "server": entry.server,
            }
        )
        return
    verb = "is in" if written.changed else "is as wanted in"
    run.ui.say(f"the cluster {entry.name} ({entry.server}) {verb} {written.file}")
    if written.backup:
        run.ui.say(f"what it was before is in {written.backup}, with its comments, which YAML's readers drop")
    named = "" if usual else f"--kubeconfig {written.file} "
    if written.current == entry.name:
        run.ui.say(f"next: kubectl {named}get nodes")
    else:
        run.ui.say(f"the current context stays {written.current}")
        run.ui.say(f"next: kubectl {named}--context {entry.name} get nodes")
