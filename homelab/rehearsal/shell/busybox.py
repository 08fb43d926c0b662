"""The other programs of the ESXi shell, each a function named after it (underscores for the hyphen and the dot)."""

import re
import shlex
from collections.abc import Iterator
from datetime import UTC, datetime

from homelab.rehearsal.shell import files
from homelab.rehearsal.shell.call import Answer, Call
from homelab.rehearsal.shell.facts import module_version
from homelab.rehearsal.shell.options import flags_of, usage
from homelab.rehearsal.shell.pci import devices

LSPCI_CLASSES = {"0200": "Network controller", "0106": "Mass storage controller", "0c03": "Serial bus controller"}
BUILT = "Apr  3 2018 14:48:22"


def true(call: Call) -> Answer:
    """Succeed."""
    return Answer()


def false(call: Call) -> Answer:
    """Fail."""
    return Answer(status=1)


def echo(call: Call) -> Answer:
    """Print the arguments."""
    return Answer(" ".join(call.arguments) + "\n")


def cat(call: Call) -> Answer:
    """Print files, or standard input."""
    if not call.arguments:
        return Answer(call.stdin)
    out, err = "", ""
    for path in call.arguments:
        try:
            out += files.read(call.host, path)
        except IsADirectoryError:
            err += "cat: read error: Is a directory\n"
        except OSError:
            err += f"cat: can't open '{path}': No such file or directory\n"
    return Answer(out, err, 1 if err else 0)


def ls(call: Call) -> Answer:
    """List folders, a name a line as into a pipe, with -l in full; -1 and -a are taken and change nothing."""
    flags, paths = flags_of(call.arguments)
    if set(flags) - set("1aAl"):
        return usage("ls", flags, "1aAl")
    out, err = "", ""
    for path in paths or ["/"]:
        try:
            names = files.listing(call.host, path)
        except OSError:
            err += f"ls: {path}: No such file or directory\n"
            continue
        head = f"{path}:\n" if len(paths) > 1 and names is not None else ""
        shown = [path] if names is None else names
        full = [_in_full(call, path, name) for name in shown] if "l" in flags else shown
        out += head + "".join(f"{line}\n" for line in full)
    return Answer(out, err, 1 if err else 0)


def _in_full(call: Call, folder: str, name: str) -> str:
    """One line of `ls -l`; dates are not simulated."""
    target = files.links(call.host).get(name) if folder == "/" else None
    if target is not None:
        return f"lrwxrwxrwx    1 root     root     {len(target):>13} Jan  1 00:00 {name} -> {target}"
    try:
        size = len(files.read(call.host, name if name == folder else f"{folder}/{name}").encode())
    except OSError:
        return f"drwxr-xr-x    1 root     root               512 Jan  1 00:00 {name}"
    return f"-rw-r--r--    1 root     root     {size:>13} Jan  1 00:00 {name}"


def grep(call: Call) -> Answer:
    """Print the lines that match; options -c -E -F -h -i -l -n -q -r -v."""
    flags, words = flags_of(call.arguments)
    if set(flags) - set("cEFhilnqrv") or not words:
        return usage("grep", flags, "cEFhilnqrv")
    try:
        pattern = re.compile(_regex(words[0], flags), re.IGNORECASE if "i" in flags else 0)
    except re.error as error:
        return Answer(err=f"grep: bad regex '{words[0]}': {error}\n", status=2)
    paths = list(_below(call, words[1:])) if "r" in flags else words[1:]
    named = (len(paths) > 1 or "r" in flags) and "h" not in flags
    out, err, found = "", "", False
    for path in paths or ["-"]:
        try:
            text = call.stdin if path == "-" else files.read(call.host, path)
        except OSError:
            err += f"grep: {path}: No such file or directory\n"
            continue
        numbered = enumerate(text.splitlines(), 1)
        hits = [(number, line) for number, line in numbered if bool(pattern.search(line)) != ("v" in flags)]
        found = found or bool(hits)
        out += _hits(hits, path, flags, named)
    return Answer("" if "q" in flags else out, err, 0 if found and not err else 2 if err else 1)


def _hits(hits: list[tuple[int, str]], path: str, flags: str, named: bool) -> str:
    prefix = f"{path}:" if named else ""
    if "l" in flags:
        return f"{path}\n" if hits else ""
    if "c" in flags:
        return f"{prefix}{len(hits)}\n"
    return "".join(f"{prefix}{f'{number}:' if 'n' in flags else ''}{line}\n" for number, line in hits)


