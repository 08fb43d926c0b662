"""Reading the inventory: the sample, its vaults, and every mistake at its line."""

import shutil
import time
from collections.abc import Callable
from ipaddress import IPv4Address
from pathlib import Path

import pytest
import yaml

from homelab.errors import InventoryError, Mistake, UsageError
from homelab.inventory import raw_variables, read_lab
from homelab.inventory.lines import read_lines
from homelab.inventory.values import mac_of
from homelab.ports.ansible.inventory import Vault, list_hosts, select_hosts, whole_names
from tests.helpers.checkout import ROOT

SAMPLE = Path("inventory")
FIXTURES = Path("tests/inventories")
PASSWORD = FIXTURES / "password"
INVALID = Path("tests/invalid")


@pytest.fixture(autouse=True)
def _root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.delenv("ANSIBLE_VAULT_PASSWORD_FILE", raising=False)


def mistakes_of(*sources: Path, vault: Vault | None = None) -> list[str]:
    with pytest.raises(InventoryError) as caught:
        read_lab(sources, vault)
    return [str(mistake) for mistake in caught.value.mistakes]


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def test_sample_is_the_lab_of_the_four_brix() -> None:
    started = time.monotonic()
    reading = read_lab([SAMPLE, PASSWORD])
    lab = reading.lab
    assert reading.warnings == ()
    assert [host.name for host in lab.esxi] == ["brix1", "brix2", "brix3", "brix4"]
    assert [host.rehearsal_model for host in lab.esxi] == ["GB-XM11-3337"] * 2 + ["GB-BRi7-8550"] * 2
    assert [vm.name for vm in lab.vms] == ["cp1", "cp2", "cp3", "lb1", "lb2"]
    assert lab.api.vip == IPv4Address("192.168.2.100")
    assert (lab.nfs[0].server, lab.nfs[0].export, lab.nfs[0].datastore) == ("192.168.2.5", "/volume1/homelab", "nas")
    assert lab.host("brix3").password.get_secret_value() == "for-the-tests"
    assert lab.kubernetes.version == "1.36.3"
    assert time.monotonic() - started < 5  # 0.5 s; a busy machine may need more


def test_sample_without_a_vault_names_the_command_that_makes_it() -> None:
    assert mistakes_of(SAMPLE) == [
        "inventory/group_vars/esxi/esxi.yml:8: ansible_password refers to vault_esxi_password, which is set nowhere; "
        "run `ansible-vault create inventory/group_vars/esxi/vault.yml` and write vault_esxi_password: "
        "and the secret into it"
    ]


def test_all_mistakes_come_at_once() -> None:
    names = ["wrong_address", "unknown_variable", "duplicate_address", "unquoted_mac"]
    folders = [INVALID / name for name in names]
    told = [line for folder in folders for line in (folder / "expected.txt").read_text().splitlines()]
    expected = [line for line in told if line.startswith("tests/")]
    assert sorted(mistakes_of(SAMPLE, PASSWORD, *folders)) == sorted(expected)


def test_even_number_of_control_planes_is_a_warning(tmp_path: Path) -> None:
    hosts = "control_plane:\n  hosts:\n    cp4:\n      ansible_host: 192.168.2.24\n"
    warnings = read_lab([SAMPLE, PASSWORD, write(tmp_path, {"hosts.yml": hosts})]).warnings
    what = "4 control planes survive no more failures than 3"
    assert warnings == (Mistake(f"{tmp_path}/hosts.yml:3", what, "make them 3 or 5: etcd needs a majority"),)


@pytest.fixture
def no_esxi(tmp_path: Path) -> Path:
    """The sample without its mini-PCs."""
    shutil.copytree(SAMPLE, tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("esxi", "gb_*"))
    hosts = yaml.safe_load((tmp_path / "hosts.yml").read_text())
    del hosts["all"]["children"]["esxi"]
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump(hosts))
    return tmp_path


