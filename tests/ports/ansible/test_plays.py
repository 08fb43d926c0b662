"""Plays as programs: deadlines, interruption, what prints rubbish, paths with blanks, and the user's own log."""

import json
import os
import shlex
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from homelab.errors import DeadlinePassed, HomelabError, HostFault, Interrupted
from homelab.lab import Lab
from homelab.ports import family
from homelab.ports.ansible import play as ansible
from homelab.ports.ansible.inventory import Vault, list_hosts
from homelab.ports.files.home import HomeFiles
from homelab.ports.open_world import open_world
from homelab.ports.ssh import file_option
from homelab.ports.world import pinned_keys
from tests.helpers.sample import sample_lab
from tests.ports.test_process import lives, until

pytestmark = pytest.mark.timeout(120)
SECRET = "kept-to-ourselves-4711"
PLAY = """
- hosts: all
  gather_facts: false
  vars: {ansible_connection: local, ansible_python_interpreter: "{{ ansible_playbook_python }}"}
  tasks:
"""


@pytest.fixture(autouse=True)
def short_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(family, "GRACE_SECONDS", 3.0)


def play(folder: Path, tasks: str, seconds: float = 60, **variables: Any) -> ansible.Play:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "inventory").mkdir(exist_ok=True)
    (folder / "inventory" / "hosts.yml").write_text("all: {hosts: {cp1: {}}}\n")
    (folder / "play.yml").write_text(PLAY + textwrap.indent(textwrap.dedent(tasks), "    "))
    return ansible.Play(folder / "play.yml", "cp1", (), (folder / "inventory",), variables, {}, seconds, Vault(None))


def run(it: ansible.Play, stop: threading.Event | None = None, begun: Callable[[str], None] = lambda _: None) -> Any:
    log: list[str] = []
    return ansible.run_play(it, log.append, begun, stop or threading.Event()), log


STANDS_STILL = "import os, sys, time; open(sys.argv[1], 'w').write(str(os.getpid())); time.sleep(60)"
SLEEP = """
- name: stand still
  ansible.builtin.command: {argv: ["{{ ansible_playbook_python }}", -c, "{{ code }}", "{{ told }}"]}
"""


def test_a_play_past_its_deadline_is_ended_with_its_workers(tmp_path: Path) -> None:
    told = tmp_path / "pid"
    it = play(tmp_path, SLEEP, seconds=8, code=STANDS_STILL, told=str(told))
    with pytest.raises(DeadlinePassed, match=r"play.yml did not end within 8 s"):
        run(it)
    until(lambda: not lives(int(told.read_text())))


def test_a_play_that_is_interrupted_is_ended_with_its_workers_and_none_begins_after(tmp_path: Path) -> None:
    told, stop = tmp_path / "pid", threading.Event()
    it = play(tmp_path, SLEEP, code=STANDS_STILL, told=str(told))
    watcher = threading.Thread(target=lambda: (until(lambda: told.exists() and told.read_text(), 50), stop.set()))
    watcher.start()
    with pytest.raises(Interrupted, match=r"interrupted while play.yml was under way; it was ended"):
        run(it, stop)
    watcher.join()
    until(lambda: not lives(int(told.read_text())))
    with pytest.raises(Interrupted, match=r"interrupted before play.yml began"):
        run(it, stop)


RUBBISH = """
import os, sys
events = int(os.environ["HOMELAB_EVENTS_FD"])
os.write(events, b'\\xff\\xfe\\n{"event": "task", "name": "one"}\\n[1, 2]\\n"x"\\n')
os.write(events, b'{"no": "event"}\\n{"event": "recap"}\\n')
os.write(1, b'\\xff' * 200_000 + b'\\n')
os.write(events, b'{"event": "recap", "hosts": {"cp1": {"changed": 2}}}\\n{"event": "cut')
"""


def test_a_child_that_prints_rubbish_stops_no_reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "rubbish.py"
    program.write_text(RUBBISH)
    monkeypatch.setattr(ansible, "_command", lambda *_: [sys.executable, str(program)])
    tasks: list[str] = []
    changed, log = run(play(tmp_path, "[]"), begun=tasks.append)
    assert (changed, tasks) == (2, ["one"])
    assert any("no" in line for line in log)
    program.write_text("print('nothing that we know')")
    with pytest.raises(HomelabError, match="ended with status 0 before it did anything on cp1"):
        run(play(tmp_path, "[]"))


