"""The command `usb lint`: a kickstart file checked alone. Quick to load, so a file apart."""

from pathlib import Path

from homelab.commands.options import Options
from homelab.errors import DONE, FAILED
from homelab.formats.boot.kickstart_lint import errors, lint
from homelab.ports.media.kickstart_file import read_kickstart


def lint_file(options: Options, path: Path) -> int:
    """Check a kickstart file alone; needs no inventory."""
    findings = lint(read_kickstart(path))
    wrong = errors(findings)
    if options.ui.json:
        rows = [{"line": one.line, "level": one.level, "text": one.text} for one in findings]
        options.ui.document({"ok": not wrong, "findings": rows})
    else:
        for one in findings:
            options.ui.say(f"{path}:{one.line}: {one.level}: {one.text}")
        options.ui.say(f"{len(wrong)} errors, {len(findings) - len(wrong)} warnings")
    return FAILED if wrong else DONE
