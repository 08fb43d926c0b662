"""What an NFS server's answers mean for the hosts that are to mount its export. Pure."""

import fnmatch
import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

# Mount's answers (RFC 1813, 5.1.5).
OK, PERM, NOENT, ACCES, NOTDIR = 0, 1, 2, 13, 20
MOUNT_STATUSES = {
    NOENT: "the NAS has no such folder",
    5: "the NAS meets an input/output error there",
    NOTDIR: "it is no folder",
    22: "the NAS takes the path for invalid",
    63: "the NAS takes the path for too long",
    10004: "the NAS does not support the call",
    10006: "the NAS failed inside",
}
NOT_REGISTERED = "not registered with rpcbind"
ENABLE_3 = 'Enable NFS version 3 on the NAS, or set nfs_version to "4.1" in the inventory'


@dataclass(frozen=True)
class Export:
    """A line of the list of exports: a path, and whom it names; nobody named is everybody."""

    path: str
    clients: tuple[str, ...]

    def __str__(self) -> str:
        return self.path


@dataclass(frozen=True)
class Answers:
    """What was asked and answered. A service that gave no answer has the reason as text, one that did has None.

    `minor_1`: whether NFS 4.1 is spoken, None when unclear. `exports` is None when there is no list. `mount` is the
    status of MNT, None when it was not carried out; `asker` is the address that asked, None when it is not known.
    """

    rpcbind: str | None
    mountd: str | None
    nfs3: str | None
    nfs4: str | None
    minor_1: bool | None = None
    exports: tuple[Export, ...] | None = None
    mount: int | None = None
    asker: IPv4Address | None = None

    @property
    def anything(self) -> bool:
        """Whether anything of the NAS answered."""
        return self.rpcbind is None or self.nfs4 is None or self.nfs3 is None

    @property
    def versions(self) -> tuple[str, ...]:
        """The versions of NFS that answer: 3, 4.1, 4.0, and 4 when the minor version is unclear."""
        four = {True: "4.1", False: "4.0", None: "4"}[self.minor_1]
        return (*(["3"] if self.nfs3 is None else []), *([four] if self.nfs4 is None else []))


@dataclass(frozen=True)
class Finding:
    """What is wrong, or could not be told, and what to do."""

    what: str
    advice: str


def problem_of(answers: Answers, path: str, version: str, hosts: Sequence[IPv4Address]) -> Finding | None:
    """Why these hosts could not mount `path` with NFS `version` ("3", "4.1"); None when nothing speaks against it."""
    if not answers.anything:
        return Finding(
            f"the NAS does not answer (rpcbind: {answers.rpcbind}; NFS: {answers.nfs4})",
            "Check the address in the inventory, and that the NAS is on and its NFS service is enabled",
        )
    if version == "3":
        return _problem_with_3(answers) or _problem_with_path(answers, path) or _unnamed(answers, path, hosts)
    return _problem_with_4(answers) or _unnamed(answers, path, hosts)


def doubt_of(answers: Answers, path: str, version: str) -> Finding | None:
    """What could not be told from here, or works and is better written otherwise; None when all is clear."""
    listed = line_of(answers, path)
    if listed is not None and listed.path != path:
        return Finding(
            f"the NAS exports {path} as {listed.path}",
            "Write it as the NAS does: ESXi takes every other spelling for another datastore",
        )
    if version != "3" and listed is None:
        return Finding(
            f"whether {path} is exported cannot be told before a mount",
            "Nothing to do now; the first host that mounts it will tell",
        )
    if version == "3" and answers.mount in (None, PERM, ACCES):
        return Finding(
            "the NAS does not let this machine mount, so whether it lets the hosts cannot be told from here",
            "Nothing to do when the export names the hosts only; the first host that mounts it will tell",
        )
    return None


def line_of(answers: Answers, path: str) -> Export | None:
    """The line of the list of exports for a path; a server passes over a slash at the end."""
    exact = (export for export in answers.exports or () if export.path == path)
    same = (export for export in answers.exports or () if _plain(export.path) == _plain(path))
    return next(exact, None) or next(same, None)


def is_named(clients: Sequence[str], address: IPv4Address) -> bool | None:
    """Whether an export's clients hold an address; None when only the server knows (a name, a netgroup)."""
    answers = [_matches(client, address) for client in clients]
    if not clients or True in answers:
        return True
    return None if None in answers else False