def test_vms_that_no_host_can_hold_are_a_mistake(no_esxi: Path) -> None:
    [mistake] = mistakes_of(no_esxi)
    assert mistake.startswith(f"{no_esxi}/hosts.yml:")
    assert mistake.endswith(
        "cp1, cp2, cp3, lb1, lb2 cannot be made, for the group esxi is empty; add the ESXi hosts to the group esxi, "
        "or write vm_managed: false where a machine exists already"
    )


def test_machines_that_exist_already_need_no_host(no_esxi: Path) -> None:
    with (no_esxi / "group_vars" / "all.yml").open("a") as file:
        file.write("vm_managed: false\n")
    assert not read_lab([no_esxi]).lab.esxi


def test_ini_inventory_names_its_file(tmp_path: Path) -> None:
    source = tmp_path / "hosts.ini"
    source.write_text("[control_plane]\ncp1 ansible_host=192.168.2.999 vm_memory=5\n")
    assert mistakes_of(SAMPLE, PASSWORD, source) == [
        f"{source}: vm_memory is not a variable of homelab's; did you mean vm_memory_mib?",
        f"{source}: ansible_host: 192.168.2.999 is not an IPv4 address; "
        "write four numbers from 0 to 255, such as 192.168.2.11",
    ]


def test_missing_variables_name_the_file_where_they_go(tmp_path: Path) -> None:
    lab = "lab_name: x\nlab_domain: x.org\nlab_network: 10.0.0.0/24\nlab_gateway: 10.0.0.1\napi_vip: 10.0.0.9\n"
    hosts = "esxi:\n  hosts:\n    a:\n      ansible_host: 10.0.0.2\n"
    source = write(tmp_path, {"hosts.yml": hosts, "group_vars/all/lab.yml": lab + "image_source: x.ova\n"})
    digits = "the 64 hexadecimal digits, in lower case, that sha256sum prints"
    assert mistakes_of(source) == [
        f"{tmp_path}/group_vars/all/lab.yml: image_sha256 is missing; set it to {digits}",
        f'{tmp_path}/group_vars/all/lab.yml: kubernetes_version is missing; write kubernetes_version: "1.36.3"',
        f"{tmp_path}/group_vars/esxi.yml: ansible_password is missing; "
        'write ansible_password: "{{ vault_esxi_password }}"',
    ]


def test_mistake_does_not_show_a_password(tmp_path: Path) -> None:
    source = write(tmp_path, {"hosts.yml": "esxi:\n  vars:\n    vault_esxi_password: 31337\n"})
    assert mistakes_of(SAMPLE, source) == [
        f"{tmp_path}/hosts.yml:3: ansible_password: YAML reads its value as a number or a truth value; "
        "write it in quotes"
    ]


@pytest.mark.thorough
@pytest.mark.parametrize("kind", ["vault", "inline_vault"])
def test_vault_is_opened_with_one_prompt(kind: str) -> None:
    asked = []

    def prompt() -> str:
        asked.append(1)
        return "for-the-tests"

    vault = Vault(prompt)
    sources = [SAMPLE, FIXTURES / kind]
    lab = read_lab(sources, vault).lab
    assert {host.password.get_secret_value() for host in lab.esxi} == {"secret-of-the-vault"}
    assert select_hosts(sources, "brix3", vault) == ("brix3",)
    assert asked == [1]


@pytest.mark.thorough
@pytest.mark.parametrize("kind", ["vault", "inline_vault"])
@pytest.mark.parametrize(("prompt", "what"), [(None, "needs its password"), (lambda: "no", "password is wrong")])
def test_vault_without_its_password_names_both_ways(kind: str, prompt: Callable[[], str] | None, what: str) -> None:
    with pytest.raises(UsageError, match=what) as caught:
        read_lab([SAMPLE, FIXTURES / kind], Vault(prompt))
    assert "ANSIBLE_VAULT_PASSWORD_FILE" in caught.value.advice
    assert "vault_password_file" in caught.value.advice


def test_vault_takes_the_password_file_that_ansible_takes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("for-the-tests\n")
    monkeypatch.setenv("ANSIBLE_VAULT_PASSWORD_FILE", str(tmp_path / "password"))
    lab = read_lab([SAMPLE, FIXTURES / "vault", FIXTURES / "inline_vault"]).lab
    assert lab.esxi[0].password.get_secret_value() == "secret-of-the-vault"


