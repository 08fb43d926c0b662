"""Labs that several tests share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from homelab.rehearsal.outside.launch import guests_possible
from tests.helpers.served import Lab, served


@pytest.fixture(scope="session")
def guest_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """The sample lab with real guests, bare at first; the tests of one file use it in their order."""
    if lack := guests_possible():
        pytest.skip(lack)
    with served(tmp_path_factory.mktemp("lab")) as lab:
        yield lab


@pytest.fixture
def host_lab(tmp_path: Path) -> Iterator[Lab]:
    """The sample lab's hosts, without guests, for one test."""
    with served(tmp_path, "--guests", "none") as lab:
        yield lab
