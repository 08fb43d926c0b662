"""What a task of a playbook is told: lines on Ansible's display, and an answer for every target."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from homelab.engine.events import Changed, Event, Failed, HandedOver, HeldUp, Waiting
from homelab.engine.plan import Plan
from homelab.engine.step import Blocked, Change, HandOver, Node, Words
from homelab.errors import HomelabError
from homelab.formats.trust.masks import Masks
from homelab.formats.visible import visible
from homelab.output.documents import change_document, planned_document, row
from homelab.output.run_lines import Waits
from homelab.output.sentences import sentence_of
from homelab.output.ui import Ui

Say = Callable[[str], None]


@dataclass
class Answer:
    """How it went at one target: sentences for people, the contract's objects for programs, a difference for --diff.

    `variables` is what a playbook for guests is handed where a step would run one. `ahead_right` is whether all that is
    looked at ahead is as wanted, at every target.
    """

    changes: list[dict[str, Any]] = field(default_factory=list)
    blocked: list[dict[str, Any]] = field(default_factory=list)
    hands: list[dict[str, Any]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    diff: list[dict[str, str]] = field(default_factory=list)
    variables: dict[str, Any] = field(default_factory=dict)
    ahead_right: bool = False

    def result(self, *, check: bool) -> dict[str, Any]:
        """What Ansible is told of the task. A check of what comes later is no failure; a run that stopped is one."""
        undone = [] if check else [f"{one['step']}: blocked until {one['until']}" for one in self.blocked]
        hands = [f"{one['step']}: {one['do']}" for one in self.hands]
        wrong = [*self.errors, *undone, *([] if check else hands)]
        told = [change["sentence"] for change in self.changes]
        if check:
            told += [f"{one['step']}: later, once {one['until']}" for one in self.blocked] + hands
        return {
            "changed": bool(self.changes),
            "failed": bool(wrong),
            "msg": "; ".join(wrong or told) or "as the inventory says",
            **planned_document(self.changes, self.blocked, self.hands),
            "diff": self.diff,
            "variables": self.variables,
            "ahead_right": self.ahead_right,
        }


class Answers(defaultdict[str, Answer]):
    """TARGET -> its answer; what goes in is told as a line on the way."""

    def __init__(self, say: Say) -> None:
        super().__init__(Answer)
        self.say = say
        self.masks = Masks()

    def line(self, node: Node, text: str) -> None:
        """A line on the way."""
        self.say(self.masks.text(f"{node.target}: {node.step}: {visible(text, lines=False)}"))

    def changed(self, node: Node, change: Change) -> None:
        """A change was made, or would be."""
        answer, document = self[node.target], change_document(node, change)
        texts = {name: self.masks.text(value) for name, value in document.items() if isinstance(value, str)}
        answer.changes.append(document | texts)
        answer.diff.append({name: self.masks.text(text) for name, text in _difference(node, change.words).items()})

    def blocked(self, node: Node, until: str) -> None:
        """Something cannot begin yet."""
        self[node.target].blocked.append(row(node, until=until))

    def handed_over(self, node: Node, do: str) -> None:
        """A person must act."""
        self[node.target].hands.append(row(node, do=do))
        self.line(node, f"your hands: {do}")

    def failed(self, node: Node, error: HomelabError) -> None:
        """It failed."""
        self[node.target].errors.append(self.masks.text(f"{node.step}: {error}"))
        self.line(node, f"failed: {error.what}")

    def planned(self, plan: Plan) -> None:
        """What a check found: nothing of it was done."""
        for node, change in plan.of(Change):
            self.changed(node, change)
            self.line(node, f"would {change}{' (disruptive)' if change.disruptive else ''}")
        for node, blocked in plan.of(Blocked):
            self.blocked(node, blocked.until)
            self.line(node, f"later, once {blocked.until}")
        for node, hand_over in plan.of(HandOver):
            self.handed_over(node, hand_over.do)
        for node, error in plan.failures.items():
            self.failed(node, error)


class TaskVoice(Ui):
    """The voice of a task."""

    def __init__(self, say: Say) -> None:
        super().__init__("text", color=False)
        self.answers = Answers(say)
        self._waits = Waits()

    def hide(self, masks: Masks) -> None:
        """As Ui."""
        super().hide(masks)
        self.answers.masks = masks

    @property
    def there(self) -> bool:
        """Nobody is: a task has no terminal."""
        return False

    def note(self, text: str) -> None:
        """As Ui."""
        self.answers.say(self.answers.masks.text(text))

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
        match event:
            case Changed(change=change):
                self.answers.changed(node, change)
                self.answers.line(node, f"done: {change}")
            case Failed():
                self.answers.failed(node, HomelabError(event.what, where=event.where, advice=event.advice))
            case HeldUp(until=until):
                self.answers.blocked(node, until)
            case HandedOver(do=do):
                self.answers.handed_over(node, do)
            case Waiting() if self._waits.worth_a_line(event):
                self.answers.line(node, sentence_of(event))


def _difference(node: Node, words: Words) -> Mapping[str, str]:
    """What --diff shows: the values, and with them what is gone for good."""
    lost = f"{words.loses} (lost for good)\n" if words.loses else ""
    return {
        "before_header": f"{node.target}: {node.step}: {words.sentence}",
        "after_header": words.reason,
        "before": f"{words.before}\n{lost}",
        "after": "\n".join((words.after, *words.lines)) + "\n",
    }
