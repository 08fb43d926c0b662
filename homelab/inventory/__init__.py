"""inventory/ -> Lab: what Ansible merges, checked; every mistake at once, each with its file, its line and a fix."""

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from homelab.errors import InventoryError, Mistake
from homelab.inventory.lines import Lines, is_encrypted, read_lines
from homelab.inventory.reader import Reader, in_order
from homelab.lab import Lab
from homelab.ports.ansible.inventory import RawInventory, Vault, list_hosts, require


@dataclass(frozen=True)
class Reading:
    """A lab, and what in its inventory works but hardly as it was meant."""

    lab: Lab
    warnings: tuple[Mistake, ...] = ()


def read_lab(sources: Sequence[Path], vault: Vault | None = None, raw: RawInventory | None = None) -> Reading:
    """The lab that these sources describe, later ones winning; `raw` is what Ansible made of them, where it is known.

    InventoryError with every mistake; UsageError when a source is missing, Ansible cannot read it, or the vault's
    password is missing.
    """
    vault = vault or Vault()
    lines = _lines(sources)
    lab, warnings = Reader(raw or list_hosts(sources, vault=vault), lines, vault.decrypt).read()
    return Reading(lab, tuple(warnings))


def raw_variables(sources: Sequence[Path]) -> RawInventory:
    """Groups, hosts and variables as they are written: references stay, files that are vaults are left out.

    Needs no password, so it serves before there is one. Errors as for `read_lab`, but values are not checked.
    """
    if not _lines(sources).encrypted:
        return list_hosts(sources)
    with tempfile.TemporaryDirectory(prefix="homelab-") as folder:
        copies = [_copy_without_vaults(source, Path(folder) / str(index)) for index, source in enumerate(sources)]
        return list_hosts(copies)


def _lines(sources: Sequence[Path]) -> Lines:
    require(sources)
    lines = read_lines(sources)
    if lines.broken:
        raise InventoryError(in_order(lines.mistakes))
    return lines


def _copy_without_vaults(source: Path, target: Path) -> Path:
    def vaults(folder: str, names: list[str]) -> list[str]:
        paths = [Path(folder) / name for name in names]
        return [path.name for path in paths if path.is_file() and is_encrypted(path)]

    if source.is_dir():
        shutil.copytree(source, target, ignore=vaults)
        return target
    target.mkdir()
    for name in ("group_vars", "host_vars"):
        if (source.parent / name).is_dir():
            shutil.copytree(source.parent / name, target / name, ignore=vaults)
    return Path(shutil.copy2(source, target / source.name))
