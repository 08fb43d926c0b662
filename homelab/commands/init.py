"""The command `init`: asks what cannot be known, and writes an inventory with a vault."""

from pathlib import Path

from homelab.commands.options import Options
from homelab.errors import UsageError
from homelab.ports.files.new_folder import require_new


def init(options: Options, folder: Path, answers: Path | None) -> int:
    """Write a new inventory into `folder`, from a file of answers, or from what a person says."""
    require_new(folder)
    if answers is not None and not answers.is_file():
        advice = "Name a YAML file; docs/reference/init.md lists its keys"
        raise UsageError("there is no such file of answers", where=str(answers), advice=advice)
    if answers is None and not options.ui.there and not options.yes:
        raise UsageError(
            "there is no terminal to ask on",
            where="command line",
            advice="Write the answers into a file and name it with --answers; docs/reference/init.md lists its keys",
        )
    # It loads the reader of inventories, which takes longer than a person should wait for these.
    from homelab.commands.new_inventory import make

    return make(options, folder, answers)
