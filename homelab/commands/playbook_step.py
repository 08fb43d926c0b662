"""Steps inside of a playbook: what the collection's action plugin `step` asks for, on the very machinery of bootstrap.

One call looks at many targets in one process; each of them gets an answer of its own.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from homelab.commands.carry_out import sum_up
from homelab.commands.lab_run import LabRun, open_run
from homelab.commands.options import Options
from homelab.commands.vm_names import managed_vms
from homelab.commands.wanted_lab import vault_of
from homelab.engine.consent import Consent
from homelab.engine.events import Intended
from homelab.engine.plan import Plan
from homelab.engine.step import AnyStep, Change, Node, Words
from homelab.errors import HomelabError, Interrupted, InventoryError, UsageError
from homelab.formats.near import known_names
from homelab.inventory import read_lab
from homelab.output.task_voice import Say, TaskVoice
from homelab.ports.ansible.inventory import RawInventory
from homelab.ports.signals import orphaned
from homelab.steps.guests.roles import RunPlaybook
from homelab.steps.hosts.reboot import Reboot
from homelab.steps.product import all_steps
from homelab.steps.vms.image import Image
from homelab.steps.vms.vm import VmStep

COMMAND = "ansible-playbook"


@dataclass(frozen=True)
class Asked:
    """What one task of a playbook asks for.

    `consent` is whose disruptive changes are agreed to: all of them (True), or those of the targets in it. `check`
    looks only. With `absent` the VMs among the targets are wanted away. `ahead` are steps that are looked at once the
    others are done.
    """

    steps: tuple[str, ...]
    targets: tuple[str, ...]
    consent: bool | frozenset[str] = False
    check: bool = False
    absent: bool = False
    ahead: tuple[str, ...] = ()

    def agrees(self, target: str) -> bool:
        """Whether disruptive changes of a target are agreed to."""
        return self.consent if isinstance(self.consent, bool) else target in self.consent


def bring(asked: Asked, sources: Sequence[Path], raw: RawInventory, say: Say) -> dict[str, dict[str, Any]]:
    """Bring every target into the wanted state, or only look, when it is a check; TARGET -> what Ansible is told."""
    voice = TaskVoice(say)
    try:
        _brought(asked, Options(tuple(sources), None, True, voice), raw, voice)
    except HomelabError as error:
        for target in asked.targets:
            voice.answers[target].errors += _mistakes(error)
    return {target: voice.answers[target].result(check=asked.check) for target in asked.targets}


def _mistakes(error: HomelabError) -> list[str]:
    return [str(one) for one in error.mistakes] if isinstance(error, InventoryError) else [str(error)]


def _brought(asked: Asked, options: Options, raw: RawInventory, voice: TaskVoice) -> None:
    steps, chosen = _steps(asked)
    vault = vault_of(options)
    vault.learn(raw.hostvars)
    reading = read_lab(options.inventories, vault, raw)
    for warning in reading.warnings:
        voice.warn(str(warning))
    lab = reading.lab
    if asked.absent:
        lab = lab.wanting("absent", managed_vms(lab) & frozenset(asked.targets))
    run = open_run(options, steps, lab=lab, only_steps=chosen, targets=frozenset(asked.targets))
    plan = run.runner.plan()
    run.runner.emit(Intended(plan=plan))
    if asked.check:
        voice.answers.planned(plan)
        for node, change in plan.of(Change):
            if isinstance(change, RunPlaybook):
                voice.answers[node.target].variables |= change.told
    else:
        with run.files.alone(COMMAND, run.note), orphaned(run.world.run.stop):
            _carry_out(run, plan, asked, voice)
    if asked.ahead and not run.world.run.stop.is_set():
        _look_ahead(run, asked, voice)


def _look_ahead(run: LabRun, asked: Asked, voice: TaskVoice) -> None:
    """By the looks that there are: what was not changed is not asked again."""
    plan = run.then(run.lab, run.steps, frozenset(asked.targets), only_steps=asked.ahead).runner.plan()
    if asked.check:
        voice.answers.planned(plan)
    for target in asked.targets:
        voice.answers[target].ahead_right = plan.empty and not plan.failures


def _steps(asked: Asked) -> tuple[Sequence[AnyStep], tuple[str, ...]]:
    """The list of steps, and the names of the chosen ones in its order. UsageError for one that is not in it."""
    steps: Sequence[AnyStep] = (VmStep(in_order=True), Image()) if asked.absent else _product(asked)
    names = [step.name for step in steps]
    if unknown := [name for name in (*asked.steps, *asked.ahead) if name not in names]:
        what = f"there is no step {', '.join(unknown)}{' with the state absent' if asked.absent else ''}"
        raise UsageError(what, where="this task", advice=known_names(unknown, names, "steps"))
    return steps, tuple(name for name in names if name in asked.steps)


def _product(asked: Asked) -> Sequence[AnyStep]:
    """All steps; the driver's fix by itself reboots a host for nothing else, as the command driver-fix does."""
    alone = "driver-fix" in asked.steps and "usb-housekeeping" not in asked.steps
    return tuple(Reboot(logs=False) if alone and step.name == "reboot" else step for step in all_steps())


