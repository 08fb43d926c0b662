"""Whatever a user's own Ansible settings say, our plays and inventories do not depend on it (field cases D and E)."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from homelab.errors import UsageError
from homelab.inventory import read_lab
from homelab.ports.ansible.inventory import list_hosts
from homelab.ports.ansible.settings import PASSWORD_FILE, user_settings
from tests.helpers.checkout import INVENTORIES, ROOT
from tests.ports.ansible.test_plays import play, run

pytestmark = pytest.mark.timeout(120)
VAULTED = [ROOT / "inventory", INVENTORIES / "vault"]
TASK = "- ansible.builtin.command: 'true'\n"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home folder of its own, and a working directory without any configuration."""
    for name in [name for name in os.environ if name.startswith("ANSIBLE_")]:
        monkeypatch.delenv(name)
    (tmp_path / "home").mkdir()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path / "elsewhere")
    yield tmp_path / "home"


# One file with all of what was reported to break a play, each by itself: D1 and D3.
FOREIGN = """
[defaults]
stdout_callback = yaml
callback_result_format = yaml
interpreter_python = /usr/bin/python2
executable = /bin/no-such-shell
transport = paramiko_ssh
hash_behaviour = merge
strategy = no_such_strategy
callbacks_enabled = no_such_callback
inventory = /etc/no/such/inventory
[privilege_escalation]
become = true
become_method = su
become_user = admin
[tags]
run = prod
[ssh_connection]
ssh_args = -o NoSuchOption=yes
[inventory]
enable_plugins = ini
"""


def test_a_play_does_not_depend_on_the_user_s_configuration(tmp_path: Path, home: Path) -> None:
    (home / ".ansible.cfg").write_text(FOREIGN)
    changed, printed = run(play(tmp_path / "lab", TASK))
    assert changed == 1, printed


@pytest.mark.parametrize(
    "variables",
    [
        {"ANSIBLE_STDOUT_CALLBACK": "json"},
        {"ANSIBLE_RUN_TAGS": "prod", "ANSIBLE_EXECUTABLE": "/bin/no-such-shell"},
        {"ANSIBLE_BECOME": "true", "ANSIBLE_BECOME_METHOD": "su", "ANSIBLE_STRATEGY": "no_such_strategy"},
    ],
    ids=lambda variables: next(iter(variables)),
)
def test_a_play_does_not_depend_on_variables(
    variables: Mapping[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    changed, printed = run(play(tmp_path / "lab", TASK))
    assert changed == 1, printed


@pytest.mark.parametrize("name", ["C", "POSIX", "en_US.ISO-8859-1", "no_SUCH.UTF-8"])
def test_an_inventory_is_read_in_any_locale(name: str, tmp_path: Path) -> None:
    (tmp_path / "hosts.yml").write_text("all: {hosts: {cp1: {greeting: grüß}}}\n", encoding="utf-8")
    code = (
        "import sys, pathlib; from homelab.ports.ansible.inventory import list_hosts; "
        "print(ascii(list_hosts([pathlib.Path(sys.argv[1])]).hostvars['cp1']['greeting']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "hosts.yml")],
        env={**os.environ, "LC_ALL": name, "LANG": name},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == ascii("grüß"), done.stderr


def test_the_vault_s_settings_are_the_user_s(home: Path) -> None:
    (home / "secret").write_text("pass")
    (home / ".ansible.cfg").write_text("[defaults]\nvault_password_file = secret ; mine\nstdout_callback = yaml\n")
    assert user_settings().variables == {PASSWORD_FILE: str(home / "secret")}
    assert user_settings().has_vault


def test_a_vault_is_opened_by_the_user_s_configuration(home: Path) -> None:
    (home / "secret").write_text("for-the-tests\n")
    (home / ".ansible.cfg").write_text("[defaults]\nvault_password_file = ~/secret\n")
    assert read_lab(VAULTED).lab.esxi[0].password.get_secret_value() == "secret-of-the-vault"


def test_a_password_file_that_is_not_there_is_named_with_who_names_it(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / ".ansible.cfg").write_text("[defaults]\nvault_password_file = ~/gone\n")
    (tmp_path / "hosts.yml").write_text("all: {hosts: {cp1: {}}}\n")
    with pytest.raises(UsageError) as told:
        list_hosts([tmp_path / "hosts.yml"])
    assert str(home / "gone") in told.value.what
    assert told.value.where == f"vault_password_file in {home}/.ansible.cfg"
    # What the advice says, done: the setting is taken out.
    (home / ".ansible.cfg").write_text("[defaults]\n")
    assert list_hosts([tmp_path / "hosts.yml"]).members("all") == ("cp1",)
    monkeypatch.setenv(PASSWORD_FILE, str(tmp_path / "gone too"))
    with pytest.raises(UsageError) as told:
        list_hosts([tmp_path / "hosts.yml"])
    assert told.value.where == PASSWORD_FILE


def test_a_configuration_without_a_section_is_named_with_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "mine.cfg"
    file.write_text("# mine\nforks = 5\n")
    monkeypatch.setenv("ANSIBLE_CONFIG", str(file))
    with pytest.raises(UsageError, match="line 2 stands before any section") as told:
        user_settings()
    assert told.value.where == str(file)
    file.write_text("[defaults]\nforks = 5\n")
    assert user_settings().variables == {}


def test_a_folder_that_everybody_may_write_to_is_named_where_its_file_is_passed_over(tmp_path: Path) -> None:
    here = tmp_path / "elsewhere"
    (here / "ansible.cfg").write_text(f"[defaults]\nvault_password_file = {tmp_path}/secret\n")
    (tmp_path / "secret").write_text("secret\n")
    here.chmod(0o777)
    with pytest.raises(UsageError) as told:
        read_lab(VAULTED)
    assert f"{here}/ansible.cfg is passed over" in told.value.advice
    here.chmod(0o755)
    assert user_settings().has_vault


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_home_that_may_not_be_read_is_no_reason_to_fail(tmp_path: Path, home: Path) -> None:
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    home.chmod(0)
    code = (
        "import os; from homelab.ports.ansible import settings; os.setgid(65534); os.setuid(65534); "
        "print(settings.user_settings().variables, settings.environment()['ANSIBLE_HOME'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.startswith("{} /tmp/homelab-ansible-"), done.stderr
