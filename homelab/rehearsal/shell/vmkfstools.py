"""vmkfstools: disks on the simulated datastores. Recorded are the lines of a clone; the others' are assumed."""

import re

from homelab.rehearsal.host.host import Host
from homelab.rehearsal.shell import files
from homelab.rehearsal.shell.call import Answer, Call
from homelab.rehearsal.state.refusals import Refusal
from homelab.rehearsal.storage import disk_changes
from homelab.rehearsal.storage.datastores import VOLUMES

FORMATS = {
    "zeroedthick": "VMFS zeroedthick",
    "thin": "VMFS thin-provisioned",
    "eagerzeroedthick": "VMFS eagerzeroedthick",
}
UNITS = {"": 512, "s": 512, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
LARGEST = 62 << 40
FAILED = 255
Options = dict[str, str]


class _Usage(Exception):
    """Not a command line that vmkfstools takes."""


def vmkfstools(call: Call) -> Answer:
    """Clone (-i), rename (-E), create (-c), extend (-X) or delete (-U) a disk."""
    try:
        options, paths = _parse(list(call.arguments))
        for letter, action in (("i", _clone), ("E", _rename), ("c", _create), ("X", _extend), ("U", _delete)):
            if letter in options:
                return Answer(action(call.host, options, paths))
        raise _Usage("one of -i, -E, -c, -X and -U is wanted")
    except _Usage as usage:
        return Answer(err=f"vmkfstools: {usage} (simulated: -i -E -c -X -U -d)\n", status=1)
    except Refusal as refusal:
        return Answer(err=f"{refusal.message}\n", status=FAILED)


def _parse(words: list[str]) -> tuple[Options, list[str]]:
    options: Options = {}
    paths = []
    while words:
        word = words.pop(0)
        if not word.startswith("-"):
            paths.append(word)
        elif word in ("-i", "-E", "-c", "-X", "-d") and words:
            options[word[1:]] = words.pop(0)
        elif word == "-U":
            options["U"] = ""
        else:
            raise _Usage(f"invalid option {word}")
    if len(paths) != 1:
        raise _Usage("one file is wanted")
    if options.get("d", "thin") not in FORMATS:
        raise _Usage(f"invalid disk format {options['d']}")
    return options, paths


def _clone(host: Host, options: Options, paths: list[str]) -> str:
    kind = options.get("d", "zeroedthick")
    source, target = _label(host, options["i"]), _label(host, paths[0])
    host.datastores.volumes.copy_disk(
        host.datastores.path_of(source),
        host.datastores.path_of(target),
        force=False,
        thin=kind == "thin",
        label=source,
        target_label=target,
    )
    name = options["i"]
    return f"Destination disk format: {FORMATS[kind]}\nCloning disk '{name}'...\nClone: 100% done.\n"


def _rename(host: Host, options: Options, paths: list[str]) -> str:
    source, target = _label(host, options["E"]), _label(host, paths[0])
    datastores = host.datastores
    old, new = datastores.path_of(source), datastores.path_of(target)
    disk_changes.move_disk(datastores.volumes, old, new, force=False, label=source, target_label=target)
    return ""


def _create(host: Host, options: Options, paths: list[str]) -> str:
    label = _label(host, paths[0])
    thin = options.get("d", "zeroedthick") == "thin"
    host.datastores.volumes.create_disk(host.datastores.path_of(label), _size(options["c"]), thin=thin, label=label)
    return "Create: 100% done.\n"


def _extend(host: Host, options: Options, paths: list[str]) -> str:
    host.vms.extend_disk(_label(host, paths[0]), _size(options["X"]))
    return "Grow: 100% done.\n"


def _delete(host: Host, options: Options, paths: list[str]) -> str:
    label = _label(host, paths[0])
    host.datastores.volumes.delete_disk(host.datastores.path_of(label), label=label)
    return ""


def _size(text: str) -> int:
    found = re.fullmatch(r"(\d{1,12})([kmgtsKMGTS]?)", text)
    size = int(found[1]) * UNITS[found[2].lower()] if found else 0
    if not 0 < size <= LARGEST:
        raise _Usage(f"invalid size {text}")
    return size


def _label(host: Host, path: str) -> str:
    """The datastore path of a path below /vmfs/volumes."""
    label = files.datastore_path(host, path)
    if label is None or not path.endswith(".vmdk"):
        raise _Usage(f"{path} is not a .vmdk below {VOLUMES}")
    return label
