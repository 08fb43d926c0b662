"""One run of steps on a lab: plan, consent, apply, verify, and the exit code."""

import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from homelab.checks import Check, Result, run_checks, smoke_tests
from homelab.data import data_folder
from homelab.errors import Interrupted, UsageError
from homelab.graph import Graph, chosen_graph, full_graph, one_by_one
from homelab.inventory import read_lab
from homelab.lab import EsxiHost, Lab, Vcenter
from homelab.options import Options
from homelab.ports.ansible_inventory import Vault, select_hosts
from homelab.ports.files import HomeFiles, home_of
from homelab.ports.open_world import open_world
from homelab.ports.record import finish
from homelab.ports.world import World, at
from homelab.preflight import preflight
from homelab.runner import Event, Plan, Runner
from homelab.step import Blocked, Change, Node, Step
from homelab.ui import Ui, event_fields

DONE, FAILED, USAGE, CHANGES, HANDED_OVER = 0, 1, 2, 3, 4
VERIFY = "verify"
VERIFY_SECONDS = 60.0
HOST_STEPS = ("driver-fix", "reboot")


@dataclass(frozen=True)
class Choice:
    """Which part of the list of steps a person asked for."""

    only: str | None = None
    start: str | None = None
    until: str | None = None

    def steps(self, names: Sequence[str]) -> tuple[str, ...]:
        """The chosen names, in order."""
        if self.only:
            return (self.only,)
        first = names.index(self.start) if self.start else 0
        last = names.index(self.until) if self.until else len(names) - 1
        if first > last:
            raise UsageError(
                f"--from {self.start} comes after --until {self.until}",
                where="command line",
                advice=f"The order is: {', '.join(names)}",
            )
        return tuple(names[first : last + 1])


@cache
def vault_of(options: Options) -> Vault:
    """The vault of a command: its password is asked for once, on a terminal only."""
    return Vault(options.ui.ask_secret if sys.stdin.isatty() else None)


def lab_of(options: Options, vault: Vault) -> Lab:
    """The inventory's lab; what works but is hardly meant is warned of."""
    reading = read_lab(options.inventories, vault)
    for warning in reading.warnings:
        options.ui.warn(str(warning))
    return reading.lab


