"""Steps inside of a playbook: what the collection's action plugin `step` asks for, on the very machinery of bootstrap.

One call looks at many targets in one process; each of them gets an answer of its own.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from homelab.commands.carry_out import sum_up
from homelab.commands.lab_run import LabRun, open_run
from homelab.commands.options import Options
from homelab.commands.selection import Selection
from homelab.commands.vm_names import managed_vms
from homelab.commands.wanted_lab import vault_of
from homelab.engine.consent import Consent
from homelab.engine.events import Changed, Event, Failed, HandedOver, HeldUp, Intended, Waiting
from homelab.engine.plan import Plan
from homelab.engine.runner import Runner
from homelab.engine.step import AnyStep, Blocked, Change, HandOver, Node, Words
from homelab.errors import HomelabError, Interrupted, InventoryError, UsageError
from homelab.formats.near import known_names
from homelab.formats.visible import visible
from homelab.inventory import read_lab
from homelab.output.documents import change_document
from homelab.output.run_lines import Waits
from homelab.output.sentences import sentence_of
from homelab.output.ui import Ui
from homelab.ports.ansible.inventory import RawInventory
from homelab.ports.signals import orphaned
from homelab.steps.guests.roles import RunPlaybook
from homelab.steps.hosts.reboot import Reboot
from homelab.steps.product import all_steps
from homelab.steps.vms.image import Image
from homelab.steps.vms.vm import VmStep

Say = Callable[[str], None]
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


@dataclass
class Answer:
    """How it went at one target: sentences for people, the contract's objects for programs, a difference for --diff."""

    changes: list[dict[str, Any]] = field(default_factory=list)
    blocked: list[dict[str, Any]] = field(default_factory=list)
    hand_overs: list[dict[str, Any]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    diff: list[dict[str, str]] = field(default_factory=list)
    # What a playbook for guests is handed, where a step would run one.
    variables: dict[str, Any] = field(default_factory=dict)
    # Whether all that is looked at ahead is as wanted, at every target.
    ahead_right: bool = False

    def result(self, *, check: bool) -> dict[str, Any]:
        """What Ansible is told of the task. A check of what comes later is no failure; a run that stopped is one."""
        undone = [] if check else [f"{one['step']}: blocked until {one['until']}" for one in self.blocked]
        hands = [f"{one['step']}: {one['do']}" for one in self.hand_overs]
        wrong = [*self.errors, *undone, *([] if check else hands)]
        told = [change["sentence"] for change in self.changes]
        if check:
            told += [f"{one['step']}: later, once {one['until']}" for one in self.blocked] + hands
        return {
            "changed": bool(self.changes),
            "failed": bool(wrong),
            "msg": "; ".join(wrong or told) or "as the inventory says",
            "changes": self.changes,
            "blocked": self.blocked,
            "hand_overs": self.hand_overs,
            "diff": self.diff,
            "variables": self.variables,
            "ahead_right": self.ahead_right,
        }


class TaskVoice(Ui):
    """The voice of a task: lines on Ansible's display, and an answer for every target. Nobody can be asked."""

    def __init__(self, say: Say) -> None:
        super().__init__("text", color=False)
        self._say = say
        self._waits = Waits()
        self.answers: dict[str, Answer] = defaultdict(Answer)

    @property
    def there(self) -> bool:
        """Nobody is: a task has no terminal."""
        return False

    def note(self, text: str) -> None:
        """As Ui."""
        self._say(self._masks.text(text))

    def show(self, text: str) -> None:
        """As Ui."""
        self.note(text)

    def warn(self, text: str) -> None:
        """As Ui."""
        self.note(f"warning: {text}")

    def say(self, text: str, *, file: bool = False) -> None:
        """Nothing: Ansible's recap is the sum of it."""

    def event(self, event: Event) -> None:
        """Keep what belongs into an answer, and say what a person waits for."""
        node = event.node
        if node is None:
            return
        answer = self.answers[node.target]
        match event:
            case Changed(change=change):
                self.changed(node, change)
                self._line(node, f"done: {change}")
            case Failed():
                told = HomelabError(event.what, where=event.where, advice=event.advice)
                answer.errors.append(self._masks.text(f"{node.step}: {told}"))
                self._line(node, f"failed: {event.what}")
            case HeldUp(until=until):
                answer.blocked.append(_of(node, until=until))
            case HandedOver(do=do):
                answer.hand_overs.append(_of(node, do=do))
                self._line(node, f"your hands: {do}")
            case Waiting() if self._waits.worth_a_line(event):
                self._line(node, sentence_of(event))

    def _line(self, node: Node, text: str) -> None:
        self.note(f"{node.target}: {node.step}: {visible(text, lines=False)}")

    def changed(self, node: Node, change: Change) -> None:
        """A change was made, or would be."""
        answer, document = self.answers[node.target], change_document(node, change)
        answer.changes.append({name: self._fit_value(value) for name, value in document.items()})
        answer.diff.append({name: self._masks.text(text) for name, text in _difference(node, change.words).items()})
        if isinstance(change, RunPlaybook):
            answer.variables |= change.told

    def _fit_value(self, value: Any) -> Any:
        return self._masks.text(value) if isinstance(value, str) else value

    def planned(self, plan: Plan) -> None:
        """What a check found: nothing of it was done."""
        for node, change in plan.of(Change):
            self.changed(node, change)
            self._line(node, f"would {change}{' (disruptive)' if change.disruptive else ''}")
        for node, blocked in plan.of(Blocked):
            self.event(HeldUp(node=node, until=blocked.until))
            self._line(node, f"later, once {blocked.until}")
        for node, hand_over in plan.of(HandOver):
            self.event(HandedOver(node=node, do=hand_over.do))
        for node, error in plan.failures.items():
            self.event(Failed(node=node, what=error.what, where=error.where, advice=error.advice))


def _of(node: Node, **more: str) -> dict[str, Any]:
    return {"step": node.step, "target": node.target, **more}


def _difference(node: Node, words: Words) -> dict[str, str]:
    """What --diff shows: the values, and with them what is gone for good."""
    lost = f"{words.loses} (lost for good)\n" if words.loses else ""
    return {
        "before_header": f"{node.target}: {node.step}: {words.sentence}",
        "after_header": words.reason,
        "before": f"{words.before}\n{lost}",
        "after": "\n".join((words.after, *words.lines)) + "\n",
    }


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
        voice.planned(plan)
    else:
        with run.files.alone(COMMAND, run.note), orphaned(run.world.run.stop):
            _carry_out(run, plan, asked)
    if asked.ahead:
        _look_ahead(run, asked, voice)


def _look_ahead(run: LabRun, asked: Asked, voice: TaskVoice) -> None:
    """By the looks that there are: what was not changed is not asked again."""
    chosen = Selection(asked.ahead, frozenset(asked.targets))
    plan = Runner(run.lab, run.steps, run.world, run.runner.emit, chosen).plan()
    if asked.check:
        voice.planned(plan)
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


def _carry_out(run: LabRun, plan: Plan, asked: Asked) -> None:
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
        for node in [node for node in run.runner.graph if node not in run.runner.outcomes]:
            run.runner.emit(Failed(node=node, what=error.what, where=error.where, advice=error.advice))
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
