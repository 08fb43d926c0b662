"""More commands at once than sshd has sessions for: they wait for each other, and none is refused."""

import io
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from homelab.errors import Interrupted
from homelab.lab import Lab
from homelab.ports.esxi.kept_shells import KeptShells
from homelab.ports.files.home import HomeFiles
from homelab.ports.sftp import RemoteFiles
from homelab.ports.ssh import Shell, Watch
from homelab.ports.ssh_sessions import LONG, SHORT
from homelab.rehearsal.served_host import ServedHost
from tests.helpers.one_host import lab_of, standing
from tests.helpers.soap_host import until
from tests.helpers.vm_lab import make_free

EACH = 8


@pytest.fixture
def lab() -> Lab:
    return lab_of()


@pytest.fixture
def served(lab: Lab, tmp_path: Path) -> Iterator[ServedHost]:
    with standing(lab, tmp_path, make_free) as made:
        yield made


@pytest.fixture
def shell(lab: Lab, served: ServedHost, tmp_path: Path) -> Iterator[Shell]:
    kept = KeptShells(HomeFiles(tmp_path / "home"), lambda _: None, threading.Event())
    yield kept.get(lab.esxi[0])


def test_more_commands_than_sessions_wait_for_each_other(served: ServedHost, shell: Shell) -> None:
    served.host.datastores.leave_vmfs(next(iter(served.host.disks.values())), "ssd")
    watch, files = Watch(lambda _: None, threading.Event()), RemoteFiles(shell, threading.Event())
    begin = threading.Barrier(3 * EACH)

    def short(number: int) -> str:
        begin.wait()
        return shell.must(["echo", str(number)])

    def long(number: int) -> str:
        begin.wait()
        return shell.must(["echo", str(number)], watch=watch)

    def put(number: int) -> str:
        begin.wait()
        files.write(f"/vmfs/volumes/ssd/{number}", io.BytesIO(b"text"), 4)
        return f"{number}\n"

    with ThreadPoolExecutor(3 * EACH) as pool:
        with served.host.lock:  # so that none of them ends meanwhile
            ended = [pool.submit(work, number) for work in (short, long, put) for number in range(EACH)]
            until(lambda: served.shell.sessions >= SHORT + LONG)
        assert [one.result() for one in ended] == [f"{number}\n" for _ in range(3) for number in range(EACH)]


def test_a_long_command_that_waits_for_a_short_one_does_not_wait_for_ever(served: ServedHost, shell: Shell) -> None:
    """As many VMs as there are places come on at once, and each waits for an answer that is a command too."""
    begin, answers = threading.Barrier(LONG), list[str]()

    def comes_on(number: int) -> None:
        with shell.sessions.place("power.on", long=True):
            begin.wait()
            answers.append(shell.must(["echo", str(number)]))

    for number in range(LONG):
        threading.Thread(target=comes_on, args=(number,), daemon=True).start()
    until(lambda: len(answers) == LONG)


def test_waiting_for_a_session_ends_with_an_interruption(shell: Shell) -> None:
    stop = threading.Event()
    stop.set()
    places = [shell.sessions.place("power.on", long=True) for _ in range(LONG)]
    for place in places:
        place.__enter__()
    with pytest.raises(Interrupted, match="interrupted before `echo one` began"):
        shell.run(["echo", "one"], watch=Watch(lambda _: None, stop))
    for place in places:
        place.__exit__(None, None, None)
    assert shell.must(["echo", "one"], watch=Watch(lambda _: None, stop)) == "one\n"
