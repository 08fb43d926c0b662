"""One of the API servers of checker_lan. SIGUSR1: it shuts down; SIGUSR2: it is unready; a second one takes it back.

`python -m tests.helpers.checker_server NAME ADDRESS PORT PEM`
"""

import asyncio
import contextlib
import signal
import ssl
import sys

# As kube-apiserver words it.
SHUTS_DOWN = "[+]ping ok\n[-]shutdown failed: reason withheld\nreadyz check failed\n"
NO_ETCD = "[+]ping ok\n[-]etcd failed: reason withheld\nreadyz check failed\n"


def serve(name: str, address: str, port: int, pair: str) -> None:
    """/readyz, a watch on which nothing happens, and its name for everything else."""
    shown = {"shutdown": False, "unready": False}

    def turn(word: str) -> None:
        shown[word] = not shown[word]

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            path = (await reader.readuntil(b"\r\n\r\n")).split()[1].decode()
            status, body = 200, f"{name}\n"
            if path == "/readyz" and any(shown.values()):
                status, body = 500, SHUTS_DOWN if shown["shutdown"] else NO_ETCD
            length = "" if path == "/watch" else f"Content-Length: {len(body)}\r\n"
            writer.write(f"HTTP/1.1 {status} So\r\n{length}\r\n{body}".encode())
            await writer.drain()
            if path == "/watch":
                await reader.read()
        writer.close()

    async def run() -> None:
        loop = asyncio.get_running_loop()
        for number, word in ((signal.SIGUSR1, "shutdown"), (signal.SIGUSR2, "unready")):
            loop.add_signal_handler(number, turn, word)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pair)
        server = await asyncio.start_server(answer, address, port, ssl=context)
        await server.serve_forever()

    asyncio.run(run())


if __name__ == "__main__":
    serve(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4])
