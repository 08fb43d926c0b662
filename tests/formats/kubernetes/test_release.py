"""Which release of Kubernetes may follow which: kubeadm's own rule, and the version skew policy."""

import pytest

from homelab.formats.kubernetes.release import Release, refusal


@pytest.mark.parametrize(
    ("text", "release"),
    [("1.36.3", Release(1, 36, 3)), ("v1.36.3", Release(1, 36, 3)), ("1.36", None), ("1.36.3-rc.0", None), ("", None)],
)
def test_a_release_has_three_numbers(text: str, release: Release | None) -> None:
    assert Release.read(text) == release


@pytest.mark.parametrize(
    ("runs", "wanted", "words"),
    [
        ("1.36.2", "1.36.3", ""),
        ("1.36.2", "1.36.10", ""),
        ("1.35.9", "1.36.0", ""),
        ("1.36.3", "1.36.3", ""),
        ("1.35.1", "1.37.0", "allowed are 1.35.x and 1.36.x"),
        ("1.36.3", "1.36.2", "no way back to 1.36.2"),
        ("1.36.10", "1.36.9", "no way back"),
        ("1.36.0", "1.35.9", "no way back"),
        ("1.36.3", "2.0.0", "allowed are"),
    ],
)
def test_one_minor_release_at_a_time_and_never_back(runs: str, wanted: str, words: str) -> None:
    before, after = Release.read(runs), Release.read(wanted)
    assert before
    assert after
    said = refusal(before, after)
    assert (words in said) if words else said == ""
