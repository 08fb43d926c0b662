"""Child processes: their deadline ends all of them, whatever they print is read, and they speak UTF-8."""

import os
import sys
import threading
import time
from pathlib import Path

import pytest

from homelab.errors import DeadlinePassed, HomelabError, Interrupted
from homelab.ports import family, process

# A child whose own child leaves the process group and holds the pipes open, as Ansible's workers do.
STUBBORN = """
import os, signal, sys, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork() == 0:
    os.setsid()
    open(sys.argv[1], "w").write(str(os.getpid()))
while True:
    time.sleep(1)
"""
POLITE = """
import os, signal, sys, time
def end(*_):
    open(sys.argv[1], "a").write("asked")
    sys.exit(3)
signal.signal(signal.SIGINT, end)
print("ready", flush=True)
while True:
    time.sleep(1)
"""


def python(code: str, *argv: str | Path, seconds: float = 10, **more: object) -> process.Child:
    command = [sys.executable, "-c", code, *map(str, argv)]
    return process.Child("the child", command, seconds, **more)  # type: ignore[arg-type]


def lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text() if Path("/proc/self/status").exists() else True


def until(condition: object, seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end
        threading.Event().wait(0.02)


@pytest.fixture(autouse=True)
def short_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(family, "GRACE_SECONDS", 0.3)


@pytest.mark.parametrize("shares_terminal", [False, True])
def test_the_deadline_ends_a_child_and_what_came_of_it(tmp_path: Path, shares_terminal: bool) -> None:
    told = tmp_path / "pid"
    child = python(STUBBORN, told, seconds=1, shares_terminal=shares_terminal)
    began = time.monotonic()
    with pytest.raises(DeadlinePassed, match="the child did not end within 1 s"):
        process.run(child)
    assert time.monotonic() - began < 8
    until(lambda: not lives(int(told.read_text())))


def test_an_interruption_asks_first(tmp_path: Path) -> None:
    asked, stop = tmp_path / "asked", threading.Event()
    with pytest.raises(Interrupted, match="the child was under way; it was ended"):
        process.stream(python(POLITE, asked), lambda line: stop.set(), print, stop)
    assert asked.read_text() == "asked"


def test_ctrl_c_on_the_terminal_does_not_reach_a_child(tmp_path: Path) -> None:
    code = "import os, sys; print(os.getpgid(0) != int(sys.argv[1]) and os.getsid(0) != int(sys.argv[2]))"
    done = process.run(python(code, str(os.getpgid(0)), str(os.getsid(0))))
    assert done.stdout == "True\n"


def test_bytes_that_are_no_utf_8_stop_nobody() -> None:
    code = "import os; os.write(1, b'before \\xff\\xfe after\\n' + b'x' * 3_000_000 + b'\\nend\\n')"
    lines: list[str] = []
    assert process.stream(python(code), lines.append, print, threading.Event()) == 0
    assert lines[0] == "before \ufffd\ufffd after"
    assert lines[-1] == "end"
    assert sum(map(len, lines)) > 3_000_000
    assert process.run(python("import os; os.write(2, b'\\xff')")).stderr == "\ufffd"


def test_a_child_that_ends_while_its_own_child_holds_the_pipe_has_ended(tmp_path: Path) -> None:
    code = "import subprocess, sys; subprocess.Popen(['sleep', '20']); print('done')"
    began = time.monotonic()
    assert process.run(python(code)).stdout == "done\n"
    assert time.monotonic() - began < 8


def test_what_is_printed_without_end_is_not_kept(tmp_path: Path) -> None:
    code = "while True: print('x' * 1000)"
    with pytest.raises(HomelabError, match="printed more than 1 MiB") as caught:
        process.run(python(code), most=1 << 20)
    assert "xxx" not in str(caught.value)


def test_what_goes_in_comes_out_however_long_it_is() -> None:
    text = os.urandom(300_000).hex().encode()
    assert process.run(python("import sys; sys.stdout.write(sys.stdin.read())", stdin=text)).stdout == text.decode()
    assert process.run(python("pass", stdin=text)).status == 0


@pytest.mark.parametrize("locale", ["C", "POSIX", "en_US.ISO-8859-1"])
def test_a_child_speaks_utf_8_whatever_the_user_s_locale_is(locale: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LC_ALL", "LANG", "LC_CTYPE"):
        monkeypatch.setenv(name, locale)
    code = "import locale; locale.setlocale(locale.LC_ALL, ''); print(locale.getlocale()[1])"
    assert process.run(python(code)).stdout.strip().upper() == "UTF-8"


def test_a_program_that_is_not_there_is_told() -> None:
    with pytest.raises(HomelabError, match="the child cannot be started: No such file or directory"):
        process.run(process.Child("the child", ["/nonexistent/program"], 5))


def test_a_process_that_ends_itself_at_once_takes_its_children_along(tmp_path: Path) -> None:
    told, stop = tmp_path / "pid", threading.Event()
    child = python(STUBBORN, told, seconds=20)

    thread = threading.Thread(target=process.stream, args=(child, print, print, stop))
    thread.start()
    until(lambda: told.exists() and told.read_text())
    process.kill_all()
    until(lambda: not lives(int(told.read_text())))
    thread.join(20)
    assert not process.UNDER_WAY
