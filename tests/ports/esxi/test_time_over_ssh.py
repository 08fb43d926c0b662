"""Time servers that are set in the shell of each release."""

from pathlib import Path

import pytest

from homelab.ports.ansible.inventory import Vault
from homelab.ports.esxi.shell_writer import with_servers
from homelab.ports.files.home import HomeFiles
from homelab.ports.open_world import open_world
from homelab.rehearsal.host.host import Host
from tests.helpers.one_host import lab_of, standing
from tests.helpers.vm_lab import make_free

CONF = """restrict default kod nomodify notrap
server old.example.org iburst
pool older.example.org
driftfile /etc/ntp.drift
"""


@pytest.mark.parametrize("version", ["6.5.0", "6.7.0", "7.0.3"])
def test_a_host_asks_the_servers_that_it_was_told(tmp_path: Path, version: str) -> None:
    def prepare(host: Host) -> None:
        host.version = version
        make_free(host)

    lab = lab_of()
    with standing(lab, tmp_path, prepare) as served:
        world = open_world(lab, [tmp_path], Vault(None), HomeFiles(tmp_path / "home"), lambda _: None)
        with world.writer("brix3") as writer:
            writer.set_time_servers(["192.168.2.1", "pool.ntp.org"])
        look = world.host("brix3")
        assert look.ntp_servers == ("192.168.2.1", "pool.ntp.org")
        assert (look.services["ntpd"], look.policies["ntpd"]) == (True, "on")
        assert served.host.rulesets["ntpClient"]
        assert not served.host.dirty


def test_other_lines_of_ntp_conf_stay() -> None:
    assert with_servers(CONF, ["a", "b"]) == (
        "restrict default kod nomodify notrap\ndriftfile /etc/ntp.drift\nserver a\nserver b\n"
    )
