"""How `init` makes an inventory with a vault; what it needs for that is loaded once it is clear that it can."""

import shlex
from pathlib import Path
from typing import Any

from homelab.commands.init_questions import Talk, ask_password, ask_vault_password
from homelab.commands.options import Options
from homelab.errors import DONE, HomelabError, Interrupted, InventoryError
from homelab.inventory import read_lab
from homelab.inventory.answers import AnswersFile, missing, read_answers, wrong
from homelab.inventory.reader import in_order
from homelab.inventory.written import FROM_SAMPLE, VAULT, inventory_files, vault_text
from homelab.ports.ansible.inventory import Vault
from homelab.ports.files.data import data_folder
from homelab.ports.files.new_folder import write_new_folder


def make(options: Options, folder: Path, answers: Path | None) -> int:
    """Write a new inventory into `folder`, from a file of answers, or from what a person says."""
    try:
        given = read_answers(answers) if answers else AnswersFile()
        talk = Talk(options, given, asks=answers is None and not options.yes)
        values = talk.all_answers()
        where = str(answers or "the answers")
        if mistakes := [*given.mistakes, *missing(values, where, given.broken), *wrong(values, given.lines)]:
            raise InventoryError(in_order(mistakes))
        vault = Vault((lambda: ask_vault_password(options.ui)) if options.ui.there else None)
        password = ask_password(options.ui)
        files = inventory_files(values, _sample(), str(folder))
        files[VAULT] = vault.encrypt(vault_text(password))
        write_new_folder(folder, files, lambda beside: _check(beside, vault), private=(VAULT,))
    except KeyboardInterrupt:
        raise Interrupted(
            "interrupted, and nothing was written", where=str(folder), advice="Run it again; it asks from the beginning"
        ) from None
    _tell(options, folder, sorted(files), talk)
    return DONE


def _sample() -> dict[str, str]:
    folder = data_folder("inventory")
    return {name: (folder / name).read_text(encoding="utf-8") for name in FROM_SAMPLE}


def _check(beside: Path, vault: Vault) -> None:
    """Nothing gets the name that our own reader would refuse."""
    try:
        read_lab([beside], vault)
    except InventoryError as error:
        raise HomelabError(
            f"what would be written has a mistake: {error.what}",
            where=error.where,
            advice=f"Nothing was written; {error.advice}, and please report it",
        ) from None


def _tell(options: Options, folder: Path, files: list[str], talk: Talk) -> None:
    named = [] if folder == Path("inventory") else ["-i", str(folder)]
    following = shlex.join(["homelab", *named, "doctor"])
    if options.ui.json:
        fields: dict[str, Any] = {"inventory": str(folder), "files": files, "next": following, "doubts": talk.doubts}
        options.ui.document(fields)
        return
    options.ui.say(f"{folder}: written")
    for name in files:
        options.ui.say(f"  {name}{' (encrypted)' if name == VAULT else ''}")
    options.ui.say(f"next: {following}")