def _problem_with_3(answers: Answers) -> Finding | None:
    only_4 = answers.nfs4 is None and answers.nfs3 is not None
    if answers.rpcbind is not None:
        what = f"rpcbind (port 111) gives no answer: {answers.rpcbind}"
        if answers.nfs4 is None:
            return Finding(f"the NAS offers NFS version 4 only; {what}", ENABLE_3)
        return Finding(what, "ESXi finds NFS version 3 through rpcbind: enable it on the NAS, or open its firewall")
    if only_4:
        return Finding(f"the NAS offers NFS version 4 only; version 3 is {answers.nfs3}", ENABLE_3)
    if answers.nfs3 is not None:
        return Finding(
            f"rpcbind answers, and NFS version 3 over TCP is {answers.nfs3}", "Enable the NFS service of the NAS"
        )
    if answers.mountd is not None:
        return Finding(
            f"rpcbind answers, and mountd (MOUNT version 3 over TCP) is {answers.mountd}",
            "Restart the NFS service of the NAS, and open mountd's port in its firewall",
        )
    return None


def _problem_with_4(answers: Answers) -> Finding | None:
    if answers.nfs4 is not None:
        others = "the NAS offers NFS version 3 only" if answers.nfs3 is None else "the NAS offers no NFS version 4"
        return Finding(
            f"{others}; version 4 (port 2049): {answers.nfs4}",
            'Enable NFS version 4.1 on the NAS, or set nfs_version to "3" in the inventory',
        )
    if answers.minor_1 is False:
        return Finding(
            "the NAS offers NFS version 4.0 and not 4.1, which is what ESXi speaks",
            'Enable NFS version 4.1 on the NAS, or set nfs_version to "3" in the inventory',
        )
    return None


def _problem_with_path(answers: Answers, path: str) -> Finding | None:
    if answers.mount in MOUNT_STATUSES:
        what = f"{path} cannot be mounted: {MOUNT_STATUSES[answers.mount]}"
        return Finding(f"{what}; {_told(answers.exports)}", _advice_for(path, answers.exports))
    # An empty list says nothing: some servers leave out what the asker may not mount.
    if answers.mount == OK or not answers.exports or line_of(answers, path) or _below(answers.exports, path):
        return None
    return Finding(f"{path} is not exported; {_told(answers.exports)}", _advice_for(path, answers.exports))


def _told(exports: Sequence[Export] | None) -> str:
    return f"the NAS exports {', '.join(map(str, exports))}" if exports else "it lists no exports to this machine"


def _advice_for(path: str, exports: Sequence[Export] | None) -> str:
    for export in exports or ():
        if _plain(export.path).lower() == _plain(path).lower():
            return f"Set nfs_export to {export.path}: every letter counts, capital or small"
    same_end = [export.path for export in exports or () if export.path.rsplit("/")[-1] == path.rsplit("/")[-1]]
    if same_end:
        return f"Did you mean {same_end[0]}? Set nfs_export to it, or export {path} on the NAS"
    return f"Export {path} on the NAS to every ESXi host, or correct nfs_export in the inventory"


def _unnamed(answers: Answers, path: str, hosts: Sequence[IPv4Address]) -> Finding | None:
    export = line_of(answers, path)
    if export is None or _lists_too_few(answers, export):
        return None
    missing = [str(host) for host in hosts if is_named(export.clients, host) is False]
    if not missing:
        return None
    return Finding(
        f"the export {export.path} does not name {', '.join(missing)}; it names {', '.join(export.clients)}",
        "Add every ESXi host to the export on the NAS, with write access and no_root_squash",
    )


def _lists_too_few(answers: Answers, export: Export) -> bool:
    """Whether the list cannot be all: it leaves this machine out, and this machine was let in."""
    return answers.mount == OK and answers.asker is not None and is_named(export.clients, answers.asker) is False


def _below(exports: Sequence[Export], path: str) -> bool:
    """Whether the path lies below an export; many servers let such be mounted."""
    return any(f"{_plain(path)}/".startswith(f"{_plain(export.path)}/") for export in exports)


def _plain(path: str) -> str:
    return path.rstrip("/")


def _matches(client: str, address: IPv4Address) -> bool | None:
    """One client of an export, in the forms that servers list: all, an address, a network, a pattern, a name.

    FreeBSD and TrueNAS CORE list a network by its address, without a mask (exports(5), -network): what ends in 0 may
    be one, and only the server knows how large.
    """
    if client in ("*", "(everyone)", "Everyone", "0.0.0.0/0"):
        return True
    if re.fullmatch(r"[\d.]+\.0", client) and client != str(address):
        return None
    try:
        return address in IPv4Network(client, strict=False)
    except ValueError:
        pattern_of_addresses = set(client) <= set("0123456789.*?")
        return fnmatch.fnmatchcase(str(address), client) if pattern_of_addresses else None
