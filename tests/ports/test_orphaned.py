"""Whoever loses the process that began it learns of it: a task of an engine that was killed begins nothing more."""

import os
import subprocess
import sys
from pathlib import Path

from tests.helpers.checkout import ROOT
from tests.helpers.served import until

PARENT = """
import os, sys, threading
from pathlib import Path
from homelab.ports.signals import orphaned

parent = os.getpid()
if os.fork() == 0:
    stop = threading.Event()
    with orphaned(stop):
        Path(sys.argv[1], "begun").touch()
        Path(sys.argv[1], "told").write_text(str(stop.wait(20)))
    os._exit(0)
while not Path(sys.argv[1], "begun").exists():
    pass
os._exit(0)
"""


def test_a_process_whose_parent_is_gone_is_told_to_stop(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", PARENT, tmp_path], env=environment, check=True, timeout=30)
    told = tmp_path / "told"
    until(lambda: told.exists() and told.read_text() != "", 10, "the child was told")
    assert told.read_text() == "True"
