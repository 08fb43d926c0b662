"""The whole bootstrap as a job of ansible-runner, the engine that AWX drives; and the same job on another machine."""

import shlex
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.helpers.checkout import ROOT
from tests.helpers.engine import job_folder, passwords
from tests.helpers.served import Lab, until

pytestmark = [pytest.mark.e2e, pytest.mark.guests, pytest.mark.thorough, pytest.mark.timeout(900)]
runner = pytest.importorskip("ansible_runner")
# What the job is stopped in: guests stand, and nothing of the cluster does.
FAR = "TASK [kubernetes_node"
WORKER = "192.168.2.32"


def recap(said: str) -> str:
    return said.partition("PLAY RECAP")[2]


@pytest.fixture(scope="module")
def job(guest_lab: Lab) -> Path:
    return job_folder(guest_lab, guest_lab.folder / "job")


def run(lab: Lab, job: Path, ident: str) -> "subprocess.CompletedProcess[str]":
    options = ("env", f"PYTHONPATH={ROOT}", "ANSIBLE_NOCOLOR=1", "ansible-runner", "run", job, "-p", "site.yml")
    return lab.enter(*options, "--ident", ident, timeout=600)


def test_a_job_is_stopped_in_the_middle(guest_lab: Lab, job: Path) -> None:
    command = ("ansible-runner", "start", job, "-p", "site.yml", "--ident", "stopped")
    begun = guest_lab.enter("env", f"PYTHONPATH={ROOT}", *command)
    assert begun.returncode == 0, begun.stderr
    stdout = job / "artifacts" / "stopped" / "stdout"
    until(lambda: stdout.exists() and FAR in stdout.read_text(), 500, "the job has come to the nodes")
    stopped = guest_lab.enter("ansible-runner", "stop", job)
    assert stopped.returncode == 0, stopped.stdout + stopped.stderr
    assert "PLAY RECAP" not in stdout.read_text()


def test_another_machine_takes_the_job_up_and_ends_it(guest_lab: Lab, job: Path, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_bytes((job / "env" / "ssh_key").read_bytes())
    key.chmod(0o600)
    login = f"ssh -i {key} -o UserKnownHostsFile={job}/.homelab/known_hosts homelab@{WORKER}"
    carried = guest_lab.enter("sh", "-c", carry(login), timeout=300)
    assert carried.returncode == 0, carried.stderr
    environment = f"PATH={sys.prefix}/bin:/usr/bin:/usr/sbin:/bin PYTHONPATH={ROOT} LANG=C.UTF-8 ANSIBLE_NOCOLOR=1"
    worker = f"sudo env {environment} ansible-runner worker --private-data-dir /run/job"
    result = tmp_path / "result"
    result.mkdir()
    pipe = (
        f"ansible-runner transmit {job} -p site.yml --ident elsewhere"
        f" | {login} {shlex.quote(worker)} | ansible-runner process {result}"
    )
    done = guest_lab.enter("sh", "-c", pipe, timeout=600)
    assert (result / "artifacts" / "rc").read_text() == "0", done.stdout
    assert (result / "artifacts" / "status").read_text() == "successful"
    assert "changed=0" not in next(line for line in recap(done.stdout).splitlines() if line.startswith("cp1"))


def test_the_first_engine_finds_nothing_left_to_do_and_tells_no_secret(guest_lab: Lab, job: Path) -> None:
    done = run(guest_lab, job, "again")
    assert done.returncode == 0, done.stdout
    lines = [line for line in recap(done.stdout).splitlines() if "changed=" in line]
    assert len(lines) == 11
    assert [line for line in lines if "changed=0" not in line] == []
    told = [path for path in (job / "artifacts").rglob("*") if path.is_file()]
    told += [path for path in (job / ".homelab").rglob("*") if path.is_file()]
    for secret in passwords(job):
        assert not [path for path in told if secret.encode() in path.read_bytes()]


def carry(login: str) -> str:
    """A command that carries this Python, its packages and homelab to a guest, to the same paths."""
    base = Path(sys.base_prefix)
    if base == Path("/usr"):
        pytest.skip("this Python is the system's own; a guest has another, and cannot be given two")
    version = f"python{sysconfig.get_python_version()}"
    parts = [base / "bin" / version, base / "bin" / "python3", base / "lib", Path(sys.prefix)]
    parts += [ROOT / name for name in ("homelab", "playbooks", "inventory")]
    names = " ".join(shlex.quote(str(part).lstrip("/")) for part in parts)
    passed_over = ("*/__pycache__", f"{str(base).lstrip('/')}/lib/{version}/test", "*.a", "*/mypy", "*/.venv/lock")
    exclude = " ".join(f"--exclude={shlex.quote(name)}" for name in passed_over)
    return f"tar -C / {exclude} -cf - {names} | {login} 'sudo tar -xf - -C / && sudo chmod 755 /root'"
