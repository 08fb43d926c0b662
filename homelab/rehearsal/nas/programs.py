"""What a NAS with NFSv3 answers: rpcbind (RFC 1833), mountd (RFC 1813, appendix I) and the NULL call of NFS.

A refusal that ESXi words in its sysinfo text is turned back into what a NAS would have said to cause it.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping

from homelab.rehearsal.nas.nas import DENIED, Nas
from homelab.rehearsal.nas.rpc import Procedure, Program
from homelab.rehearsal.nas.xdr import Reader, chain, opaque, text, uint

RPCBIND, NFS, MOUNT = 100000, 100003, 100005
RPCBIND_PORT, NFS_PORT, MOUNT_PORT = 111, 2049, 20048
TCP, UDP = 6, 17
NETIDS = {"tcp": TCP, "udp": UDP}
AUTH_SYS = 1
PATH, NAME, ADDRESS = 1024, 255, 255
OK, PERM, NOENT, IO, ACCES, NOTDIR, INVAL, SERVERFAULT = 0, 1, 2, 5, 13, 20, 22, 10006

# Sysinfo texts and the mount status behind them; any other is a fault of the server.
STATUSES = {
    DENIED: ACCES,
    "Permission denied": PERM,
    "Not found": NOENT,
    "The specified mount path was not a directory": NOTDIR,
    "Bad parameter": INVAL,
    "Unable to query remote mount point's attributes": IO,
}
NO_MOUNT = "The NFS server does not support MOUNT version 3 over TCP"
NO_NFS = "The NFS server does not support requested NFS version over TCP"

Mounts = Callable[[], Iterable[tuple[str, str]]]


class Programs(Mapping[int, Program]):
    """The programs as the NAS's state has them at the moment of a call. `mounts` are (client, export) of others."""

    def __init__(self, nas: Nas, address: str, mounts: Mounts) -> None:
        self._nas, self._address, self._mounts = nas, address, mounts
        self._mounted: list[tuple[str, str]] = []

    def __getitem__(self, number: int) -> Program:
        return self._all()[number]

    def __iter__(self) -> Iterator[int]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())

    def _all(self) -> dict[int, Program]:
        getters: dict[int, Procedure] = {3: self._getaddr, 4: self._rpcb_dump}
        rpcbind: dict[int, dict[int, Procedure]] = {2: {3: self._getport, 4: self._pmap_dump}, 3: getters, 4: getters}
        mount = {1: self._mnt, 2: self._dump, 3: self._umnt, 4: self._umntall, 5: self._export}
        programs = (
            Program(RPCBIND, RPCBIND_PORT, rpcbind),
            Program(MOUNT, MOUNT_PORT, {} if self._nas.refuses == NO_MOUNT else {3: mount}),
            Program(NFS, NFS_PORT, {} if self._nas.refuses == NO_NFS else {3: {}, 4: {}}),
        )
        return {program.number: program for program in programs}

    # rpcbind

    def _registered(self) -> list[tuple[int, int, str, int]]:
        """Program, version, netid and port of everything that answers; NFS 4 knows no UDP."""
        return [
            (program.number, version, netid, program.port)
            for program in self.values()
            for version in program.versions
            for netid in NETIDS
            if (program.number, version, netid) != (NFS, 4, "udp")
        ]

    def _getport(self, arguments: Reader, peer: str) -> bytes:
        wanted = arguments.uint(), arguments.uint(), arguments.uint()
        arguments.uint()
        ports = (
            port for number, version, netid, port in self._registered() if wanted == (number, version, NETIDS[netid])
        )
        return uint(next(ports, 0))

    def _pmap_dump(self, arguments: Reader, peer: str) -> bytes:
        return chain(
            [uint(number, version, NETIDS[netid], port) for number, version, netid, port in self._registered()]
        )

    def _getaddr(self, arguments: Reader, peer: str) -> bytes:
        number, version, netid = arguments.uint(), arguments.uint(), arguments.text(NAME)
        found = (port for *what, port in self._registered() if what == [number, version, netid])
        return text(next((self._universal(port) for port in found), ""))

    def _rpcb_dump(self, arguments: Reader, peer: str) -> bytes:
        return chain(
            [
                uint(number, version) + text(netid) + text(self._universal(port)) + text("superuser")
                for number, version, netid, port in self._registered()
            ]
        )

    def _universal(self, port: int) -> str:
        """An address and a port as RFC 5665 writes them."""
        return f"{self._address}.{port >> 8}.{port & 255}"

    # mountd

    def _mnt(self, arguments: Reader, peer: str) -> bytes:
        path = arguments.text(PATH)
        status = self._status(path, peer)
        if status != OK:
            return uint(status)
        if (peer, path) not in self._mounted:
            self._mounted.append((peer, path))
        handle = hashlib.sha256(path.rstrip("/").encode()).digest()
        return uint(OK) + opaque(handle) + uint(1, AUTH_SYS)

    def _status(self, path: str, peer: str) -> int:
        """An export that is not there is denied as well: mountd looks at its list, not at the disk."""
        if self._nas.refuses:
            return STATUSES.get(self._nas.refuses, SERVERFAULT)
        return OK if self._nas.exports_to(path.rstrip("/"), peer) else ACCES

    def _dump(self, arguments: Reader, peer: str) -> bytes:
        mounted = dict.fromkeys([*self._mounts(), *self._mounted])
        return chain([text(client) + text(path) for client, path in mounted])

    def _umnt(self, arguments: Reader, peer: str) -> bytes:
        path = arguments.text(PATH)
        self._mounted = [one for one in self._mounted if one != (peer, path)]
        return b""

    def _umntall(self, arguments: Reader, peer: str) -> bytes:
        self._mounted = [one for one in self._mounted if one[0] != peer]
        return b""

    def _export(self, arguments: Reader, peer: str) -> bytes:
        """Every export, each for everyone."""
        return chain([text(path) + chain([]) for path in sorted(self._nas.exports)])
