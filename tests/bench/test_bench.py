"""The benches of commands and of bad days, one round each, as make starts them."""

import subprocess
import sys

import pytest

from tests.helpers.checkout import ROOT

pytestmark = [pytest.mark.e2e, pytest.mark.thorough, pytest.mark.timeout(600)]
# With it the first round kills a bootstrap after 0.63 of its time.
KILLING_SEED = "51"


def bench(name: str, *argv: str) -> str:
    """What it prints; it has to end well."""
    command = [sys.executable, "-m", f"tests.bench.{name}", *argv]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_every_command_has_its_row_beside_the_floors() -> None:
    rows = bench("commands", "--rounds", "1").splitlines()[1:]
    assert [row.split("  ")[0] for row in rows[:3]] == [
        "python -c pass",
        "ansible-inventory --list",
        "homelab --version",
    ]
    [made] = [row.split() for row in rows if row.startswith("homelab --yes vm create cp1")]
    assert float(made[5]) > float(made[7]) > 0, made
    assert int(made[11]) > 20, made


def test_a_bootstrap_that_was_killed_is_completed() -> None:
    told = bench("soak", "--minutes", "0", "--seed", KILLING_SEED)
    assert "MiB: bootstrap killed after " in told
    assert f"1 rounds with seed {KILLING_SEED}; the lab grew by 0 MiB" in told