def _below(call: Call, paths: list[str]) -> Iterator[str]:
    for path in paths:
        prefix = path.rstrip("/") + "/"
        yield from sorted(one for one in files.texts(call.host) if one == path or one.startswith(prefix))


def _regex(pattern: str, flags: str) -> str:
    """A basic regular expression in Python's terms: there the bare sign and the escaped one change places."""
    if "F" in flags:
        return re.escape(pattern)
    if "E" in flags:
        return pattern
    return re.sub(r"\\?[+?|(){}]", lambda sign: sign[0][1:] if sign[0][0] == "\\" else f"\\{sign[0]}", pattern)


def uname(call: Call) -> Answer:
    """The kernel's name, or with -a everything."""
    host = call.host
    if call.arguments == ("-a",):
        build = f"#1 SMP Release build-{host.build} {BUILT}"
        return Answer(f"VMkernel {host.settings.network.full_name} {host.version} {build} x86_64 x86_64 x86_64 ESXi\n")
    parts = {"-s": "VMkernel", "-n": host.settings.network.full_name, "-r": host.version, "-m": "x86_64"}
    option = call.arguments[0] if call.arguments else "-s"
    return Answer(f"{parts[option]}\n") if option in parts else usage("uname", option, "asnrm")


def vmware(call: Call) -> Answer:
    """Version and build (-v), level (-l), or both."""
    flags, _ = flags_of(call.arguments)
    if not flags or set(flags) - set("lv"):
        return usage("vmware", flags, "lv")
    host = call.host
    version = f"VMware ESXi {host.version} build-{host.build}\n" if "v" in flags else ""
    return Answer(version + (f"VMware ESXi {host.version} {host.model.update}\n" if "l" in flags else ""))


def ethtool(call: Call) -> Answer:
    """`ethtool -i NIC`: the driver of a NIC."""
    host = call.host
    if len(call.arguments) != 2 or call.arguments[0] != "-i":
        return usage("ethtool", "".join(call.arguments[:1]), "i")
    nic = next((one for one in host.nics if one.name == call.arguments[1] and one.driver), None)
    if nic is None or nic.driver is None:
        return Answer(err="Cannot get driver information: No such device\n", status=71)
    lines = {
        "driver": nic.driver,
        "version": module_version(host, nic.driver),
        "firmware-version": "0.8-4",
        "bus-info": nic.pci_address,
    }
    return Answer("".join(f"{key}: {value}\n" for key, value in lines.items()))


def esxcfg_module(call: Call) -> Answer:
    """`esxcfg-module -g MODULE`: whether it is enabled, and its options."""
    if len(call.arguments) != 2 or call.arguments[0] != "-g":
        return usage("esxcfg-module", "".join(call.arguments[:1]), "g")
    module = call.host.drivers.modules.get(call.arguments[1])
    if module is None:
        return Answer(err=f"Unable to find module: {call.arguments[1]}\n", status=1)
    return Answer(f"{module.name} enabled = {int(module.enabled)} options = '{module.options}'\n")


def lspci(call: Call) -> Answer:
    """The PCI devices; with -n as numbers."""
    if call.arguments not in ((), ("-n",)):
        return usage("lspci", "".join(call.arguments), "n")
    out = ""
    for address, kind, ids, text, name in devices(call.host):
        told = f"Class {kind}: {ids}" if call.arguments else f"{LSPCI_CLASSES.get(kind, 'Unknown class')}: {text}"
        out += f"{address} {told}{f' [{name}]' if name else ''}\n"
    return Answer(out)


def auto_backup_sh(call: Call) -> Answer:
    """Keep the configuration in the boot bank."""
    call.host.auto_backup.keep()
    now = datetime.now(UTC)
    clock = f"Time: {now:%H:%M:%S}   Date: {now:%m/%d/%Y}   UTC"
    return Answer(f"Saving current state in /bootbank\nClock updated.\n{clock}\n")


def reboot(call: Call) -> Answer:
    """Reboot: cleanly, or with -f as if the plug were pulled."""
    if call.arguments == ():
        call.host.power.reboot()
    elif call.arguments == ("-f",):
        call.host.power.cut()
    else:
        return usage("reboot", shlex.join(call.arguments), "f")
    return Answer()
