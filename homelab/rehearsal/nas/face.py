"""The NAS's sockets: TCP (with RFC 5531's record marks) and UDP on every port of its programs."""

import contextlib
import logging
import socket
import threading

from homelab.rehearsal.nas.nas import Nas
from homelab.rehearsal.nas.programs import MOUNT_PORT, NFS_PORT, RPCBIND_PORT, Mounts, Programs
from homelab.rehearsal.nas.rpc import answer

LOG = "homelab.rehearsal.nas"
PORTS = (RPCBIND_PORT, MOUNT_PORT, NFS_PORT)
BACKLOG = 16
DATAGRAM = 65535
LAST_FRAGMENT = 0x80000000
MOST = 1 << 20
SILENT = ("Unable to connect to NFS server", "No connection", "Timeout")

logging.getLogger(LOG).addHandler(logging.NullHandler())


class NasFace:
    """The NAS on `address`; a NAS that does not answer keeps silent about every call.

    `mounts` tells what the simulated hosts have mounted: (client, export). The ports are fixed.
    """

    def __init__(self, nas: Nas, address: str, mounts: Mounts = tuple) -> None:
        self.nas, self.address = nas, address
        self._programs = Programs(nas, address, mounts)
        self._lock = threading.Lock()
        self._listening: list[socket.socket] = []
        self._connections: set[socket.socket] = set()

    @property
    def silent(self) -> bool:
        """Whether calls stay without an answer."""
        return self.nas.away or self.nas.refuses in SILENT

    def start(self) -> None:
        """Listen and serve in daemon threads. OSError when the address is not there or a port is taken."""
        with self._lock:
            for port in PORTS:
                tcp = socket.create_server((self.address, port), backlog=BACKLOG)
                self._listening.append(tcp)
                udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                self._listening.append(udp)
                udp.bind((self.address, port))
                for target, one in ((self._accept, tcp), (self._datagrams, udp)):
                    threading.Thread(target=target, args=(one,), name=f"NAS port {port}", daemon=True).start()

    def stop(self) -> None:
        """Close every socket."""
        with self._lock:
            ending = [*self._listening, *self._connections]
            self._listening, self._connections = [], set()
        for one in ending:
            # Closing alone would not wake the thread that waits in it.
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _answer(self, message: bytes, peer: str) -> bytes | None:
        if self.silent:
            return None
        try:
            return answer(message, peer, self._programs)
        except Exception:
            logging.getLogger(LOG).exception("a call of %s", peer)
            return None

    def _datagrams(self, udp: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                message, peer = udp.recvfrom(DATAGRAM)
                reply = self._answer(message, peer[0]) if message else None
                # stop() wakes the thread with an empty message; so may anybody else.
                if udp not in self._listening:
                    return
                if reply is not None:
                    with contextlib.suppress(OSError):
                        udp.sendto(reply, peer)

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, peer = listener.accept()
                with self._lock:
                    if listener not in self._listening:
                        connection.close()
                        return
                    self._connections.add(connection)
                threading.Thread(target=self._converse, args=(connection, peer[0]), daemon=True).start()

    def _converse(self, connection: socket.socket, peer: str) -> None:
        with contextlib.suppress(OSError), connection:
            while (message := _record(connection)) is not None:
                reply = self._answer(message, peer)
                if reply is not None:
                    connection.sendall((LAST_FRAGMENT | len(reply)).to_bytes(4) + reply)
        self._connections.discard(connection)


def _record(connection: socket.socket) -> bytes | None:
    """One record of one or more fragments; None at the end, and for a record that nobody would send."""
    record = b""
    while head := _exactly(connection, 4):
        mark = int.from_bytes(head)
        length = mark & ~LAST_FRAGMENT
        if len(record) + length > MOST:
            return None
        part = _exactly(connection, length)
        if len(part) < length:
            return None
        record += part
        if mark & LAST_FRAGMENT:
            return record
    return None


def _exactly(connection: socket.socket, count: int) -> bytes:
    """`count` bytes, or nothing when the other side ends before."""
    received = b""
    while len(received) < count:
        part = connection.recv(count - len(received))
        if not part:
            return b""
        received += part
    return received
