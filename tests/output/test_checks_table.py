"""The table of `doctor`: a row for each machine, and at length only what is not fine."""

from collections.abc import Sequence

from homelab.checks.check import Answer, Check, Result
from homelab.output.checks_table import all_of_it, details, machines_table
from homelab.output.signs import Line

KINDS = {"brix1": "HOST", "brix2": "HOST", "cp1": "VM"}
AWAY = Answer(False, "no answer within 10 s", word="away")


def result(target: str, concern: str, answer: Answer, advice: str = "See the answer") -> Result:
    return Result(
        Check(f"the {concern} of {target} is right", target, "doctor", advice, lambda _: answer, concern), answer
    )


RESULTS = [
    result("brix1", "answers", Answer(True, "ESXi 6.7.0 build 8169922", word="6.7.0")),
    result("brix1", "clock", Answer(False, "3600 s ahead", word="+3600 s"), "Name time servers"),
    result("brix1", "CPUs", Answer(True, "8 a VM")),
    result("brix2", "answers", AWAY),
    result("brix2", "clock", AWAY),
    result("brix2", "CPUs", AWAY),
    result("cp1", "address", Answer(True, "nobody answers there", word="free")),
]


def texts(lines: Sequence[Line]) -> list[str]:
    return ["".join(text for text, _ in line).rstrip() for line in lines]


def test_each_machine_is_a_row_and_each_concern_a_column() -> None:
    assert texts(machines_table(RESULTS, KINDS, 80)) == [
        "HOST   answers   clock        CPUs",
        "brix1  6.7.0     NO: +3600 s  ok",
        "brix2  NO: away  -            -",
        "VM   address",
        "cp1  free",
    ]


def test_where_the_words_do_not_fit_there_is_a_mark() -> None:
    assert texts(machines_table(RESULTS, KINDS, 30)) == [
        "HOST   answers  clock  CPUs",
        "brix1  ok       NO     ok",
        "brix2  NO       -      -",
        "VM   address",
        "cp1  free",
    ]


def test_only_what_is_not_fine_is_told_and_what_is_away_is_told_once() -> None:
    assert texts(details(RESULTS, 80)) == [
        "",
        "not so: the clock of brix1 is right",
        "  3600 s ahead",
        "  to do: Name time servers",
        "",
        "not so: the answers of brix2 is right",
        "  no answer within 10 s",
        "  so not known: clock, CPUs",
    ]
    assert not details([each for each in RESULTS if each.answer.ok], 80)


def test_all_of_it_tells_every_check() -> None:
    told = all_of_it(RESULTS)
    assert told[0] == "ok  the answers of brix1 is right: ESXi 6.7.0 build 8169922"
    assert len(told) == len(RESULTS)
