"""Looks are kept, failures of ours too; what nobody expected is neither kept nor in anybody's way."""

import threading

import pytest

from homelab.errors import HomelabError
from homelab.ports.looks import Looks


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
