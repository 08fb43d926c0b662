"""All control planes are lost, and come back from a backup by the very commands of the how-to page.

`make e2e-kubernetes-more` runs it.
"""

import re
import shlex
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.checkout import ROOT
from tests.helpers.real_cluster import (
    CONTROL_PLANES,
    KUBECTL,
    WORKER,
    bare_lab,
    is_ready,
    nodes,
    on,
    tell,
)
from tests.helpers.served import Lab, failures, until

pytestmark = [pytest.mark.kubernetes, pytest.mark.thorough, pytest.mark.timeout(900)]
PAGE = ROOT / "docs" / "how-to" / "back-up-and-restore.md"
STEP = re.compile(r"^\d\. (.*?)\n\n +```\n(.*?)\n +```", re.DOTALL | re.MULTILINE)
# How the page logs in to a guest; a rehearsal has keys of its own.
LOGIN = "-i .homelab/id_ed25519 -o UserKnownHostsFile=.homelab/known_hosts"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """The sample lab with a cluster and one worker."""
    with bare_lab(tmp_path_factory.mktemp("restore"), workers=WORKER) as running:
        done = running.homelab("--yes", "-o", "json", "bootstrap", timeout=890)
        assert done.returncode == 0, failures(done.stdout) or done.stderr
        yield running


def steps() -> list[tuple[bool, str]]:
    """Whether a step is done on the first control plane, and its commands."""
    text = PAGE.read_text(encoding="utf-8").partition("## All control planes are lost")[2]
    return [(said.startswith("There"), textwrap.dedent(commands)) for said, commands in STEP.findall(text)]


def test_the_page_has_its_steps() -> None:
    assert [there for there, _ in steps()] == [False, False, True, False, True, True, False]


def here(lab: Lab, vault: Path, commands: str) -> str:
    """Commands on the machine of who runs the lab; what they ask is agreed to."""
    options, key = lab.login("cp1")
    commands = commands.replace(LOGIN, shlex.join([*options, "-i", key])).replace("homelab ", "homelab --yes ")
    shell = ("env", f"ANSIBLE_VAULT_PASSWORD_FILE={vault}", "bash", "-eo", "pipefail", "-c", commands)
    done = lab.enter(*shell, timeout=890)
    assert done.returncode == 0, f"{commands}\n{done.stdout}{done.stderr}"
    return done.stdout


def test_what_the_cluster_had_is_there_again(lab: Lab, tmp_path: Path) -> None:
    vault, backup = tmp_path / "vault", tmp_path / "lab.backup"
    vault.write_text("not a secret\n")
    on(lab, "cp1", f"{KUBECTL} create configmap before --from-literal=answer=42")
    here(lab, vault, f"homelab kubernetes backup -O {backup}")
    on(lab, "cp1", f"{KUBECTL} create configmap after")
    began = time.monotonic()
    for there, commands in steps():
        commands = commands.replace("FILE |", f"{backup} |")
        if there:
            on(lab, "cp1", f"set -e\n{commands}")
        else:
            here(lab, vault, commands)
    until(lambda: all(map(is_ready, nodes(lab).values())), 90, "all nodes are Ready")
    assert set(nodes(lab)) == {*CONTROL_PLANES, *WORKER}
    assert on(lab, "cp2", f"{KUBECTL} get configmap before -o jsonpath={{.data.answer}}") == "42"
    assert lab.ssh("cp2", f"{KUBECTL} get configmap after").returncode != 0
    tell(f"all control planes lost: the cluster is back from its backup in {time.monotonic() - began:.0f} s")