def test_raw_variables_need_no_vault() -> None:
    raw = raw_variables([SAMPLE, FIXTURES / "vault"])
    assert raw.members("esxi") == ("brix1", "brix2", "brix3", "brix4")
    assert raw.hostvars["brix1"]["ansible_password"] == "{{ vault_esxi_password }}"
    assert "vault_esxi_password" not in raw.hostvars["brix1"]


@pytest.mark.thorough
def test_patterns_select_as_ansible_does() -> None:
    assert select_hosts([SAMPLE], "esxi:!brix1") == ("brix2", "brix3", "brix4")
    with pytest.raises(UsageError, match="names a host or group that is not there"):
        select_hosts([SAMPLE], "brix1,brix9")


WHOLE_NAMES = FIXTURES / "whole_names"


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("brix1,LB2", {"BRIX1.lab.example", "lb2"}),
        ("esxi:!brix1", {"brix2.lab.example"}),
    ],
)
def test_patterns_may_hold_short_names(pattern: str, names: set[str]) -> None:
    assert set(select_hosts([WHOLE_NAMES], pattern)) == names


def test_a_short_name_is_the_inventory_s_whole_one_wherever_it_stands_in_a_pattern() -> None:
    raw = list_hosts([WHOLE_NAMES])
    whole = {
        "cp2": "cp2.lab.example",
        "CP2": "cp2.lab.example",
        "cp1": "CP1",
        "control_plane:&cp1": "control_plane:&CP1",
        "w1.lab.example": "W1.Lab.Example",
    }
    assert {pattern: whole_names(pattern, raw) for pattern in whole} == whole


def test_a_short_name_that_could_be_several_is_nobody_s(tmp_path: Path) -> None:
    hosts = "all:\n  hosts:\n    nas.one.example:\n    nas.two.example:\n"
    with pytest.raises(UsageError, match="names a host or group that is not there"):
        select_hosts([write(tmp_path, {"hosts.yml": hosts})], "nas")


def test_whole_names_and_capitals_stay_the_inventory_s_and_every_machine_has_a_short_name() -> None:
    lab = read_lab([WHOLE_NAMES]).lab
    assert [host.name for host in lab.esxi] == ["BRIX1.lab.example", "brix2.lab.example"]
    assert [host.short_name for host in lab.esxi] == ["brix1", "brix2"]
    assert [vm.short_name for vm in lab.vms] == ["cp1", "cp2", "lb1", "lb2", "w1"]
    # A vm_host may be written by its short name.
    assert lab.vm("CP1").host == "BRIX1.lab.example"


def test_a_file_of_a_whole_name_needs_no_suffix_as_with_ansible(tmp_path: Path) -> None:
    lab = read_lab([WHOLE_NAMES]).lab
    assert [host.copies for host in lab.esxi] == [3, 1]
    wrong = {
        "host_vars/brix2.lab.example/b.yml": "esxi_vlan: 9999\n",
        "host_vars/BRIX1.lab.example": "esxi_vlan: 9998\n",
    }
    hosts = "esxi:\n  hosts:\n    BRIX1.lab.example:\n    brix2.lab.example:\n"
    folder = write(tmp_path, {"hosts.yml": hosts, **wrong})
    assert [line.partition(": ")[0] for line in mistakes_of(WHOLE_NAMES, folder)] == [
        f"{folder}/host_vars/BRIX1.lab.example:1",
        f"{folder}/host_vars/brix2.lab.example/b.yml:1",
    ]


@pytest.mark.parametrize("seed", ["nocloud", "guestinfo"])
def test_a_seed_of_either_kind_is_taken_without_a_word(tmp_path: Path, seed: str) -> None:
    group = write(tmp_path, {"hosts.yml": f"all: {{vars: {{guest_seed: {seed}}}}}\n"})
    read = read_lab([SAMPLE, PASSWORD, group])
    assert (read.lab.guests.seed, list(read.warnings)) == (seed, [])


