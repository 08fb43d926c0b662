"""The command `kubernetes backup`: what a cluster can be brought back from, in one encrypted file of this machine."""

import os
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from homelab.commands.lab_run import LabRun, open_run
from homelab.commands.options import Options
from homelab.commands.wanted_lab import vault_of
from homelab.errors import DONE, HostFault, Refused, Unreachable, UsageError
from homelab.formats.kubernetes.backup import Backup, file_name
from homelab.ports.ansible.vault_file import encrypted, require_password
from homelab.ports.files.private import told
from homelab.ports.files.whole import whole_file
from homelab.ports.guest.backup import fetch_backup
from homelab.ports.guest.look import GuestAway
from homelab.steps.guests.one_cluster import standing


def kubernetes_backup(options: Options, output: Path | None) -> int:
    """Fetch a backup from a control plane that stands, and write it where nothing lies yet."""
    run, vault = open_run(options, ()), vault_of(options)
    file = output or Path(file_name(run.lab.name, datetime.now(UTC)))
    _check_free(file)
    require_password(vault)
    with run.world.run.connected(), run.world.run.interruptible():
        name = _control_plane(run)
        _refuse_standin(run)
        with (
            run.ui.progress(f"the backup comes from {name}") as report,
            run.world.guest_shell(name, writes=False) as shell,
        ):
            backup, data = fetch_backup(shell, report, run.world.run.stop)
    size = _write(file, encrypted(vault, data))
    _tell(run, file, size, name, backup)
    return DONE


def _control_plane(run: LabRun) -> str:
    """The first control plane that homelab made whole and that answers. Raises UsageError, Unreachable, HostFault."""
    if not run.lab.control_plane:
        advice = "Name the control planes there"
        raise UsageError("the inventory's group control_plane is empty", where="inventory", advice=advice)
    looks = {vm.name: run.world.guest(vm.name) for vm in run.lab.control_plane}
    if name := standing(run.lab, looks):
        return name
    away = [f"{name}: not yet: {look.reason}" for name, look in looks.items() if isinstance(look, GuestAway)]
    if away:
        advice = "Check that they are on, and run again"
        raise Unreachable(
            f"no control plane can be asked for a backup ({'; '.join(away)})", where=run.lab.name, advice=advice
        )
    what, advice = "no control plane is whole, so there is nothing to keep yet", "Run `homelab bootstrap`"
    raise HostFault(what, where=", ".join(looks), advice=advice)


def _refuse_standin(run: LabRun) -> None:
    # A cluster whose API servers are ill may be backed up all the more.
    with suppress(Unreachable, HostFault):
        if run.world.cluster.is_standin():
            what = "the cluster is the rehearsal's stand-in, which has no etcd, so there is nothing to back up"
            advice = (
                "Rehearse it with a real Kubernetes: `make bundle`, then `homelab rehearsal serve --kubernetes real`"
            )
            raise Refused(what, where="kubernetes", advice=advice)


def _check_free(file: Path) -> None:
    """Nothing is written over, and a folder that is missing is told before minutes go by."""
    if os.path.lexists(file):
        what, advice = "this is there already, and nothing is written over it", "Name another file with -O"
        raise UsageError(what, where=str(file), advice=advice)
    if not file.parent.is_dir():
        raise UsageError(f"there is no folder {file.parent}", where=str(file), advice="Make it, or name another")


def _write(file: Path, content: bytes) -> int:
    part = file.with_name(f".{file.name}.homelab-{os.getpid()}")
    with told(file, "written"), whole_file(file, part, last=lambda: _check_free(file)) as target:
        target.write(content)
    return len(content)


def _tell(run: LabRun, file: Path, size: int, name: str, backup: Backup) -> None:
    if run.ui.json:
        run.ui.document({"file": str(file), "bytes": size, "from": name, "revision": backup.revision})
        return
    run.ui.say(
        f"{file}: the cluster {run.lab.name} as {name} has it, etcd's revision {backup.revision}, {size / 1e6:.1f} MB"
    )
    run.ui.note("it opens with the vault's password alone: keep that somewhere else than this machine")
