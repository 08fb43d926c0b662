"""What `/folder` shows of a datacenter, of its datastores and of their folders: HTML, as a host writes it.

A folder's page is recorded (Apache CloudStack, VmwareContext.java, a vCenter of 2010); of the list of datastores the
rows are known from a client that reads them; the list of datacenters is after their likeness.
"""

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from html import escape
from pathlib import Path

from homelab.rehearsal.host.host import Host

DATACENTER = "ha-datacenter"
PAGE = """<!DOCTYPE html PUBLIC "-//W3C//DTD HTML 4.01 Transitional//EN">
<html>
  <head>
    <meta http-equiv="content-type" content="text/html; charset=utf-8">
    <title>{title}</title></head>
  <body>
<h1>{title}</h1>
<table>
<tr>{heads}</tr><tr><th colspan="{width}"><hr></th></tr>
{rows}
<tr><th colspan="5"><hr></th></tr>
</table>
  </body>
</html>
"""


def datacenters() -> str:
    """The one datacenter of a host."""
    rows = [f'<tr><td><a href="{_link("", None)}">{DATACENTER}</a></td></tr>']
    return _page("Index of known datacenters", ("Name",), rows)


def datastores(host: Host) -> str:
    """The datastores that answer, with capacity and free space in bytes."""
    rows = []
    for name, mount in host.datastores.mounts.items():
        capacity, free = host.datastores.volumes.space(mount.volume) if host.datastores.accessible(mount) else (0, 0)
        rows.append(_row(_link("", name), name, str(capacity), str(free)))
    return _page(f"Index of datastores in datacenter {DATACENTER}", ("Name", "Capacity", "Free"), rows)


def folder(store: str, path: str, items: Iterable[Path]) -> str:
    """What lies in a folder of a datastore."""
    above = path.rpartition("/")[0]
    parent = _link(above, store if path else None)
    rows = [f'<tr><td><a href="{parent}">Parent Directory</a></td><td>&nbsp;</td><td align="right">  - </td></tr>']
    for item in sorted(items):
        inside = f"{path}/{item.name}".lstrip("/")
        stat, mark = item.stat(), "/" if item.is_dir() else ""
        changed = datetime.fromtimestamp(stat.st_mtime, UTC).strftime("%d-%b-%Y %H:%M")
        size = "  - " if mark else str(stat.st_size)
        rows.append(_row(_link(inside, store), item.name + mark, changed, size))
    what = f"{path} on datastore {store}" if path else f"datastore {store}"
    return _page(f"Index of {what} in datacenter {DATACENTER}", ("Name", "Last modified", "Size"), rows)


def _link(path: str, store: str | None) -> str:
    place = f"/folder/{_quoted(path)}" if path else "/folder"
    named = "" if store is None else f"&amp;dsName={_quoted(store)}"
    return f"{place}?dcPath={_quoted(DATACENTER)}{named}"


def _quoted(text: str) -> str:
    """As a host quotes: everything but letters, digits and slashes, in small hex digits."""
    return re.sub(rb"[^A-Za-z0-9/]", lambda found: b"%%%02x" % found[0][0], text.encode()).decode()


def _row(link: str, name: str, *cells: str) -> str:
    rest = "".join(f'<td align="right">{cell}</td>' for cell in cells)
    return f'<tr><td><a href="{link}">{escape(name)}</a></td>{rest}</tr>'


def _page(title: str, heads: tuple[str, ...], rows: list[str]) -> str:
    cells = "".join(f"<th>{head}</th>" for head in heads)
    return PAGE.format(title=escape(title), heads=cells, width=len(heads), rows="\n".join(rows))
