"""A rehearsal from outside: caches, overlay, and the lab's process in namespaces of its own."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from homelab.errors import HomelabError, UsageError
from homelab.lab import Lab
from homelab.rehearsal.faults import control
from homelab.rehearsal.faults.table import FaultRequest, aimed, as_json, targets
from homelab.rehearsal.guests.roots import ensure_root, root_id
from homelab.rehearsal.kubernetes.bundles import Kubernetes
from homelab.rehearsal.outside import inotify
from homelab.rehearsal.outside.overlay import Overlay, free_ports, new_passwords
from homelab.rehearsal.outside.running_lab import (
    END_SECONDS,
    RunningLab,
    child_of,
    one_at_a_time,
    terminated_like_interrupted,
)
from homelab.rehearsal.storage.image import make_image

Report = Callable[[str], None]
NEEDED_FOR_NAMESPACES = ("unshare", "nsenter", "setpriv", "ip", "mount")
NEEDED_FOR_GUESTS = ("systemd-nspawn", "mmdebstrap", "ip", "nsenter", "unshare", "setpriv")


@dataclass(frozen=True)
class Rehearsal:
    """What a rehearsal is made of, outside: its `.homelab` folder, the cache, the user's sources and groups."""

    home: Path
    cache: Path
    sources: tuple[Path, ...]
    groups: Mapping[str, Sequence[str]]
    kubernetes: Kubernetes
    guests: bool
    namespaces: bool
    faults: tuple[FaultRequest, ...] = ()

    @property
    def folder(self) -> Path:
        """The rehearsal's own `.homelab`."""
        return self.home / "rehearsal"


def guests_possible() -> str | None:
    """None when real guests can run here, else what they lack."""
    if sys.platform != "linux":
        return "real guests need Linux"
    if os.geteuid() != 0:
        return "real guests need root"
    missing = [program for program in NEEDED_FOR_GUESTS if shutil.which(program) is None]
    if missing:
        return f"real guests need {', '.join(missing)} (apt-get install systemd-container mmdebstrap iproute2)"
    return None


def namespaces_possible() -> bool:
    """Whether a network of the rehearsal's own can be made here, as root or in a user namespace."""
    if sys.platform != "linux" or any(shutil.which(program) is None for program in NEEDED_FOR_NAMESPACES):
        return False
    as_root = [] if os.geteuid() == 0 else ["--map-root-user"]
    tried = subprocess.run(["unshare", *as_root, "--mount", "--net", "true"], capture_output=True, check=False)
    return tried.returncode == 0


def write_overlay(rehearsal: Rehearsal, report: Report) -> Overlay:
    """Wipe the rehearsal's folder, fill the caches, write the overlay inventory."""
    shutil.rmtree(rehearsal.folder, ignore_errors=True)
    rehearsal.folder.mkdir(mode=0o700, parents=True)
    root = ensure_root(rehearsal.cache, report).id if rehearsal.guests else root_id()
    overlay = Overlay(
        home=rehearsal.folder,
        groups=rehearsal.groups,
        image=make_image(rehearsal.folder, root),
        kubernetes=rehearsal.kubernetes,
        passwords=new_passwords(rehearsal.groups),
        ports={} if rehearsal.namespaces else free_ports(rehearsal.groups["esxi"]),
    )
    overlay.write()
    return overlay


@contextmanager
def lab(rehearsal: Rehearsal, read_lab: Callable[[Sequence[Path]], Lab], report: Report) -> Iterator[RunningLab]:
    """A fresh lab for as long as the context lasts; UsageError when another one is being served."""
    with terminated_like_interrupted(), one_at_a_time(rehearsal.home) as lock:
        overlay = write_overlay(rehearsal, report)
        report(f"rehearsal: {f'real guests, {rehearsal.kubernetes.words}' if rehearsal.guests else 'no guests'}")
        if rehearsal.guests and not rehearsal.kubernetes.pause:
            report("for a real one: make bundle (homelab kubernetes bundle); it is used by itself once it is there")
        if rehearsal.guests and rehearsal.kubernetes.pause:
            inotify.allow_many(report)
        # The lab's process loads its libraries while the inventory is read, and then waits for its specification.
        with control.open_door(rehearsal.folder) as door, started(rehearsal, door) as process:
            wanted = read_lab((*rehearsal.sources, overlay.folder))
            for request in rehearsal.faults:
                targets(aimed(request, wanted), wanted, guests=rehearsal.guests)
            yield serve(process, rehearsal, overlay, wanted, lock, door)


def choose_guests(wanted: str, warn: Report) -> bool:
    """Whether guests are real; UsageError when they were asked for and cannot be."""
    lack = guests_possible() if wanted != "none" else None
    if lack and wanted == "real":
        raise UsageError(lack, where="--guests real", advice="Install what is missing, or use --guests none")
    if lack:
        warn(f"{lack}; the hosts are rehearsed without guests")
    return wanted != "none" and lack is None


