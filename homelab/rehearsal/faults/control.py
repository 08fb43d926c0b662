"""The way from `rehearsal fault` to the lab's process: a Unix socket, one line of JSON each way."""

import json
import shutil
import socket
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from homelab.errors import HomelabError, UsageError
from homelab.rehearsal.faults.table import FaultRequest

if TYPE_CHECKING:
    from homelab.rehearsal.faults.schedule import Faults

# The kernel takes 107 bytes, macOS 103.
LONGEST_PATH = 100
ASK_SECONDS = 60.0


@dataclass(frozen=True)
class Door:
    """The lab's end of the way: where it is, and what listens there."""

    path: Path
    listener: socket.socket


@contextmanager
def open_door(folder: Path) -> Iterator[Door]:
    """A listening socket that only its owner can reach, in a folder or, where its path is too long, in a short one."""
    short = Path(tempfile.mkdtemp(prefix="homelab-")) if len(bytes(folder / "control")) > LONGEST_PATH else None
    path = (short or folder) / "control"
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
            path.chmod(0o600)
            listener.listen()
            yield Door(path, listener)
    finally:
        path.unlink(missing_ok=True)
        if short:
            shutil.rmtree(short, ignore_errors=True)


def answer(listener: socket.socket, faults: "Faults") -> None:
    """Carry out what comes, in a daemon thread, until the process ends."""

    def serve() -> None:
        while True:
            connection, _ = listener.accept()
            with connection, suppress(OSError, ValueError), connection.makefile("rw") as file:
                file.write(json.dumps(_carry_out(faults, json.loads(file.readline()))) + "\n")

    threading.Thread(target=serve, name="control", daemon=True).start()


def _carry_out(faults: "Faults", message: Mapping[str, Any]) -> dict[str, Any]:
    try:
        if message["do"] == "schedule":
            return {"faults": faults.schedule([FaultRequest(**request) for request in message["requests"]])}
        return {"faults": faults.clear() if message["do"] == "clear" else faults.state()}
    except HomelabError as error:
        usage = isinstance(error, UsageError)
        return {"error": {"what": error.what, "where": error.where, "advice": error.advice}, "usage": usage}
    except Exception as error:
        advice = "The rehearsal's lab.log may have more of it; please report it"
        what = f"a mistake of the rehearsal itself: {type(error).__name__}: {error}"
        return {"error": {"what": what, "where": "the simulated lab", "advice": advice}, "usage": False}


def ask(path: str, message: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What the lab's process answers; its errors are raised here."""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(ASK_SECONDS)
            connection.connect(path)
            with connection.makefile("rw") as file:
                file.write(json.dumps(message) + "\n")
                file.flush()
                answered = json.loads(file.readline())
    except (OSError, ValueError) as error:
        raise HomelabError(
            f"the simulated lab does not answer: {error}", where=path, advice="End the served lab and start it again"
        ) from error
    if "error" in answered:
        raise (UsageError if answered["usage"] else HomelabError)(**answered["error"])
    return list(answered["faults"])
