"""A folder to make sticks in: a copy of the sample inventory, an ISO, and the command as a process."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.helpers.checkout import ROOT
from tests.helpers.esxi_iso import esxi_files, write_iso


class Bench:
    """A copy of the sample inventory beside an ISO; brix3 is a GB-BRi7-8550, brix1 a GB-XM11-3337."""

    def __init__(self, folder: Path, loader: bytes = b"MZ") -> None:
        self.folder = folder
        self.iso = write_iso(folder / "esxi.iso", esxi_files(loader=loader))
        shutil.copytree(ROOT / "inventory", folder / "inventory")
        (folder / "inventory/group_vars/esxi/vault.yml").write_text("vault_esxi_password: geheim\n")
        self.describe("brix3", "esxi_iso: ../esxi.iso\nesxi_board: GB-BRi7-8550\n")
        self.describe("brix1", "esxi_iso: ../esxi.iso\nesxi_board: GB-XM11-3337\n")

    def describe(self, host: str, text: str) -> None:
        path = self.folder / f"inventory/host_vars/{host}.yml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)

    def start(self, *argv: str, code: str = "") -> "subprocess.Popen[str]":
        command = [sys.executable, *(["-c", code] if code else ["-m", "homelab"]), *argv]
        env = {**os.environ, "PYTHONPATH": str(ROOT)}
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen(command, cwd=self.folder, text=True, env=env, **pipes)  # type: ignore[call-overload]

    def run(self, *argv: str, code: str = "") -> "subprocess.CompletedProcess[str]":
        process = self.start(*argv, code=code)
        out, err = process.communicate()
        assert "Traceback" not in err
        return subprocess.CompletedProcess(argv, process.returncode, out, err)

    def left(self) -> set[str]:
        return {path.name for path in self.folder.iterdir()} - {"inventory", "esxi.iso"}
