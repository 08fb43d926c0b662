"""The command `status --serve`: the lab on a page, live, until Ctrl-C or SIGTERM; changes nothing."""

import re
import threading
from contextlib import suppress
from ipaddress import ip_address

from homelab.checks.lab_watch import LabWatch
from homelab.commands.options import Options
from homelab.commands.status import open_status
from homelab.errors import DONE, UsageError
from homelab.output.page import Page, RunShown
from homelab.ports.files.home import HomeFiles
from homelab.ports.files.runs import events_of, last_lines, last_run
from homelab.ports.net.page_server import serving

LINES = 200


def serve_page(options: Options, where: str) -> int:
    """Serve the page at ADDRESS:PORT."""
    address, port = place_of(where)
    run = open_status(options, recorded=False)
    if not ip_address(address).is_loopback:
        run.ui.warn(f"whoever reaches {address} can see how the lab stands, and the last run's log")
    asked = LabWatch(run.world, run.lab, run.selection.has, keep=True)
    page = Page(run.lab.name, asked.look, lambda: _shown(run.files), run.files.masks)
    with suppress(KeyboardInterrupt), run.world.run.connected():
        asked.begin()
        with serving(address, port, page) as url:
            if run.ui.json:
                run.ui.document({"event": "ready", "url": url})
            else:
                run.ui.say(f"{url} shows the lab; Ctrl-C ends it")
            threading.Event().wait()
    return DONE


def place_of(where: str) -> tuple[str, int]:
    """ADDRESS:PORT, where ADDRESS is an IP address, in [] when it is IPv6, or localhost. Raises UsageError."""
    found = re.fullmatch(r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<four>[^:\[\]]+)):(?P<port>\d{1,5})", where)
    with suppress(ValueError, TypeError):
        if found:
            named = found["six"] or found["four"].replace("localhost", "127.0.0.1")
            address, port = str(ip_address(named)), int(found["port"])
            if port < 1 << 16 and (":" in address) == bool(found["six"]):
                return address, port
    raise UsageError(
        f"{where!r} is no address and port",
        where="--serve",
        advice="Write an IP address of this machine and a port: 127.0.0.1:8480, or [::1]:8480",
    )


def _shown(files: HomeFiles) -> RunShown | None:
    folder = last_run(files.home)
    return RunShown(folder.name, events_of(folder), last_lines(folder, LINES)) if folder else None
