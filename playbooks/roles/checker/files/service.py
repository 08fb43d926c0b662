"""The service: asks every server by itself, and has the balancer do what follows from the answers."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import sessions
import telling
from asking import ask
from balancer.checker import Configuration
from balancer.pools import Pool, Server
from balancing import Kernel, Proxy, Refused, put
from judge import Health, Picture, judged, picture, plain_server, remembered, state_of

# How often it looks whether somebody changed the rules, and how often it tells its state.
LOOK = 1.0
# How long, and how often, the clients of a server are asked for that has just died.
ASK_CLIENTS, ASK_AGAIN = 15.0, 0.5


def read_json(path: Path) -> dict[str, Any]:
    """An object in a file; empty when there is none that makes sense."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


class Service:
    """One task for each server, so that a slow one holds nobody up, and one that applies."""

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration
        folder = Path(configuration.places.folder)
        folder.mkdir(parents=True, exist_ok=True)
        self._state_file, self._wanted_file = folder / "state.json", folder / "wanted.json"
        self._kernel = Kernel(configuration)
        self._proxy = Proxy(configuration) if configuration.kind == "nginx" else None
        self._health = self._remembered()
        self._drained = self._wished()
        self._applied: Picture | None = None
        # What keeps it from balancing, and what else did not work: only the first moves the virtual address.
        self._unready = "the rules are not laid down yet"
        self._problem = ""
        self._changed = asyncio.Event()
        self._ask_clients_until = 0.0

    def _remembered(self) -> dict[tuple[str, str], Health]:
        """What was known before a restart: nothing may change by it."""
        told, now = read_json(self._state_file).get("pools", {}), time.time()
        return {
            (pool.name, server.name): remembered(told, pool, server, now)
            for pool in self._configuration.pools
            for server in pool.servers
        }

    def _wished(self) -> list[str]:
        """Whom a person wants to drain."""
        return sorted(map(str, read_json(self._wanted_file).get("drained", ())))

    async def serve(self) -> None:
        """Runs until it is ended; SIGHUP begins it anew: the program and its configuration are read afresh."""
        door = telling.Door(self._configuration, self.state, self.problem)
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, _begin_anew, door)
        # First, so that whoever asks hears of rules that are in place.
        await self._apply(picture(self._configuration.pools, self._states()))
        await door.open()
        watched = [(pool, server) for pool in self._configuration.pools for server in pool.servers]
        asked = {key: health.asked for key, health in self._health.items()}
        tasks = [asyncio.ensure_future(self._watch(pool, server)) for pool, server in watched]
        tasks.append(asyncio.ensure_future(self._keep()))
        while any(self._health[key].asked == count for key, count in asked.items()) and not any(
            task.done() for task in tasks
        ):
            await asyncio.sleep(0.02)
        telling.tell_systemd("READY=1")
        await asyncio.gather(*tasks)

    async def _watch(self, pool: Pool, server: Server) -> None:
        times, key = self._configuration.times, (pool.name, server.name)
        while True:
            began = time.monotonic()
            answer = await ask(self._configuration, pool, server)
            before = self._health[key]
            after = self._health[key] = judged(before, answer, times, time.time())
            if after.state != before.state:
                print(f"{pool.name}/{server.name} is {after.state}: {after.answer}", flush=True)
                self._changed.set()
            pause = times.fast if after.against else times.interval
            await asyncio.sleep(max(began + pause - time.monotonic(), 0.0))

    async def _keep(self) -> None:
        """Applies every change at once, looks after the rules, tells the state, and that it is alive."""
        look_at = ask_at = 0.0
        while True:
            now = time.monotonic()
            wished = self._wished()
            changed, self._drained = wished != self._drained, wished
            wanted = picture(self._configuration.pools, self._states())
            looks = now >= look_at
            if looks and self._applied is not None and not await asyncio.to_thread(self._kernel.is_intact):
                self._applied = None
            if wanted != self._applied and (self._applied is not None or looks):
                await self._apply(wanted)
                changed = True
            if looks or changed:
                look_at = now + LOOK if looks else look_at
                put(self._state_file, json.dumps(self.state(), indent=2) + "\n")
            if now < self._ask_clients_until and now >= ask_at:
                ask_at = now + ASK_AGAIN
                await self._ask_clients(wanted)
            telling.tell_systemd("WATCHDOG=1")
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._changed.wait(), 0.1)
            self._changed.clear()

    async def _apply(self, wanted: Picture) -> None:
        before = self._applied.dead | self._applied.dead_hosts if self._applied else frozenset()
        self._applied = None
        self._unready = await _told(self._kernel.apply, wanted)
        self._problem = self._unready or (await _told(self._proxy.apply, wanted) if self._proxy else "")
        if self._problem:
            return
        self._applied = wanted
        if (wanted.dead | wanted.dead_hosts) - before:
            self._ask_clients_until = time.monotonic() + ASK_CLIENTS

    async def _ask_clients(self, wanted: Picture) -> None:
        def act() -> None:
            known = sessions.of_this_machine() if self._proxy else sessions.of_the_kernel()
            sessions.ask_clients(sessions.left_by(known, wanted.dead, wanted.dead_hosts))

        try:
            await asyncio.to_thread(act)
        except OSError as error:
            print(f"clients of dead servers cannot be asked: {error}", file=sys.stderr, flush=True)

    def _states(self) -> dict[str, dict[str, str]]:
        return {
            pool.name: {
                server.name: state_of(self._health[pool.name, server.name], server.name, self._drained)
                for server in pool.servers
            }
            for pool in self._configuration.pools
        }

    async def problem(self) -> str:
        """Why this balancer is not well, empty when it is, whatever the servers do."""
        if self._unready or not self._proxy:
            return self._unready
        return await telling.nginx_problem(self._configuration.ready_port)

    def state(self) -> dict[str, Any]:
        """What state.json says."""
        states = self._states()
        chosen = {pool.name: names for pool, names in picture(self._configuration.pools, states).chosen}
        return {
            "kind": self._configuration.kind,
            "at": round(time.time(), 3),
            "problem": self._problem,
            "drained": self._drained,
            "pools": {
                pool.name: self._plain_pool(pool, states[pool.name], chosen[pool.name])
                for pool in self._configuration.pools
            },
        }

    def _plain_pool(self, pool: Pool, states: dict[str, str], chosen: tuple[str, ...]) -> dict[str, Any]:
        servers = {}
        for server in pool.servers:
            health = self._health[pool.name, server.name]
            told = plain_server(pool, server, health, states[server.name], server.name in chosen)
            servers[server.name] = told | {"checked": health.state}
        front = {"address": pool.address, "port": pool.port, "layer": pool.layer, "algorithm": pool.algorithm}
        return front | {"servers": servers}


async def serve(configuration: Configuration) -> None:
    """Runs the service until it is ended."""
    # Made in here: in Python 3.9 an event belongs to the loop that runs when it is made.
    await Service(configuration).serve()


def _begin_anew(door: telling.Door) -> None:
    door.hand_over()
    os.execv(sys.executable, [sys.executable, "-B", *sys.argv])


async def _told(apply: Callable[[Picture], None], wanted: Picture) -> str:
    """Applies a picture; gives what went wrong, also to the journal."""
    try:
        await asyncio.to_thread(apply, wanted)
    except (Refused, OSError) as error:
        print(error, file=sys.stderr, flush=True)
        return str(error)
    return ""
