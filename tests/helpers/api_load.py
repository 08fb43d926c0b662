"""Asks the API at a steady rate, each time over a new TLS connection, until it is told to end; tells what was lost.

Arguments: ADDRESS PORT CA_FILE RATE. A line `asking` once the first answer is there; at the end {"asked",
"lost": [[when it was sent, why], ...], "slow", "longest"} as JSON: seconds, and times of the clock since 1970.
"""

import asyncio
import json
import signal
import ssl
import sys
import time

DEADLINE, SLOW = 10.0, 1.0


async def ask(address: str, port: int, trust: ssl.SSLContext) -> None:
    """One request; raises what went wrong."""
    async with asyncio.timeout(DEADLINE):
        reader, writer = await asyncio.open_connection(address, port, ssl=trust, server_hostname="kubernetes")
        try:
            writer.write(b"GET /version HTTP/1.1\r\nHost: kubernetes\r\nConnection: close\r\n\r\n")
            answer = await reader.read()
        finally:
            writer.close()
    if b" 200 OK" not in answer.partition(b"\r\n")[0]:
        raise EOFError(answer[:60].decode(errors="replace") or "closed without an answer")


def say(line: str) -> None:
    """One line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


async def main() -> None:
    """Ask until told to end, and let what is under way come to its end."""
    address, port, ca_file, rate = sys.argv[1:]
    trust, over = ssl.create_default_context(cafile=ca_file), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, over.set)
    lost: list[tuple[float, str]] = []
    took: list[float] = []

    async def one() -> None:
        sent, began = time.time(), time.monotonic()
        try:
            await ask(address, int(port), trust)
        except (OSError, EOFError) as error:
            lost.append((sent, f"{type(error).__name__}: {error}"))
        took.append(time.monotonic() - began)

    await ask(address, int(port), trust)
    say("asking")
    async with asyncio.TaskGroup() as tasks:
        asked, began = 0, time.monotonic()
        while not over.is_set():
            tasks.create_task(one())
            asked += 1
            await asyncio.sleep(max(began + asked / float(rate) - time.monotonic(), 0))
    told = {"asked": asked, "lost": lost, "slow": sum(1 for each in took if each > SLOW), "longest": max(took)}
    say(json.dumps(told))


asyncio.run(main())