def test_a_seed_of_no_kind_is_a_mistake(tmp_path: Path) -> None:
    group = write(tmp_path, {"hosts.yml": "all: {vars: {guest_seed: floppy}}\n"})
    [mistake] = mistakes_of(SAMPLE, PASSWORD, group)
    assert mistake.endswith("hosts.yml:1: guest_seed: floppy is not one of its values; choose from: nocloud, guestinfo")


def test_a_whole_name_in_another_domain_is_a_warning(tmp_path: Path) -> None:
    hosts = "workers:\n  hosts:\n    w7.elsewhere.example:\n      ansible_host: 192.168.2.47\n"
    [_, warning] = sorted(map(str, read_lab([WHOLE_NAMES, write(tmp_path, {"hosts.yml": hosts})]).warnings), key=len)
    assert warning.startswith(f"{tmp_path}/hosts.yml:3: w7.elsewhere.example: what homelab sets up is called w7.lab.ex")


def test_missing_inventory_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="no such inventory") as caught:
        read_lab([Path("nowhere")])
    assert (caught.value.where, caught.value.exit_code) == ("nowhere", 2)


def test_group_vars_of_the_working_directory_change_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(write(tmp_path, {"group_vars/all.yml": "lab_name: other\n"}))
    assert list_hosts([ROOT / SAMPLE]).hostvars["brix1"]["lab_name"] == "homelab"


def test_later_and_deeper_definitions_win_as_in_ansible(tmp_path: Path) -> None:
    hosts = "all:\n  vars: {x: 1}\n  children:\n    a:\n      vars: {x: 2}\n      children:\n        b:\n"
    hosts += "          vars: {x: 3}\n          hosts:\n            h[1:2]:\n              x: 4\n"
    first = {"hosts.yml": hosts, "group_vars/all.yml": "x: 5\n", "group_vars/b.yml": "x: 6\n", "host_vars/h2": "x: 8\n"}
    sources = [write(tmp_path / "1", first), write(tmp_path / "2", {"hosts.yml": "a:\n", "group_vars/a.yml": "x: 7\n"})]
    lines, raw = read_lines(sources), list_hosts(sources)
    for names, host in ((raw.depths(), "h1"), (raw.depths(), "h2")):
        definition = lines.find(host, names, "x")
        assert definition is not None
        assert definition.text == str(raw.hostvars[host]["x"])
    without = write(tmp_path / "1", {"hosts.yml": hosts.replace("              x: 4\n", "")}) / "hosts.yml"
    lines, raw = read_lines([without, sources[1]]), list_hosts([without, sources[1]])
    definition = lines.find("h1", raw.depths(), "x")
    assert definition is not None
    assert (definition.text, raw.hostvars["h1"]["x"]) == ("7", 7)


@pytest.mark.parametrize(
    ("number", "mac"),
    [(41135085296, "52:54:00:12:34:56"), (7776000000 + 59, "10:00:00:00:00:59")],
)
def test_number_is_read_back_as_the_mac_it_was(number: int, mac: str) -> None:
    assert mac_of(number) == mac


def test_every_password_of_the_inventory_counts_as_a_secret(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Those of guests and of sudo too, and what opens the vault; a name, a template or a path is none."""
    (tmp_path / "file").write_text("for-the-tests\n")
    more = {
        "hosts.yml": "control_plane:\n  vars:\n    ansible_become_password: of-sudo\n    ansible_ssh_pass: 31337\n"
        "    registry_token: of-a-registry\n    ansible_user: somebody\n    nas_password: '{{ elsewhere }}'\n"
    }
    vault = Vault(lambda: "for-the-tests")
    read_lab([SAMPLE, FIXTURES / "inline_vault", write(tmp_path / "more", more)], vault)
    assert vault.secrets == {"secret-of-the-vault", "for-the-tests", "of-sudo", "31337", "of-a-registry"}
    monkeypatch.setenv("ANSIBLE_VAULT_PASSWORD_FILE", str(tmp_path / "file"))
    assert Vault().secrets == {"for-the-tests"}
