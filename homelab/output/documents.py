"""The JSON documents of the contract, made of events and plans in this one place."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from homelab.engine.events import (
    Changed,
    Event,
    Failed,
    HandedOver,
    HeldUp,
    Intended,
    Started,
    Summary,
    Unchanged,
    Waiting,
)
from homelab.engine.plan import Plan
from homelab.engine.step import Blocked, Change, HandOver, Node

Rows = Sequence[Mapping[str, Any]]


def event_document(event: Event) -> dict[str, Any]:
    """One event as the contract's JSON object."""
    node = {"step": event.node.step, "target": event.node.target} if event.node else {"step": None, "target": None}
    return {"event": event.kind, "at": rfc3339(event.at), **node, **_own_fields(event)}


def log_document(event: Event) -> dict[str, Any]:
    """The same for the log of a run, which also tells what each start waited for: so its timeline can be drawn."""
    waited = [row(node) for node in event.after] if isinstance(event, Started) else None
    return event_document(event) | ({} if waited is None else {"after": waited})


def _own_fields(event: Event) -> dict[str, Any]:
    match event:
        case Intended(plan=plan):
            return plan_document(plan)
        case Waiting():
            return {
                "for": event.condition,
                "deadline": event.deadline.isoformat(timespec="seconds"),
                "last": event.last,
            }
        case Changed(node=node, change=change) if node:
            return change_document(node, change)
        case Unchanged(sentence=sentence) if sentence:
            return {"sentence": sentence}
        case Failed():
            return {"what": event.what, "where": event.where, "advice": event.advice}
        case HeldUp(until=until):
            return {"until": until}
        case HandedOver(do=do):
            return {"do": do}
        case Summary():
            return summary_document(event)
    return {}


def summary_document(summary: Summary) -> dict[str, Any]:
    """The numbers of a run."""
    return asdict(summary.counts) | {"seconds": summary.seconds, "left_out": list(summary.left_out)}


def plan_document(plan: Plan) -> dict[str, Any]:
    """A plan; `remarks` stand in it where there are any."""
    remarks = [row(node, sentence=said) for node, all_said in plan.remarks.items() for said in all_said]
    return planned_document(
        [change_document(node, change) for node, change in plan.of(Change)],
        [row(node, until=item.until) for node, item in plan.of(Blocked)],
        [row(node, do=item.do) for node, item in plan.of(HandOver)],
    ) | ({"remarks": remarks} if remarks else {})


def planned_document(changes: Rows, blocked: Rows, hand_overs: Rows) -> dict[str, Any]:
    """What is planned or was done, as rows of a plan."""
    return {"changes": list(changes), "blocked": list(blocked), "hand_overs": list(hand_overs)}


def change_document(node: Node, change: Change) -> dict[str, Any]:
    """One change."""
    words = change.words
    return row(
        node,
        sentence=words.sentence,
        reason=words.reason,
        before=words.before,
        after=words.after,
        disruptive=change.disruptive,
        undo=words.undo,
    )


def row(node: Node, **more: Any) -> dict[str, Any]:
    """What is told of a node."""
    return {"step": node.step, "target": node.target, **more}


def rfc3339(moment: datetime) -> str:
    """A time in UTC with milliseconds."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
