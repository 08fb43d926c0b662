"""A machine whose limit would let programs in guests fail in odd ways."""

from pathlib import Path

import pytest

from homelab.rehearsal.outside.inotify import allow_many


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [("128", "512", "raised fs.inotify.max_user_instances from 128 to 512"), ("8192", "8192", None)],
)
def test_a_low_limit_is_raised_and_named(tmp_path: Path, before: str, after: str, said: str | None) -> None:
    limit, told = tmp_path / "max_user_instances", list[str]()
    limit.write_text(before)
    allow_many(told.append, limit)
    assert limit.read_text().strip() == after
    assert [line.startswith(said or "") for line in told] == ([True] if said else [])


def test_where_it_cannot_be_raised_a_person_is_told(tmp_path: Path) -> None:
    told = list[str]()
    allow_many(told.append, tmp_path / "nothing")
    assert "too many open files" in told[0]