@pytest.mark.parametrize("printed", ["", "[]", "{}", '{"_meta": {}}', "warning\n{}", '{"_meta": {"hostvars": []}}'])
def test_an_inventory_program_that_prints_rubbish_is_told(
    printed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "python"
    program.write_text(f"#!/bin/sh\nprintf '%b' {shlex.quote(printed)}\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    with pytest.raises(HomelabError, match="printed something else than an inventory"):
        list_hosts([tmp_path])


def test_what_goes_into_a_play_is_never_a_template(tmp_path: Path) -> None:
    """A CA comes from a guest: whoever holds that guest must not run programs on this machine."""
    made, nested = tmp_path / "made", "{{ 6 * 7 }}"
    code = "{{ lookup('ansible.builtin.pipe', 'touch " + str(made) + "') }}"
    tasks = """
    - ansible.builtin.assert: {that: [given.keys() | first == wanted, given.values() | first | first == wanted]}
    - ansible.builtin.debug: {msg: "{{ code }} {{ given }}"}
    """
    variables = {"given": {nested: [nested]}, "wanted": nested, "code": code}
    assert run(play(tmp_path, tasks, **variables))[0] == 0
    assert not made.exists()


@pytest.mark.thorough
def test_a_project_and_an_inventory_may_lie_below_blanks(tmp_path: Path) -> None:
    folder = tmp_path / "x y" / "my lab"
    changed, _ = run(play(folder, "- ansible.builtin.command: 'true'\n"))
    assert changed == 1


@pytest.mark.parametrize("name", ["x y", "100%", 'a"b', "a'b", "a\\b", "$HOME"])
def test_ssh_finds_the_known_hosts_below_any_name(name: str, tmp_path: Path) -> None:
    world = open_world(lab(), [tmp_path], Vault(None), HomeFiles(tmp_path / name / ".homelab"), lambda _: None)
    words = shlex.split(pinned_keys(world.files))
    told = subprocess.run(["ssh", "-F", "none", "-G", *words, "host"], capture_output=True, text=True, check=True)
    assert f"userknownhostsfile {world.files.trust.known_hosts}\n" in told.stdout
    assert "stricthostkeychecking true" in told.stdout
    assert file_option("IdentityFile", tmp_path / name).startswith("IdentityFile=")


def lab() -> Lab:
    return sample_lab()


LOUD = {
    "ANSIBLE_VERBOSITY": "4",
    "ANSIBLE_DEBUG": "1",
    "ANSIBLE_DIFF_ALWAYS": "1",
    "ANSIBLE_DISPLAY_ARGS_TO_STDOUT": "1",
}


@pytest.mark.thorough
def test_the_user_s_own_log_gets_the_play_and_none_of_our_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "their.log"
    for name, value in {**LOUD, "ANSIBLE_LOG_PATH": str(log)}.items():
        monkeypatch.setenv(name, value)
    tasks = f"""
    - name: lay a secret down
      ansible.builtin.copy: {{content: "{{{{ secret }}}}", dest: "{tmp_path}/secret", mode: "0600"}}
      no_log: true
    - name: write what it is part of
      ansible.builtin.copy: {{content: "token {{{{ secret }}}}", dest: "{tmp_path}/token", mode: "0600"}}
    """
    changed, printed = run(play(tmp_path, tasks, secret=SECRET))
    assert changed == 2
    assert "lay a secret down" in log.read_text()
    assert SECRET not in log.read_text() + "\n".join(printed)
    # The variables went in by a file that only we can read, and that is gone.
    assert not list(tmp_path.rglob("variables.json"))
    assert os.environ["ANSIBLE_LOG_PATH"] == str(log)


def test_what_the_inventory_holds_is_in_no_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "their.log"
    for name, value in {**LOUD, "ANSIBLE_LOG_PATH": str(log)}.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "hosts.yml").write_text(json.dumps({"all": {"hosts": {"cp1": {"password": SECRET}}}}))
    assert list_hosts([tmp_path / "hosts.yml"]).hostvars["cp1"]["password"] == SECRET
    assert not log.exists() or SECRET not in log.read_text()


def test_an_inventory_program_that_hangs_is_ended_with_its_children(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("homelab.ports.ansible.inventory.DEADLINE", 6)
    told, script = tmp_path / "pid", tmp_path / "inventory.sh"
    script.write_text(f"#!/bin/sh\necho $$ > {told}\nsleep 60\n")
    script.chmod(0o755)
    began = time.monotonic()
    with pytest.raises(DeadlinePassed, match="ansible inventory did not end within 6 s"):
        list_hosts([script])
    assert time.monotonic() - began < 30
    until(lambda: not lives(int(told.read_text())))


def test_a_play_fails_with_what_ended_it_and_not_with_what_was_rescued(tmp_path: Path) -> None:
    tasks = """
    - name: rescued
      block:
        - {name: break, ansible.builtin.fail: {msg: broken}}
      rescue:
        - {name: tell, ansible.builtin.fail: {msg: "broken, and mended"}}
    """
    with pytest.raises(HostFault, match=r"task `tell` failed on cp1: broken, and mended"):
        run(play(tmp_path, tasks))
