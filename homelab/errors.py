"""The tree of errors: what happened, where, and what to do.

HomelabError                 something failed (exit 1)
├── UsageError               the command or its consent is wrong (exit 2)
│   └── InventoryError       mistakes in the inventory, all at once (exit 2)
├── Unreachable              no answer within the deadline
│   └── Starting             a host answers, and cannot tell everything yet
├── TrustError               a pinned certificate or host key changed
├── LoginRefused             wrong name or password; never tried twice
├── HostFault                ESXi or a guest answered, and said no
├── Refused                  a guard holds: acting would do harm
├── DeadlinePassed           a condition did not come true in time
├── NotTaken                 a change was made and is still planned
├── PersonNeeded             only a person at the machine can go on (exit 4)
└── Interrupted              the user stopped the run (exit 130)
"""

from dataclasses import dataclass, field

DONE = 0
FAILED = 1
# A mistake on the command line or in the inventory, and a plan that nobody agreed to.
USAGE = 2
# `plan` found something to do.
CHANGES = 3
# A person must act.
HANDED_OVER = 4
INTERRUPTED = 130

EXIT_CODES = {
    DONE: "done, or nothing to do",
    FAILED: "something failed; what does not depend on it was done",
    USAGE: "the command or the inventory is wrong, or the answer was no; nothing was touched",
    CHANGES: "`plan` found changes, or something that is blocked",
    HANDED_OVER: "a person must do something; the output says what",
    INTERRUPTED: "interrupted; run again, it goes on where it stopped",
}


def page_of(kind: str) -> str:
    """Where the documentation tells more of a kind of mistake; empty for none."""
    return f"docs/reference/mistakes.md#{kind}" if kind else ""


class HomelabError(Exception):
    """Something failed: `what` happened, `where` (file:line, host, address), and the `advice` what to do.

    `kind` is a heading of docs/reference/mistakes.md, where one tells more.
    """

    exit_code = FAILED

    def __init__(self, what: str, *, where: str, advice: str, kind: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.advice = advice
        self.see = page_of(kind)

    def __str__(self) -> str:
        return f"{self.where}: {self.what}. {self.advice}"


class UsageError(HomelabError):
    """The command cannot be carried out as it was given."""

    exit_code = USAGE


@dataclass(frozen=True)
class Mistake:
    """One mistake in the inventory: `where` is FILE:LINE, `what` is wrong, `fix` is what to write.

    `kind` is the heading of docs/reference/mistakes.md that tells more.
    """

    where: str
    what: str
    fix: str
    kind: str = field(default="", compare=False)

    @property
    def see(self) -> str:
        """The page and its heading."""
        return page_of(self.kind)

    def __str__(self) -> str:
        return f"{self.where}: {self.what}; {self.fix}"


class InventoryError(UsageError):
    """Every mistake of an inventory, in the order of files and lines."""

    def __init__(self, mistakes: list[Mistake]) -> None:
        self.mistakes = tuple(mistakes)
        first = mistakes[0]
        super().__init__(first.what, where=first.where, advice=first.fix, kind=first.kind)

    def __str__(self) -> str:
        return "\n".join(str(mistake) for mistake in self.mistakes)


class Unreachable(HomelabError):
    """No answer within the deadline."""


class Starting(Unreachable):
    """A host answers, and does not know all of itself yet; for whoever waits it is not there yet."""


class TrustError(HomelabError):
    """A certificate or a host key is not the one that was pinned."""


class LoginRefused(HomelabError):
    """A login was refused; it is never tried twice, five failures lock the account for 900 s."""


class HostFault(HomelabError):
    """The other side answered, and said no."""


class Refused(HomelabError):
    """A guard holds: going on would do harm."""


class DeadlinePassed(HomelabError):
    """A condition did not come true before its deadline."""


class NotTaken(HomelabError):
    """A change was made, and looking again still plans it."""


class PersonNeeded(HomelabError):
    """Only a person at the machine can go on; `advice` are the steps to take there."""

    exit_code = HANDED_OVER


class Interrupted(HomelabError):
    """The user stopped the run; running again goes on."""

    exit_code = INTERRUPTED