class Run:
    """One command on one lab: its world, its events, its log."""

    def __init__(
        self,
        options: Options,
        steps: Sequence[Step],
        choice: Choice | None = None,
        *,
        lab: Lab | None = None,
        one_after_another: Sequence[str] = (),
    ) -> None:
        self.ui = options.ui
        self.yes = options.yes
        self.began = time.monotonic()
        vault = vault_of(options)
        lab = lab or lab_of(options, vault)
        choice = choice or Choice()
        names = [step.name for step in steps]
        self.chosen_steps = choice.steps(names)
        self.left_out = [name for name in names if name not in self.chosen_steps]
        self.limit = set(select_hosts(options.inventories, options.limit, vault)) if options.limit else None
        self.lab = lab
        home = home_of(options.inventories, data_folder("inventory"))
        self.files = HomeFiles(home, secrets=_secrets(lab, vault), warn=self.ui.warn)
        self.ui.hide(self.files.masks)
        self.world: World = open_world(lab, options.inventories, vault, self.files, self._note)
        graph = chosen_graph(full_graph(lab, steps), self._chosen)
        if one_after_another:
            graph = one_by_one(graph, HOST_STEPS, one_after_another, strict=True)
        self.runner = Runner(lab, steps, graph, self.world, self._emit)
        self._make_safe()

    def _make_safe(self) -> None:
        """The folder of keys and logs is ours alone before anything is asked."""
        for sentence in self.files.close_up():
            self._note(sentence)
        if self.files.masks.short:
            self.ui.warn("a password has fewer than 4 characters: logs hide it only where it stands alone")

    def _chosen(self, node: Node) -> bool:
        return node.step in self.chosen_steps and (self.limit is None or node.target in self.limit)

    def _note(self, text: str) -> None:
        self.world.log(text)
        self.ui.note(text)

    def _emit(self, event: Event) -> None:
        fields = json.dumps(event_fields(event), default=str)
        self.files.append("events.jsonl", fields + "\n")
        self.world.log(fields)
        self.ui.event(event)

    def show_plan(self, plan: Plan) -> None:
        """The plan, as the document or for people."""
        if self.ui.json:
            for node, error in plan.failures.items():
                self.ui.error(error)
                self.world.log(f"{node}: {error}")
            return
        self.ui.plan(plan.document(), [(str(node), error) for node, error in plan.failures.items()])

    def carry_out(self, *, verify: bool, command: str = "bootstrap") -> int:
        """Plan, consent, apply, verify, as the only run that writes; the exit code."""
        with self.files.alone(command, self._note):
            return self._carry_out(verify=verify)

    def _carry_out(self, *, verify: bool) -> int:
        plan = self.runner.plan()
        self.runner.emit("plan", None, **plan.document())
        if not self.ui.json and not plan.empty:
            self.show_plan(plan)
        if not self._consents(plan):
            self.ui.warn("nothing was touched")
            return USAGE
        self.runner.graph = self._hosts_one_by_one(plan)
        shown = Shown(plan, self.ui)
        try:
            numbers: dict[str, Any] = dict(self.runner.run(shown))
        except Interrupted:
            self._sum_up(dict(self.runner.counts()))
            raise
        if verify and not numbers["failed"] + numbers["blocked"] + numbers["handed_over"]:
            numbers["failed"] += self._verify()
        self._sum_up(numbers)
        return exit_code(numbers)

    def _sum_up(self, numbers: dict[str, Any]) -> None:
        numbers["seconds"] = round(time.monotonic() - self.began, 1)
        numbers["left_out"] = self.left_out
        self.runner.emit("summary", None, **numbers)
        finish(self.files)
        if not self.ui.json:
            self.ui.say(summary_sentence(numbers))

    def _consents(self, plan: Plan) -> bool:
        if self.yes or not plan.of(Change):
            return True
        if sys.stdin.isatty():
            return agreed(self.ui, plan)
        if plan.disruptive:
            raise UsageError(
                f"{len(plan.disruptive)} change(s) would reboot, power off, format or destroy something, and nobody "
                "is there to agree",
                where="no terminal",
                advice="Read the plan with `homelab plan`, then run again with --yes",
            )
        return True

    def _hosts_one_by_one(self, plan: Plan) -> Graph:
        """Hosts that have to reboot do so one after another; the first that does not come back stops the rest."""
        busy = {node.target for node, items in plan.items.items() if items and node.step in HOST_STEPS}
        return one_by_one(self.runner.graph, HOST_STEPS, [host.name for host in self.lab.esxi if host.name in busy])

    def _verify(self) -> int:
        """The smoke tests of the chosen steps, as events; how many failed."""
        checks = [
            check for check in smoke_tests(self.lab) if self._whole or self._chosen(Node(check.step, check.target))
        ]
        results = run_checks(self.world, checks, VERIFY_SECONDS, self._verify_waiting)
        for result in results:
            node = Node(VERIFY, result.check.target)
            if result.answer.ok:
                self.runner.emit("unchanged", node, sentence=f"{result.check.sentence}: {result.answer.text}")
            else:
                self.runner.emit(
                    "failed",
                    node,
                    what=f"not true: {result.check.sentence}; last answer: {result.answer.text}",
                    where=result.check.target,
                    advice=result.check.advice,
                )
        return sum(not result.answer.ok for result in results)

    @property
    def _whole(self) -> bool:
        return not self.left_out and self.limit is None

    def _verify_waiting(self, check: Check, answer: str) -> None:
        fields = {"for": check.sentence, "deadline": at(VERIFY_SECONDS), "last": answer}
        self.runner.emit("waiting", Node(VERIFY, check.target), **fields)

    def verify_only(self) -> int:
        """The smoke tests, and the plan must be empty."""
        plan = self.runner.plan()
        results = run_checks(self.world, smoke_tests(self.lab), 5.0, lambda check, answer: None)
        ok = self._show_checks(results, plan, must_be_empty=True)
        if not self.ui.json:
            self.show_plan(plan)
        return DONE if ok else FAILED

    def doctor(self) -> int:
        """The preflight checks, each asked once; what would be changed is counted and not judged."""
        chosen = [check for check in preflight(self.lab) if self.limit is None or check.target in self.limit]
        results = run_checks(self.world, chosen, 0.0, lambda check, answer: None)
        return DONE if self._show_checks(results, self.runner.plan(), must_be_empty=False) else FAILED

    def _show_checks(self, results: Sequence[Result], plan: Plan, *, must_be_empty: bool) -> bool:
        changes = sum(len(items) for items in plan.items.values())
        ok = all(result.answer.ok for result in results)
        ok = ok and (not must_be_empty or (plan.empty and not plan.failures))
        if self.ui.json:
            self.ui.document({"ok": ok, "checks": [result.fields() for result in results], "changes": changes})
            return ok
        for result in results:
            self.ui.say(f"{'ok    ' if result.answer.ok else 'FAILED'} {result.check.sentence}: {result.answer.text}")
            if not result.answer.ok:
                self.ui.say(f"       to do: {result.check.advice}")
        return ok


def agreed(ui: Ui, plan: Plan) -> bool:
    """Ask a person, with what is lost right at the question: the plan may have scrolled away, or gone into a file."""
    for change in plan.disruptive:
        ui.warn(f"{change.sentence}; now: {change.before}")
    return ui.confirm("Carry this out?")


class Shown:
    """Consent to a disruptive change: it was shown, or its node was shown as blocked, or a person agrees to it now.

    `--yes` answered for what was shown, and for nothing that comes up later. A node that was shown as blocked did not
    tell what would be lost: what is gone for good must have been shown itself.
    """

    def __init__(self, plan: Plan, ui: Ui) -> None:
        self._changes = set(plan.disruptive)
        self._blocked = {node for node, _ in plan.of(Blocked)}
        self._ui = ui

    def __call__(self, node: Node, change: Change) -> bool:
        """Whether this change of this node was agreed to."""
        if change in self._changes or (node in self._blocked and not change.loses):
            return True
        question = f"{change.sentence} ({change.reason}; now: {change.before})?"
        return sys.stdin.isatty() and self._ui.confirm(question)


def _secrets(lab: Lab, vault: Vault) -> tuple[str, ...]:
    """Every password of the lab, whoever it is for, and what opens the vault."""
    hosts: tuple[EsxiHost | Vcenter, ...] = (*lab.esxi, *lab.vcenter)
    return tuple({host.password.get_secret_value() for host in hosts} | vault.secrets)


def summary_sentence(numbers: Mapping[str, Any]) -> str:
    """The summary for people."""
    left_out = f"; left out: {', '.join(numbers['left_out'])}" if numbers["left_out"] else ""
    return (
        f"{numbers['changed']} changed, {numbers['unchanged']} unchanged, {numbers['failed']} failed, "
        f"{numbers['blocked']} blocked, {numbers['handed_over']} handed over, in {numbers['seconds']:.0f} s{left_out}"
    )


def exit_code(numbers: Mapping[str, Any]) -> int:
    """1 before 4; a blocked node without either is work left undone."""
    if numbers["failed"]:
        return FAILED
    if numbers["handed_over"]:
        return HANDED_OVER
    return FAILED if numbers["blocked"] else DONE