def kubernetes_version(hostvars: Mapping[str, Mapping[str, Any]]) -> str:
    """The version that the inventory asks for."""
    versions = (str(values["kubernetes_version"]) for values in hostvars.values() if "kubernetes_version" in values)
    return next(versions, "1.36.3")


@contextmanager
def started(rehearsal: Rehearsal, door: control.Door) -> Iterator["subprocess.Popen[str]"]:
    """The lab's process, for as long as the context lasts; with it everything in its namespaces ends."""
    with (rehearsal.folder / "lab.log").open("w") as log:
        process = subprocess.Popen(
            _command(_namespaces(rehearsal)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,
            pass_fds=[door.listener.fileno()],
        )
    try:
        yield process
    finally:
        _end(process)
        shutil.rmtree(_work(rehearsal), ignore_errors=True)


def serve(
    process: "subprocess.Popen[str]",
    rehearsal: Rehearsal,
    overlay: Overlay,
    lab: Lab,
    lock: IO[str],
    door: control.Door,
) -> RunningLab:
    """Tell the lab's process what to be, and wait until all of it answers."""
    _work(rehearsal).mkdir(mode=0o700)
    _send_spec(process, rehearsal, lab, _work(rehearsal), door)
    if not _ready(process):
        raise HomelabError(
            f"the simulated lab did not start: {_last_line(rehearsal.folder / 'lab.log')}",
            where=str(rehearsal.folder / "lab.log"),
            advice="The log has the whole story; root, or user namespaces, are needed for it",
        )
    inventories = tuple(str(path.resolve()) for path in (*rehearsal.sources, overlay.folder))
    namespaces = _namespaces(rehearsal)
    leader = process.pid if namespaces == "none" else child_of(process.pid)
    hosts = _hosts(lab, overlay)
    running = RunningLab(os.getpid(), leader, inventories, str(_work(rehearsal)), namespaces, hosts, str(door.path))
    lock.write(json.dumps(running.__dict__))
    lock.flush()
    return running


def _namespaces(rehearsal: Rehearsal) -> str:
    return ("root" if os.geteuid() == 0 else "user") if rehearsal.namespaces else "none"


def _work(rehearsal: Rehearsal) -> Path:
    """The lab's own folder."""
    return rehearsal.folder / "lab"


def _command(namespaces: str) -> list[str]:
    lab = [sys.executable, "-m", "homelab.rehearsal"]
    if namespaces == "none":
        return lab
    # When this process dies, even by kill -9, the kernel ends unshare, and with its child the whole PID namespace.
    command = ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--net", "--pid", "--fork", "--mount-proc"]
    command += ["--kill-child"] + (["--map-root-user"] if namespaces == "user" else [])
    return [*command, *lab]


def _send_spec(
    process: "subprocess.Popen[str]", rehearsal: Rehearsal, lab: Lab, work: Path, door: control.Door
) -> None:
    """Write the lab's specification as one line; the pipe stays open, for the lab ends with it."""
    assert process.stdin is not None
    roots = str(rehearsal.cache / "roots") if rehearsal.guests else None
    spec = {
        "lab": with_passwords(lab),
        "work": str(work),
        "roots": roots,
        "namespaces": rehearsal.namespaces,
        "control": door.listener.fileno(),
        "faults": as_json(rehearsal.faults),
        "pause": rehearsal.kubernetes.pause,
    }
    try:
        process.stdin.write(json.dumps(spec) + "\n")
        process.stdin.flush()
    except BrokenPipeError:
        return  # it is gone; _ready says so


def _hosts(lab: Lab, overlay: Overlay) -> list[dict[str, str]]:
    return [
        {
            "name": host.name,
            "api": f"https://{host.address}" + ("" if host.api_port == 443 else f":{host.api_port}"),
            "ssh": f"{host.address}:{host.ssh_port}",
            "user": host.user,
            "password_file": str(overlay.password_file(host.name).resolve()),
        }
        for host in lab.esxi
    ]


def with_passwords(lab: Lab) -> dict[str, Any]:
    """The lab as JSON, passwords included: for a pipe, never for a file."""
    data = lab.model_dump(mode="json")
    for group in ("esxi", "vcenter"):
        for item, machine in zip(data[group], getattr(lab, group), strict=True):
            item["password"] = machine.password.get_secret_value()
    return data


def _ready(process: "subprocess.Popen[str]") -> bool:
    assert process.stdout is not None
    return process.stdout.readline() == "ready\n"


def _last_line(path: Path) -> str:
    lines = path.read_text().strip().splitlines()
    return lines[-1] if lines else "no word"


def _end(process: "subprocess.Popen[str]") -> None:
    """Let the lab end cleanly, or else by force: with unshare its child dies, and with that the whole namespace."""
    assert process.stdin is not None
    try:
        process.stdin.close()
        process.wait(END_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        process.kill()
        process.wait()
