"""A plan as a person would tell it: machine by machine, in order, and what it comes to. Pure."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from textwrap import wrap

from homelab.engine.plan import Plan
from homelab.engine.step import Blocked, Change, HandOver, Node, Planned
from homelab.errors import HomelabError
from homelab.output.sentences import plan_sentence
from homelab.output.signs import LEAST_WIDTH, Line

# The signs of a unified diff.
DIFFERENCE = {"+": "green", "-": "red"}
# What stands before a step: something is lost or interrupted, not known yet, for a person, not to be looked at.
HARM, UNKNOWN, HANDS, FAILED, PLAIN = "!", "?", ">", "x", " "
UNTOLD = ("absent", "present")


@dataclass
class PlanText:
    """How plans are told: no line longer than `width`, every text `clean` before it is laid out.

    How a change is undone is told of the disruptive ones, and of all when `verbose`.
    """

    width: int
    clean: Callable[[str], str]
    verbose: bool = False
    _steps: int = 0

    def lines(self, plan: Plan, time: str = "") -> list[Line]:
        """All of it: each machine with its steps, what a person must do, and the sum with the `time` it may take."""
        self._steps = max((len(node.step) for node in plan.nodes), default=0)
        lines: list[Line] = []
        for target in dict.fromkeys(node.target for node in plan.nodes):
            about = [line for node in plan.nodes if node.target == target for line in self._node(plan, node)]
            if about:
                lines += [((self.clean(target), "bold"),), *about, ()]
        lines += self._hands(plan)
        sentence = plan_sentence(plan)
        return [*lines, *self._wrapped("", "", f"{sentence}; {time}" if time else sentence, "bold")]

    def _node(self, plan: Plan, node: Node) -> Iterator[Line]:
        """One step of a machine."""
        for item in plan.items.get(node, ()):
            yield from self._item(node, item)
        for remark in plan.remarks.get(node, ()):
            yield from self._step(PLAIN, node, f"remark: {remark}", "dim")
        if error := plan.failures.get(node):
            yield from self._failure(node, error)

    def _item(self, node: Node, item: Planned[Change]) -> Iterator[Line]:
        if isinstance(item, Blocked):
            yield from self._step(UNKNOWN, node, f"not known until {item.until}", "yellow")
        elif isinstance(item, HandOver):
            yield from self._step(HANDS, node, str(item), "magenta")
        else:
            yield from self._change(node, item)

    def _change(self, node: Node, change: Change) -> Iterator[Line]:
        words = change.words
        if change.disruptive:
            yield from self._step(HARM, node, f"{words.sentence} (disruptive)", "bold yellow")
            # What is there now is a fact that consent needs, as much as the sentence is.
            yield from self._more("now", words.before, "yellow")
            yield from self._more("then", words.after)
            yield from self._more("why", words.reason)
        else:
            differs = "" if (words.before, words.after) == UNTOLD else f"{words.before} -> {words.after}"
            yield from self._step(PLAIN, node, words.sentence)
            yield from self._more("why", "; ".join(filter(None, (words.reason, differs))))
        if words.loses:
            yield from self._more("gone for good", words.loses, "bold red")
        if change.disruptive or self.verbose:
            yield from self._more("undo", words.undo)
        for line in words.lines:
            yield ((" " * self._indent, ""), (self.clean(line), DIFFERENCE.get(line[:1], "dim")))

    def _failure(self, node: Node, error: HomelabError) -> Iterator[Line]:
        yield from self._step(FAILED, node, f"could not be looked at: {error.what}", "bold red")
        yield from self._more("where", error.where, "")
        yield from self._more("to do", error.advice, "")

    def _hands(self, plan: Plan) -> list[Line]:
        """What a person must do, together: of a plan that is read once, this must not be missed."""
        asked = plan.of(HandOver)
        if not asked:
            return []
        told = [line for _, item in asked for line in self._wrapped(f"  {HANDS} ", "    ", item.do, "magenta")]
        return [(("For your hands, before anything else of these machines", "bold magenta"),), *told, ()]

    @property
    def _indent(self) -> int:
        return self._steps + 6

    def _step(self, sign: str, node: Node, text: str, style: str = "") -> list[Line]:
        return self._wrapped(f"  {sign} {node.step:<{self._steps}}  ", " " * self._indent, text, style)

    def _more(self, head: str, text: str, style: str = "dim") -> list[Line]:
        indent = " " * self._indent
        return self._wrapped(f"{indent}{head}: ", f"{indent}  ", text, style)

    def _wrapped(self, head: str, more: str, text: str, style: str) -> list[Line]:
        """A text in lines that fit; a command in it is not cut at its hyphens."""
        made = wrap(
            self.clean(text),
            max(self.width, LEAST_WIDTH),
            initial_indent=head,
            subsequent_indent=more,
            break_on_hyphens=False,
        )
        return [((line, style),) for line in made or [head.rstrip()]]