def _carry_out(run: LabRun, plan: Plan, asked: Asked, voice: TaskVoice) -> None:
    consent = Consent(plan, run.ui)

    def agreed(node: Node, change: Change) -> bool:
        if not asked.agrees(node.target):
            raise _no_consent(node, [change])
        return consent.covers(node, change)

    counts = None
    try:
        with run.world.run.connected():
            counts = run.runner.run(plan, agreed, refusals(plan, asked))
    except Interrupted as error:
        for node in run.runner.graph:
            outcome = run.runner.outcomes.get(node)
            if outcome is None or (outcome.status == "interrupted" and outcome.error is None):
                voice.answers.failed(node, error)
    sum_up(run, counts or run.runner.counts())


def refusals(plan: Plan, asked: Asked) -> Mapping[Node, HomelabError]:
    """The nodes with a disruptive change that nobody agreed to: nothing of them is touched, not even the rest."""
    found: dict[Node, list[Change]] = defaultdict(list)
    for node, change in plan.of(Change):
        if change.disruptive and not asked.agrees(node.target):
            found[node].append(change)
    return {node: _no_consent(node, changes) for node, changes in found.items()}


def _no_consent(node: Node, changes: Iterable[Change]) -> HomelabError:
    would = "; ".join(_at_length(change.words) for change in changes)
    return UsageError(
        f"nobody agreed to this, and it was not done: {would}",
        where=node.target,
        advice=f"Agree with -e homelab_consent=yes, or to this one alone with -e homelab_consent={node.target}",
    )


def _at_length(words: Words) -> str:
    lost = f"; lost for good: {words.loses}" if words.loses else ""
    return f"{words.sentence} (now: {words.before}{lost})"


def consent_of(said: object) -> bool | frozenset[str]:
    """What `homelab_consent` says: a truth value, a list of names, or names parted by commas. UsageError for else."""
    if said is None or isinstance(said, bool):
        return bool(said)
    if isinstance(said, str):
        if said.strip().lower() in {"yes", "true", "on", "y", "1"}:
            return True
        if said.strip().lower() in {"", "no", "false", "off", "n", "0"}:
            return False
        return _names(said.split(","))
    if isinstance(said, Collection) and all(isinstance(name, str) for name in said):
        return _names(said)
    raise UsageError(
        f"homelab_consent is neither yes nor a list of names: {said!r}",
        where="extra variables",
        advice="Say -e homelab_consent=yes, or name those that may be disturbed: -e homelab_consent=brix1,brix2",
    )


def _names(said: Iterable[str]) -> frozenset[str]:
    return frozenset(name.strip() for name in said if name.strip())
