"""The checker's own modules, which lie on nobody's path: on a balancer they and the renderers are in one folder."""

import shutil
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

from tests.helpers.checkout import ROOT

FILES = ROOT / "playbooks" / "roles" / "checker" / "files"
RENDERERS = ROOT / "playbooks" / "balancer"


def checker_module(name: str) -> ModuleType:
    """One of them, in this process."""
    for folder in (FILES, RENDERERS.parent):
        if str(folder) not in sys.path:
            sys.path.insert(0, str(folder))
    return import_module(name)


def lay_down(folder: Path) -> Path:
    """All of them as the role lays them down; gives the program."""
    shutil.copytree(FILES, folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(RENDERERS, folder / "balancer", ignore=shutil.ignore_patterns("__pycache__"))
    return folder / "checker.py"
