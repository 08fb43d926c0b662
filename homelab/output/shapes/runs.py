"""Plans, the events of a run, and checks."""

from typing import Annotated, Literal

from pydantic import Field, RootModel

from homelab.output.shapes.parts import Name, Sentence, Shape


class OfNode(Shape):
    """What belongs to a step at a target."""

    step: str
    target: Name


class Change(OfNode):
    """One change; `disruptive` ones reboot, power off, format or destroy."""

    sentence: Sentence
    reason: Sentence
    before: Sentence
    after: Sentence
    disruptive: bool
    undo: Sentence


class BlockedItem(OfNode):
    """What cannot be planned before something else has happened."""

    until: Sentence


class HandOverItem(OfNode):
    """What a person must do."""

    do: Sentence


class Remark(OfNode):
    """What a person should know beside the changes."""

    sentence: Sentence


class Plan(Shape):
    """What `plan` prints; all lists are empty when nothing is to be done."""

    changes: list[Change]
    blocked: list[BlockedItem]
    hand_overs: list[HandOverItem]
    remarks: list[Remark] | None = Field(None, description="There only where something is remarked.")


class EventShape(Shape):
    """One line of a command that writes; of the run's own events `step` and `target` are null."""

    at: str
    step: str | None
    target: Name | None


class PlanEvent(EventShape, Plan):
    """The plan was made."""

    event: Literal["plan"]


class StartEvent(EventShape):
    """A step began at a target."""

    event: Literal["start"]
    after: list[OfNode] | None = Field(None, description="In `events.jsonl` alone: what it waited for.")


class WaitingEvent(EventShape):
    """A condition is waited for."""

    event: Literal["waiting"]
    condition: Sentence = Field(alias="for")
    deadline: str
    last: Sentence


class ChangedEvent(EventShape, Change):
    """A change was made."""

    event: Literal["changed"]
    step: str
    target: Name


class UnchangedEvent(EventShape):
    """A target was as it should be."""

    event: Literal["unchanged"]
    sentence: Sentence | None = Field(None, description="There only where something is said.")


class FailedEvent(EventShape):
    """Something failed."""

    event: Literal["failed"]
    what: Sentence
    where: Sentence
    advice: Sentence


class BlockedEvent(EventShape):
    """A target could not be begun."""

    event: Literal["blocked"]
    until: Sentence


class HandOverEvent(EventShape):
    """A person must do something."""

    event: Literal["hand_over"]
    do: Sentence


class SummaryEvent(EventShape):
    """The last line: changes made, and how the nodes ended."""

    event: Literal["summary"]
    changed: int
    unchanged: int
    failed: int
    blocked: int
    handed_over: int
    seconds: float
    left_out: list[str] = Field(description="Steps that were not asked for.")


class Event(
    RootModel[
        Annotated[
            PlanEvent
            | StartEvent
            | WaitingEvent
            | ChangedEvent
            | UnchangedEvent
            | FailedEvent
            | BlockedEvent
            | HandOverEvent
            | SummaryEvent,
            Field(discriminator="event"),
        ]
    ]
):
    """One line of JSON of every command that writes to the lab."""


class CheckedSentence(Shape):
    """One check."""

    sentence: Sentence
    target: Name
    ok: bool
    answer: Sentence
    advice: Sentence


class Checks(Shape):
    """What `verify` and `doctor` print; `changes` is how much is still planned."""

    ok: bool
    checks: list[CheckedSentence]
    changes: int
