"""The copy of a host's configuration: only a whole one counts."""

import gzip

import pytest

from homelab.formats.boot.config_bundle import bundle_problem
from homelab.rehearsal.host.backup import _tar

WHOLE = _tar({"Manifest.txt": b"Build\n", "state.tgz": _tar({"local.tgz": b"\0" * 5000})})


def test_a_whole_bundle_is_one() -> None:
    assert bundle_problem(WHOLE) is None


def test_a_bundle_that_is_cut_anywhere_is_none() -> None:
    assert not [size for size in range(0, len(WHOLE), 7) if bundle_problem(WHOLE[:size]) is None]


@pytest.mark.parametrize(
    "content",
    [b"", b"<html>503 Service Unavailable</html>", gzip.compress(b"no tar"), _tar({}), WHOLE[:-4] + b"\0\0\0\0"],
    ids=["empty", "a page", "no tar", "no files", "wrong length"],
)
def test_what_is_no_bundle_is_none(content: bytes) -> None:
    assert bundle_problem(content)
