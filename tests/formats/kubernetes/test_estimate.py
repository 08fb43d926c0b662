"""How long the rest takes."""

import pytest

from homelab.formats.kubernetes.estimate import in_words, remaining

WEIGHTS = {"first": 60.0, "second": 100.0, "third": 20.0}


def test_before_anything_was_seen_the_table_counts() -> None:
    assert remaining(WEIGHTS, {}, WEIGHTS) == 180


def test_a_machine_that_takes_three_times_as_long_is_believed_by_and_by() -> None:
    assert remaining(WEIGHTS, {"first": 180.0}, ["second", "third"]) == 2 * 120
    assert remaining(WEIGHTS, {"first": 180.0, "second": 300.0}, ["third"]) > 2.3 * 20


def test_what_lasts_longer_than_expected_takes_nothing_from_the_others() -> None:
    assert remaining(WEIGHTS, {}, ["second", "third"], now="second", past=40) == 80
    assert remaining(WEIGHTS, {}, ["second", "third"], now="second", past=400) == 20


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "a few seconds"), (34, "30 s"), (94, "90 s"), (96, "2 min"), (620, "10 min")]
)
def test_it_is_told_no_more_exactly_than_it_is_known(seconds: float, words: str) -> None:
    assert in_words(seconds) == words
