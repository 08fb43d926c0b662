"""For all tests of the rehearsal: one simulated host with its API."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.soap_host import SoapHost


@pytest.fixture
def soap(tmp_path: Path) -> Iterator[SoapHost]:
    """A host with a datastore, and pyVmomi logged in."""
    made = SoapHost(tmp_path)
    yield made
    made.close()
