"""A real guest that reads its seed from its VM's configuration, over the API and where that only reads."""

import shutil
from collections.abc import Iterator

import pytest

from homelab.ports.files.data import data_folder
from homelab.rehearsal.outside.launch import guests_possible
from tests.helpers.served import Lab, events, failures, served, summary

pytestmark = [pytest.mark.e2e, pytest.mark.thorough, pytest.mark.timeout(400)]
# One VM, its host and the NAS.
ONLY = ("-l", "brix1,lb1,nas")


@pytest.fixture(params=[(), ("--fault", "free-licence")], ids=["api", "ssh"])
def lab(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Lab]:
    if lack := guests_possible():
        pytest.skip(lack)
    told = tmp_path_factory.mktemp("told") / "inventory"
    shutil.copytree(data_folder("inventory"), told)
    with (told / "group_vars/all.yml").open("a") as variables:
        variables.write("guest_seed: guestinfo\n")
    with served(tmp_path_factory.mktemp("seed"), *request.param, inventory=told, lb1={"vm_host": "brix1"}) as made:
        yield made


def test_a_guest_is_told_by_its_vm_s_configuration_and_its_seed_is_gone_then(lab: Lab) -> None:
    done = lab.homelab("--yes", "-o", "json", "bootstrap", *ONLY, "--until", "guest", timeout=350)
    assert done.returncode == 0, failures(done.stdout)
    said = [e["sentence"] for e in events(done.stdout) if e["event"] == "changed" and e["step"] == "guest"]
    assert [sentence for sentence in said if "take the seed out" in sentence]
    asked = lab.ssh("lb1", "vmware-rpctool 'info-get guestinfo.userdata'")
    assert "No value found" in asked.stdout
    assert "DataSourceVMware [seed=guestinfo]" in lab.ssh("lb1", "cat /var/lib/cloud/data/result.json").stdout
    again = lab.homelab("--yes", "-o", "json", "bootstrap", *ONLY, "--until", "guest", timeout=350)
    assert (again.returncode, summary(again.stdout)["changed"]) == (0, 0)
    logs = b"".join(path.read_bytes() for path in lab.folder.rglob("logs/*/*") if path.is_file())
    assert logs
    assert b"PRIVATE KEY" not in logs
    assert b"H4sI" not in logs  # gzip in base64
