"""Looks are kept, failures of ours too; what nobody expected is neither kept nor in anybody's way."""

import threading

import pytest

from homelab.errors import HomelabError
from homelab.ports.looks import Looks, afresh


def test_an_exception_that_is_not_ours_is_not_kept_and_holds_no_lock() -> None:
    answers = iter([ZeroDivisionError(), HomelabError("no", where="here", advice="wait"), "yes"])

    def ask(name: str) -> str:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    looks: Looks[str] = Looks(ask)
    with pytest.raises(ZeroDivisionError):
        looks.get("brix3")
    for _ in range(2):  # asked anew once; ours is an answer, and is kept
        failed: list[BaseException] = []
        thread = threading.Thread(target=lambda: failed.append(caught(looks)))  # noqa: B023
        thread.start()
        thread.join(5)
        assert not thread.is_alive()
        assert isinstance(failed[0], HomelabError)
    looks.forget("brix3")
    assert looks.get("brix3") == "yes"


def caught(looks: Looks[str]) -> BaseException:
    try:
        looks.get("brix3")
    except BaseException as error:
        return error
    raise AssertionError


def test_what_is_not_known_yet_is_asked_for_at_once_and_failures_are_left_out() -> None:
    meeting = threading.Barrier(3)

    def ask(name: str) -> str:
        meeting.wait(5)
        if name == "brix2":
            raise HomelabError("no", where="here", advice="wait")
        return f"look at {name}"

    looks: Looks[str] = Looks(ask)
    for _ in range(2):  # and once only
        assert looks.answered(["brix1", "brix2", "brix3"]) == {"brix1": "look at brix1", "brix3": "look at brix3"}


def counted() -> tuple[Looks[int], list[str]]:
    """Looks that tell how often anybody was asked, and who was."""
    asked: list[str] = []

    def ask(name: str) -> int:
        asked.append(name)
        return len(asked)

    return Looks(ask), asked


def test_afresh_holds_for_all_names_or_for_those_that_are_named() -> None:
    looks, asked = counted()
    looks.answered(["brix1", "brix2"])
    with afresh({"brix1"}):
        assert looks.answered(["brix1", "brix2"])["brix1"] == 3
    with afresh():
        looks.answered(["brix1", "brix2"])
    assert sorted(asked[2:]) == ["brix1", "brix1", "brix2"]


def test_all_are_forgotten_and_the_last_answer_is_still_known() -> None:
    looks, _ = counted()
    assert (looks.get("brix1"), looks.last("brix1")) == (1, 1)
    looks.forget_all()
    assert looks.last("brix1") == 1
    assert looks.get("brix1") == 2
    assert (looks.last("brix1"), looks.last("brix2")) == (2, 3)
    assert looks.get("brix2", lambda: 7) == 3
    looks.forget("brix2")
    assert looks.get("brix2", lambda: 7) == 7
