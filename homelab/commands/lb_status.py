"""The command `lb status`: balancers, pools and servers as they are now, once or live; changes nothing."""

import time
from collections import deque
from collections.abc import Iterator, Sequence
from datetime import datetime

from homelab.commands.lab_run import LabRun, open_run
from homelab.commands.options import Options
from homelab.errors import DONE, FAILED, INTERRUPTED
from homelab.output.pools import below, changes, picture, plain
from homelab.output.screen import Screen
from homelab.output.signs import Line
from homelab.steps.guests.balancers import Balance, balance, follow

SECONDS = 1.0
# How many of the latest changes stand below a live picture.
TOLD = 8
# Over how many looks new connections are counted.
LATEST = 5


def lb_status(options: Options) -> int:
    """Show how the balancers stand; FAILED when none of them answers."""
    run = open_run(options, ())
    names = _balancers(run)
    found = balance(run.world, run.lab, names)
    if run.ui.json:
        run.ui.document(_document(found))
    elif run.ui.screen.is_terminal and names:
        run.ui.screen.draw(_drawn(run.ui.screen, found))
    else:
        for line in plain(found) if names else ():
            run.ui.say(line)
    return DONE if found.answered or not names else FAILED


def lb_watch(options: Options) -> int:
    """The same again every second until Ctrl-C: a live picture, a line for each change, or a document each time."""
    run = open_run(options, ())
    names = _balancers(run)
    if not names:
        return DONE
    try:
        looks = follow(run.world, run.lab, names)
        if run.ui.json:
            for found in _each_second(looks):
                run.ui.document(_document(found))
        elif run.ui.screen.is_terminal:
            _draw(run, looks)
        else:
            _tell(run, looks)
    except KeyboardInterrupt:
        pass
    return INTERRUPTED


def _balancers(run: LabRun) -> list[str]:
    names = [vm.name for vm in run.lab.load_balancers if run.selection.has(vm.name)]
    if not names:
        run.ui.note("no balancer: the inventory's group load_balancers has none, or --limit left them out")
        if run.ui.json:
            run.ui.document({"balancers": [], "servers": []})
    return names


def _document(found: Balance) -> dict[str, object]:
    return {
        "balancers": [row.fields() for row in found.balancers],
        "servers": [row.fields() for row in found.servers],
    }


def _drawn(screen: Screen, found: Balance, earlier: Balance | None = None) -> list[Line]:
    return picture(found, screen.width, screen.signs, earlier)


def _each_second(looks: Iterator[Balance]) -> Iterator[Balance]:
    for found in looks:
        yield found
        time.sleep(SECONDS)


def _draw(run: LabRun, looks: Iterator[Balance]) -> None:
    latest, told = deque[Balance](maxlen=LATEST), deque[str](maxlen=TOLD)
    with run.ui.screen.live() as draw:
        for found in _each_second(looks):
            told += _dated(changes(latest[-1], found) if latest else [])
            drawn = _drawn(run.ui.screen, found, latest[0] if latest else found)
            latest.append(found)
            draw([*drawn, (), *below(told, run.ui.screen.width), (("Ctrl-C ends", "dim"),)])


def _tell(run: LabRun, looks: Iterator[Balance]) -> None:
    before = None
    for found in _each_second(looks):
        for line in _dated(changes(before, found)) if before else plain(found):
            run.ui.say(line)
        before = found


def _dated(sentences: Sequence[str]) -> list[str]:
    return [f"{datetime.now():%H:%M:%S}  {sentence}" for sentence in sentences]
