"""A job for ansible-runner, the engine that AWX drives: the folder that it takes, made for a served lab."""

import json
import shutil
import subprocess
from pathlib import Path

import yaml

from homelab.ports.files.data import data_folder
from tests.helpers.served import Lab

KNOWN_HOSTS = "{{ inventory_dir }}/../.homelab/known_hosts"


def job_folder(lab: Lab, folder: Path) -> Path:
    """The private data of a job: project, inventory, and the secrets where credentials put them.

    No password stands in the inventory, only a reference; the engine gives the guests' key to an agent.
    """
    shutil.copytree(data_folder("playbooks"), folder / "project", ignore=shutil.ignore_patterns("__pycache__"))
    inventory = folder / "inventory"
    shutil.copytree(lab.folder / "inventory", inventory)
    (folder / "env").mkdir()
    key = folder.parent / f"{folder.name}.key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    shutil.move(key, folder / "env" / "ssh_key")
    public = key.with_suffix(".key.pub").read_text().strip()
    secrets: dict[str, object] = {"homelab_consent": True}
    (inventory / "host_vars").mkdir(exist_ok=True)
    for path in sorted((lab.overlay / "host_vars").glob("*.yml")):
        variables = json.loads(path.read_text())
        if password := variables.pop("ansible_password", None):
            secrets[f"vault_{path.stem}"] = password
            variables["ansible_password"] = f"{{{{ vault_{path.stem} }}}}"
        variables |= {"guest_authorized_keys": [public], "guest_authorized_key_files": []}
        for name in ("image_source", "kubernetes_bundle"):
            variables[name] = _taken_along(Path(variables[name]), folder)
        if variables.pop("ansible_ssh_private_key_file", None):
            variables["ansible_ssh_common_args"] = f"-o UserKnownHostsFile={KNOWN_HOSTS} -o StrictHostKeyChecking=yes"
        (inventory / "host_vars" / path.name).write_text(yaml.safe_dump(variables))
    (folder / "env" / "extravars").write_text(yaml.safe_dump(secrets))
    (folder / "env" / "envvars").write_text(yaml.safe_dump({"ANSIBLE_PIPELINING": "1", "ANSIBLE_FORKS": "20"}))
    for path in (folder / "env").iterdir():
        path.chmod(0o600)
    return folder


def _taken_along(path: Path, folder: Path) -> str:
    """A file that the inventory names goes with the job; how the inventory names it there."""
    (folder / "project" / "files").mkdir(exist_ok=True)
    copy = folder / "project" / "files" / path.name
    if not copy.exists():
        shutil.copy2(path, copy)
    return f"../project/files/{path.name}"


def passwords(folder: Path) -> list[str]:
    """The secrets of a job."""
    told = yaml.safe_load((folder / "env" / "extravars").read_text())
    return [value for name, value in told.items() if name.startswith("vault_")]
