"""A lab as a picture: the API and its balancers, the API servers, hosts with their VMs, datastores. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil

from homelab.checks.lab_look import DatastoreRow, HostRow, LabLook, MachineRow
from homelab.output import lab_words as words
from homelab.output.lab_words import State
from homelab.output.svg import LARGE, SMALL, Canvas, in_lines, width_of

WIDTH = 960
# In pixels: around everything, between boxes, inside of a box; the least width of a box, and the height of its lines.
MARGIN, GAP, PAD, LEAST, HEAD, LINE, BAR = 16, 12, 10, 214, 24, 17, 12
NOTE_LINES = 3
EDGE = 4


@dataclass(frozen=True)
class Box:
    """One part of the lab: what it is called, how it stands, what is told of it, and what is on it.

    `full` is how much of it is used, from 0 to 1; `marked` is the balancer that holds the virtual address.
    """

    name: str
    state: State
    lines: tuple[str, ...] = ()
    note: str = ""
    full: float | None = None
    inner: tuple["Box", ...] = ()
    marked: bool = False


def lab_svg(look: LabLook, width: int = WIDTH, clean: Callable[[str], str] = str) -> str:
    """The picture of a lab, so many pixels wide: as many boxes beside each other as have room."""
    canvas = Canvas(width, clean)
    y = _title(canvas, look)
    y = _api(canvas, look, y)
    nowhere = look.on(None)
    sections = (
        ("API servers", _servers(look)),
        ("Hosts", [_host(row, look.on(row.name)) for row in look.hosts]),
        (words.nowhere(look), [_machine(row) for row in nowhere]),
        ("Datastores", [_datastore(row) for row in look.datastores]),
    )
    for title, boxes in sections:
        if boxes:
            canvas.text(MARGIN, y + 14, title, "faint bold", room=width - 2 * MARGIN, size=SMALL)
            y, _ = _grid(canvas, boxes, y + 22)
    for remark in words.lab_remarks(look):
        for line in in_lines(canvas.said(remark), width - 2 * MARGIN, NOTE_LINES):
            canvas.text(MARGIN, y + 12, line, "warn", room=width - 2 * MARGIN, size=SMALL)
            y += LINE
    return canvas.svg(y + MARGIN - GAP, f"{look.name}: {len(look.hosts)} hosts, {len(look.vms)} VMs and their API")


def _title(canvas: Canvas, look: LabLook) -> float:
    room = canvas.width - 2 * MARGIN
    at = f"{look.at.astimezone():%Y-%m-%d %H:%M:%S %Z}"
    canvas.text(canvas.width - MARGIN, 30, at, "faint", room=room, size=SMALL, end=True)
    canvas.text(MARGIN, 30, look.name, "bold", room=room - width_of(at, SMALL) - GAP, size=LARGE)
    return 44


def _api(canvas: Canvas, look: LabLook, y: float) -> float:
    """The virtual address, and lines from it to the balancers: a thick one to the one that holds it."""
    vip, state = look.vip, words.answer_state(look.vip.answer)
    lines = [vip.api_name]
    if look.balancers:
        version = f"Kubernetes {vip.answer.version}, " if vip.answer.version else ""
        lines.append(f"{version}{words.vip_holders(vip)}")
    note = vip.answer.text if state.mood != "good" else ""
    top, _ = _grid(canvas, [Box(f"{vip.address}:{vip.port}", state, tuple(lines), note)], y, least=1)
    boxes = [_balancer(row.name, look) for row in look.balancers]
    if not boxes:
        return top
    below, places = _grid(canvas, boxes, top + GAP)
    trunk = top - GAP
    first = places[0][1]
    for box, (x, box_y, box_width) in zip(boxes, places, strict=True):
        if box_y == first:
            middle = x + box_width / 2
            canvas.path("way" if box.marked else "line", (middle, trunk), (middle, box_y))
    return below


def _balancer(name: str, look: LabLook) -> Box:
    row = next(row for row in look.balancers if row.name == name)
    return Box(name, words.balancer_state(row), (words.balancer_version(row),), row.problem, marked=bool(row.holds_vip))


def _servers(look: LabLook) -> list[Box]:
    return [
        Box(
            row.name,
            words.server_state(row),
            tuple(filter(None, (row.address, row.answer.version))),
            words.server_note(row),
        )
        for row in look.api_servers
    ]


def _host(row: HostRow, machines: Sequence[MachineRow]) -> Box:
    told = (row.address, words.host_version(row), words.others(row), words.host_memory(row))
    full = (row.used_mib or 0) / row.memory_mib if row.memory_mib else None
    inner = tuple(_machine(machine) for machine in machines)
    return Box(row.name, words.host_state(row), tuple(filter(None, told)), row.problem, full, inner)


def _machine(row: MachineRow) -> Box:
    lines = (f"{row.role} {row.vm.address}", words.machine_size(row))
    return Box(row.name, words.machine_state(row), lines, words.machine_note(row))


def _datastore(row: DatastoreRow) -> Box:
    full = 1 - (row.free or 0) / row.size if row.size else None
    lines = (f"{row.kind} {row.source}", words.datastore_room(row))
    return Box(row.name, words.datastore_state(row), tuple(filter(None, lines)), words.datastore_hosts(row), full)


Place = tuple[float, float, float]


def _grid(canvas: Canvas, boxes: Sequence[Box], y: float, *, least: int = 2) -> tuple[float, list[Place]]:
    """Boxes beside and below each other, in at `least` so many columns where there is room.

    Where the next thing begins, and where each box is.
    """
    inner = canvas.width - 2 * MARGIN
    most = max(1, int((inner + GAP) // (LEAST + GAP)))
    columns = max(ceil(len(boxes) / ceil(len(boxes) / most)), min(least, most))
    width = (inner - (columns - 1) * GAP) / columns
    places: list[Place] = []
    for first in range(0, len(boxes), columns):
        row = boxes[first : first + columns]
        height = max(_height(canvas, box, width) for box in row)
        for number, box in enumerate(row):
            place = (MARGIN + number * (width + GAP), y, width)
            _draw(canvas, box, place, height, "box")
            places.append(place)
        y += height + GAP
    return y, places


def _note(canvas: Canvas, box: Box, width: float) -> list[str]:
    return in_lines(canvas.said(box.note), width - 2 * PAD - EDGE, NOTE_LINES)


def _height(canvas: Canvas, box: Box, width: float) -> float:
    lines = len(box.lines) + len(_note(canvas, box, width))
    inside = sum(_height(canvas, inner, width - 2 * PAD) + PAD for inner in box.inner)
    return HEAD + lines * LINE + (BAR if box.full is not None else 0) + inside + PAD


def _draw(canvas: Canvas, box: Box, place: Place, height: float, kind: str) -> None:
    x, y, width = place
    canvas.begin(box.name)
    canvas.rect(x, y, width, height, f"{kind} marked" if box.marked else kind)
    canvas.rect(x, y + 6, EDGE, height - 12, box.state.mood, radius=2)
    left, room = x + PAD + EDGE, width - 2 * PAD - EDGE
    word = canvas.text(x + width - PAD, y + 19, box.state.word, f"{box.state.mood} bold", room=room / 2, end=True)
    canvas.text(left, y + 19, box.name, "bold", room=room - word - PAD)
    y += HEAD
    for line in box.lines:
        canvas.text(left, y + 12, line, "faint", room=room, size=SMALL)
        y += LINE
    for line in _note(canvas, box, width):
        kind_of_note = "faint" if box.state.mood in ("good", "off") else box.state.mood
        canvas.text(left, y + 12, line, kind_of_note, room=room, size=SMALL)
        y += LINE
    if box.full is not None:
        canvas.rect(left, y + 3, room, 5, "track", radius=2.5)
        canvas.rect(left, y + 3, room * min(1.0, max(0.0, box.full)), 5, "ours", radius=2.5)
        y += BAR
    canvas.end()
    for inner in box.inner:
        size = _height(canvas, inner, width - 2 * PAD)
        _draw(canvas, inner, (x + PAD, y + PAD / 2, width - 2 * PAD), size, "inner")
        y += size + PAD
