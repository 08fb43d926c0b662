"""One command on one lab: steps, the wanted lab and a selection, with the world, the logs and the voice for them."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from homelab.commands.options import Options
from homelab.commands.selection import Selection
from homelab.commands.wanted_lab import lab_of, vault_of
from homelab.engine.events import Event
from homelab.engine.runner import Runner
from homelab.engine.step import AnyStep
from homelab.lab import EsxiHost, Lab, Vcenter
from homelab.output.documents import log_document
from homelab.output.ui import Ui
from homelab.ports.ansible.inventory import Vault, select_hosts
from homelab.ports.files.data import data_folder
from homelab.ports.files.home import HomeFiles, home_now
from homelab.ports.open_world import open_world
from homelab.ports.world import World


@dataclass(frozen=True)
class LabRun:
    """What a command works with; `began` is a moment of the monotonic clock, `limit` what --limit selects."""

    lab: Lab
    steps: Sequence[AnyStep]
    selection: Selection
    world: World
    runner: Runner
    files: HomeFiles
    ui: Ui
    yes: bool
    began: float
    limit: frozenset[str] | None

    @property
    def left_out(self) -> tuple[str, ...]:
        """The steps that were not asked for, of those that have something to do in this lab."""
        return self.selection.left_out([step.name for step in self.steps if step.targets(self.lab)])

    def then(
        self, lab: Lab, steps: Sequence[AnyStep], targets: frozenset[str], only_steps: tuple[str, ...] | None = None
    ) -> "LabRun":
        """The same command's next run: another wanted lab, other steps and targets, the same world and logs."""
        chosen = Selection(only_steps, _both(targets, self.limit))
        runner = Runner(lab, steps, self.world, self.runner.emit, chosen)
        return replace(self, lab=lab, steps=steps, selection=chosen, runner=runner)

    def only_reading(self) -> "LabRun":
        """The same for a command that writes nothing: what an address answered stays true, and is asked once."""
        world = replace(self.world, lan=self.world.lan.kept())
        runner = Runner(self.lab, self.steps, world, self.runner.emit, self.selection)
        return replace(self, world=world, runner=runner)

    def note(self, text: str) -> None:
        """A sentence on the way, for people and the log."""
        self.world.run.log(text)
        self.ui.note(text)


def open_run(
    options: Options,
    steps: Sequence[AnyStep],
    *,
    lab: Lab | None = None,
    only_steps: tuple[str, ...] | None = None,
    targets: frozenset[str] | None = None,
) -> LabRun:
    """Everything for a command on the inventory's lab, or on another wanted one; --limit narrows the targets."""
    began, vault, ui = time.monotonic(), vault_of(options), options.ui
    lab = lab or lab_of(options, vault)
    limit = limit_of(options, vault)
    selection = Selection(only_steps, _both(targets, limit))
    home = home_now(options.inventories, data_folder("inventory"))
    files = HomeFiles(home, secrets=_secrets(lab, vault), warn=ui.warn)
    ui.hide(files.masks)
    run: LabRun

    def note(text: str) -> None:
        run.note(text)

    def emit(event: Event) -> None:
        fields = json.dumps(log_document(event), default=str)
        files.append("events.jsonl", fields + "\n")
        run.world.run.log(fields)
        ui.event(event)

    world = open_world(lab, options.inventories, vault, files, note)
    runner = Runner(lab, steps, world, emit, selection)
    run = LabRun(lab, steps, selection, world, runner, files, ui, options.yes, began, limit)
    _make_safe(run)
    return run


def _both(some: frozenset[str] | None, others: frozenset[str] | None) -> frozenset[str] | None:
    """What both select; None selects everything."""
    return some if others is None else others if some is None else some & others


def limit_of(options: Options, vault: Vault) -> frozenset[str] | None:
    """The hosts that --limit selects; None without it."""
    return frozenset(select_hosts(options.inventories, options.limit, vault)) if options.limit else None


def _secrets(lab: Lab, vault: Vault) -> tuple[str, ...]:
    """Every password of the lab, whoever it is for, and what opens the vault."""
    hosts: tuple[EsxiHost | Vcenter, ...] = (*lab.esxi, *lab.vcenter)
    return tuple({host.password.get_secret_value() for host in hosts} | vault.secrets)


def _make_safe(run: LabRun) -> None:
    """The folder of keys and logs is ours alone before anything is asked."""
    for sentence in run.files.close_up():
        run.note(sentence)
    if run.files.masks.short:
        run.ui.warn("a password has fewer than 4 characters: logs hide it only where it stands alone")
