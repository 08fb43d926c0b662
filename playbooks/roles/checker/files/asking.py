"""Asks a server how it is: by /readyz over verified TLS, by HTTP, by a connection, or by a ping."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable
from itertools import count

from balancer.checker import Configuration
from balancer.pools import CONNECT, PING, READYZ, Pool, Server
from judge import DOWN, DRAIN, UP, Answer

# Every serving certificate that kubeadm makes carries it.
API_NAME = "kubernetes.default.svc"
SHUTS_DOWN = b"[-]shutdown failed"
MAX_ANSWER = 65536
PINGS = count(1)


async def ask(configuration: Configuration, pool: Pool, server: Server) -> Answer:
    """One question and its answer, within the deadline; never raises for what a server or the network does."""
    timeout = configuration.times.timeout
    try:
        return await asyncio.wait_for(_question(configuration, pool.check)(server), timeout)
    except asyncio.TimeoutError:  # noqa: UP041 - Python 3.9
        return Answer(DOWN, f"no answer in {timeout} s")
    except ssl.SSLCertVerificationError as error:
        return Answer(DOWN, f"its certificate does not hold: {error.verify_message}")
    except (OSError, EOFError, ValueError) as error:
        return Answer(DOWN, _in_words(error))


def _question(configuration: Configuration, check: str) -> Callable[[Server], Awaitable[Answer]]:
    if check == PING:
        return _ping
    if check == CONNECT:
        return _connect
    if check == READYZ:
        places = configuration.places
        trust = verifying(places.ca_file, places.certificate)
        return lambda server: _readyz(server, trust, configuration.times.timeout)
    return lambda server: _http(server, check)


def verifying(ca_file: str, certificate: str) -> ssl.SSLContext:
    """Read afresh each time, for a CA may be replaced: it costs a fraction of the handshake."""
    context = ssl.create_default_context(cafile=ca_file)
    # Python 3.13 refuses what the CAs of older clusters lack (RFC 5280's key identifiers).
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if certificate:
        context.load_cert_chain(certificate)
    return context


async def _connect(server: Server) -> Answer:
    with await _connected(server):
        return Answer(UP, "takes connections")


async def _connected(server: Server) -> socket.socket:
    connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    connection.setblocking(False)
    try:
        await asyncio.get_running_loop().sock_connect(connection, (server.address, server.port))
    except BaseException:
        connection.close()
        raise
    return connection


async def _readyz(server: Server, trust: ssl.SSLContext, timeout: float) -> Answer:
    status, body = await _get(server, "/readyz", API_NAME, trust, timeout)
    if status == 200:
        return Answer(UP, "/readyz answers 200")
    if SHUTS_DOWN in body:
        return Answer(DRAIN, f"/readyz answers {status}: it shuts down")
    failed = [line[3:].split()[0] for line in body.decode("utf-8", "replace").splitlines() if line.startswith("[-]")]
    return Answer(DOWN, f"/readyz answers {status}" + (f": {', '.join(failed[:3])} failed" if failed else ""))


async def _http(server: Server, path: str) -> Answer:
    status, _body = await _get(server, path, server.address)
    return Answer(UP if 200 <= status < 400 else DOWN, f"{path} answers {status}")


async def _get(
    server: Server, path: str, host: str, trust: ssl.SSLContext | None = None, timeout: float | None = None
) -> tuple[int, bytes]:
    """The status, and the body of an answer that is not 200."""
    connection = await _connected(server)
    try:
        reader, writer = await asyncio.open_connection(
            sock=connection,
            limit=MAX_ANSWER,
            ssl=trust,
            server_hostname=host if trust else None,
            ssl_handshake_timeout=timeout if trust else None,
        )
    except BaseException:
        connection.close()
        raise
    try:
        words = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: homelab-checker\r\nConnection: close\r\n\r\n"
        writer.write(words.encode("ascii"))
        first = (await reader.readline()).split()
        if len(first) < 2 or not first[0].startswith(b"HTTP/") or not first[1].isdigit():
            raise ValueError("it does not speak HTTP")
        status = int(first[1])
        return status, b"" if status == 200 else await _body(reader)
    finally:
        writer.transport.abort()


async def _body(reader: asyncio.StreamReader) -> bytes:
    """The rest of an answer, up to its end or to what its head tells of its length."""
    head = await reader.readuntil(b"\r\n\r\n")
    lengths = [line[15:] for line in head.lower().splitlines() if line.startswith(b"content-length:")]
    wanted = min(int(lengths[0]), MAX_ANSWER) if lengths else MAX_ANSWER
    body = b""
    while len(body) < wanted and (part := await reader.read(wanted - len(body))):
        body += part
    return body


async def _ping(server: Server) -> Answer:
    """An echo request (RFC 792); the answer bears the same number."""
    number, process = next(PINGS) & 0xFFFF, os.getpid() & 0xFFFF
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as wire:
        wire.setblocking(False)
        wire.connect((server.address, 0))
        await loop.sock_sendall(wire, echo_request(process, number))
        while True:
            packet = await loop.sock_recv(wire, 2048)
            message = packet[(packet[0] & 15) * 4 :]
            if message[:1] == b"\0" and message[4:8] == struct.pack("!HH", process, number):
                return Answer(UP, "answers a ping")


def echo_request(identifier: int, number: int) -> bytes:
    """The bytes of an ICMP echo request."""
    blank = struct.pack("!BBHHH", 8, 0, 0, identifier, number)
    return blank[:2] + struct.pack("!H", internet_checksum(blank)) + blank[4:]


def internet_checksum(data: bytes) -> int:
    """The checksum of RFC 1071."""
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


def _in_words(error: Exception) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "refuses connections"
    if isinstance(error, EOFError):
        return "ended the connection without an answer"
    return f"{error.strerror or error}" if isinstance(error, OSError) else str(error)
