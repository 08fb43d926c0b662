"""The command `status`: how the lab stands, once, as a picture in a file, or live; changes nothing."""

import time
from collections.abc import Iterator
from pathlib import Path

from homelab.checks.lab_look import LabLook
from homelab.checks.lab_watch import LabWatch, hurried
from homelab.commands.lab_run import LabRun, open_run
from homelab.commands.options import Options
from homelab.commands.wanted_lab import lab_of, vault_of
from homelab.errors import DONE, FAILED, INTERRUPTED, UsageError
from homelab.output.lab_text import drawing, plain
from homelab.output.lab_words import changes
from homelab.output.screen import Screen
from homelab.output.signs import Line
from homelab.ports.files.private import told, write_private

SECONDS = 1.0


def one_way(**ways: bool) -> None:
    """UsageError when more than one way of showing is asked for."""
    asked = [f"--{name}" for name, is_asked in ways.items() if is_asked]
    if len(asked) > 1:
        what = f"{' and '.join(asked)} at once"
        raise UsageError(what, where="command line", advice="Give one of them; the others in runs of their own")


def status(options: Options, svg: str | None) -> int:
    """Show how every part stands, or what keeps it from answering; FAILED only when none of them answers."""
    run = open_status(options)
    watch = LabWatch(run.world, run.lab, run.selection.has)
    watch.begin()
    look = watch.look()
    if svg is not None:
        from homelab.output.lab_svg import lab_svg

        path = Path(svg)
        with told(path, "written"):
            write_private(path, lab_svg(look, clean=run.files.masks.text))
        run.note(f"the picture is in {path}")
    _show(run, look, drawn=svg is None)
    return DONE if look.answered or not look.anything else FAILED


def watch(options: Options) -> int:
    """The same again and again until Ctrl-C: a picture in one place, or a document each time."""
    run = open_status(options, recorded=False)
    asked = LabWatch(run.world, run.lab, run.selection.has, keep=True)
    try:
        with run.world.run.connected():
            asked.begin()
            _live(run, asked)
    except KeyboardInterrupt:
        pass
    return INTERRUPTED


def open_status(options: Options, *, recorded: bool = True) -> LabRun:
    """A run in which no part of the lab is waited for longer than the others; who asks for days is not recorded."""
    run = open_run(options, (), lab=hurried(lab_of(options, vault_of(options))))
    run.files.records_reads = recorded
    return run


def _live(run: LabRun, asked: LabWatch) -> None:
    looks = _each_second(asked)
    if run.ui.json:
        for look in looks:
            run.ui.document(look.document())
    elif run.ui.screen.is_terminal:
        with run.ui.screen.live() as draw:
            for look in looks:
                draw([*_drawn(run.ui.screen, look), (), ((f"{look.at.astimezone():%H:%M:%S}  Ctrl-C ends", "dim"),)])
    else:
        _tell(run, looks)


def _each_second(asked: LabWatch) -> Iterator[LabLook]:
    while True:
        yield asked.look()
        time.sleep(SECONDS)


def _tell(run: LabRun, looks: Iterator[LabLook]) -> None:
    """For what is no terminal: all of it once, and then a line for each change."""
    before = None
    for look in looks:
        if before is None:
            _show(run, look, drawn=True)
        else:
            for sentence in changes(before, look):
                run.ui.say(f"{look.at.astimezone():%H:%M:%S}  {sentence}")
        before = look


def _show(run: LabRun, look: LabLook, *, drawn: bool) -> None:
    if run.ui.json:
        run.ui.document(look.document())
    elif drawn and run.ui.screen.is_terminal:
        run.ui.screen.draw(_drawn(run.ui.screen, look))
    elif drawn:
        for line in plain(look, run.ui.screen.signs):
            run.ui.say(line)


def _drawn(screen: Screen, look: LabLook) -> list[Line]:
    return drawing(look, screen.width, screen.signs)
