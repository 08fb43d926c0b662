"""The table of what vcsim lacks holds nothing that it has."""

from pathlib import Path

import pytest

from homelab.lab import EsxiHost
from homelab.ports.files.home import HomeFiles
from homelab.ports.host_writer import NfsMount
from homelab.ports.vsphere import open_session
from homelab.ports.vsphere.storage import mount_nfs
from tests.helpers import vcsim


@pytest.mark.thorough
@pytest.mark.timeout(600)
@pytest.mark.parametrize("call", vcsim.LACKS)
def test_vcsim_still_lacks_it(call: str, tmp_path: Path) -> None:
    with vcsim.served(tmp_path) as port:
        host = EsxiHost(name="vcsim", address=vcsim.ADDRESS, password="right", api_port=port, api_timeout=5)
        with open_session(host, HomeFiles(tmp_path / ".homelab"), lambda _: None) as session:
            mount_nfs(session, NfsMount.of(vcsim.NAS))
            assert not vcsim.LACKS[call].works(session), f"{call} works now: take it off the table"
