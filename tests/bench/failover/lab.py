"""One lab for one configuration: three API servers, its balancers, a client, on a bridge of their own."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.bench.failover import load
from tests.bench.failover.api_servers import TOKEN, ApiServers
from tests.bench.failover.certificates import CA, write_certificates
from tests.bench.failover.machines import PREFIX, Bridge, Machine, batch, wait_for
from tests.bench.failover.places import BALANCERS, CLIENT, INTERFACE, PORT, SERVERS, VIP
from tests.bench.failover.services import Configuration, Service

START_SECONDS = 15.0
SILENT = "the balancer does not answer"


class Lab:
    """Machines that stay; what runs on them is started anew for each fault."""

    def __init__(
        self,
        name: str,
        configuration: Configuration,
        root: Path,
        scratch: Path,
        api_servers: Callable[["Lab"], ApiServers],
    ) -> None:
        self.configuration = configuration
        self.folder = scratch / name
        self.folder.mkdir()
        write_certificates(self.folder, SERVERS, VIP)
        self.bridge = bridge = Bridge(name)
        self.servers = {each: Machine(bridge, each, address, self.folder) for each, address in SERVERS.items()}
        names = list(BALANCERS) if configuration.vip else list(BALANCERS)[:1]
        self.balancers = {each: Machine(bridge, each, BALANCERS[each], self.folder, root) for each in names}
        self.client = Machine(bridge, "client", CLIENT, self.folder)
        self.running: dict[tuple[str, str], subprocess.Popen[bytes]] = {}
        self.api = api_servers(self)
        (self.folder / TOKEN).write_text(self.api.token)

    # What runs on the machines.

    @contextmanager
    def started(self, weights: Mapping[str, int] | None = None) -> Iterator[None]:
        """API servers and balancers, all of them well; with weights, only these servers."""
        try:
            self.api.begin()
            for name in self.servers:
                self.start_server(name)
            self.api.wait()
            for name, machine in self.balancers.items():
                self._prepare(name, machine, weights)
                for service in self.configuration.services:
                    self.start_service(name, service)
            wait_for("a balancer that has the address", lambda: self.holder() is not None, START_SECONDS)
            self.wait_until_all_up()
            yield
        finally:
            self.stop()

    def _prepare(self, name: str, machine: Machine, weights: Mapping[str, int] | None) -> None:
        machine.write(self.configuration.files(name, weights))
        certificates = self.configuration.certificates
        machine.write({path: (self.folder / each).read_text() for path, each in certificates.items()})
        machine.run("mkdir", "-p", "/run/haproxy")
        # As the roles' sysctl file has it; ip_forward is of the kinds that balance in the kernel.
        machine.run("sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_nonlocal_bind; echo 1 >/proc/sys/net/ipv4/ip_forward")
        if not self.configuration.vip:
            batch(machine.space, f"addr add {VIP}/{PREFIX} dev {INTERFACE}")
        for service in self.configuration.services:
            checked = machine.run(*service.check, check=False)
            # keepalived -t also complains of what others publish; that is theirs.
            if checked.returncode and self.configuration.gates:
                raise RuntimeError(f"{self.configuration.name}: {service.name}: {checked.stdout}{checked.stderr}")

    def start_server(self, name: str, again: bool = False) -> None:
        """One API server; `again` when it was killed a moment ago."""
        self.start(self.servers[name], "api", self.api.argv(name, again))

    def start_service(self, balancer: str, service: Service) -> None:
        """One service of one balancer."""
        self.start(self.balancers[balancer], service.name, list(service.argv))

    def start(self, machine: Machine, name: str, argv: list[str]) -> None:
        """One process of one machine."""
        self.running[machine.name, name] = machine.start(name, argv)

    def stop(self) -> None:
        """End all processes, put all cables back."""
        machines = [*self.servers.values(), *self.balancers.values(), self.client, *self.api.machines]
        for machine in machines:
            machine.stop_all()
            machine.plugged(True)
        for process in self.running.values():
            process.wait()
        self.running.clear()
        for machine in self.balancers.values():
            for left in machine.folder.glob("run/**/*"):
                if not left.is_dir():
                    left.unlink()

    # What is done to it.

    def signal(self, machine: str, name: str, number: signal.Signals, group: bool = False) -> None:
        """Send a signal to a service's main process, or to its whole group."""
        with contextlib.suppress(ProcessLookupError):
            (os.killpg if group else os.kill)(self.running[machine, name].pid, number)

    def kill_server(self, name: str) -> None:
        """Kill an API server; returns when it is gone."""
        self.signal(name, "api", signal.SIGKILL)
        self.running[name, "api"].wait()

    def kill_service(self, balancer: str, stays_down: bool) -> None:
        """Kill what balances; as systemd would, it is started again after its pause, unless it stays down."""
        service = self.configuration.services[0]
        self.signal(balancer, service.name, signal.SIGKILL, group=True)
        if service.restart_seconds is not None and not stays_down:
            threading.Timer(service.restart_seconds, self.start_service, (balancer, service)).start()

    def reload(self) -> None:
        """Have every balancer read its unchanged configuration anew."""
        service = self.configuration.services[0]
        for name in self.balancers:
            self.signal(name, service.name, service.reload)

    # What is seen of it.

    def log(self, machine: str, name: str) -> Path:
        """What a process of a machine printed."""
        return self.folder / f"{machine}-{name}.log"

    def holder(self) -> str | None:
        """The balancer that has the address."""
        return next((name for name, machine in self.balancers.items() if machine.has(VIP)), None)

    def down(self) -> frozenset[str] | None:
        """Whom the balancer that has the address takes for down; None when it does not say."""
        holder = self.holder()
        if self.configuration.down is None or holder is None:
            return None
        seen = self.down_on(self.balancers[holder])
        return None if SILENT in seen else seen

    def down_on(self, balancer: Machine) -> frozenset[str]:
        """Whom one balancer takes for down; itself when it does not answer."""
        if self.configuration.down is None:
            return frozenset()
        try:
            return self.configuration.down(balancer.folder)
        except OSError:
            return frozenset([SILENT])

    def wait_until_all_up(self) -> None:
        """Until every balancer that says so has seen all servers well."""
        for machine in self.balancers.values():
            wait_for("servers that are up", lambda m=machine: not self.down_on(m), START_SECONDS)  # type: ignore[misc]

    @contextmanager
    def loaded(self, output: Path, rate: float, watchers: int) -> Iterator[None]:
        """Clients at work; what they saw is in `output` afterwards."""
        files, paths = [str(self.folder / CA), str(self.folder / TOKEN), str(output)], self.api.paths
        argv = [sys.executable, "-m", load.__name__, VIP, str(PORT), *files, paths.request, paths.watch, paths.silent]
        argv += [f"--rate={rate}", f"--watchers={watchers}"]
        self.start(self.client, "load", argv)
        process = self.running[self.client.name, "load"]
        yield
        process.terminate()
        if process.wait(timeout=load.REQUEST_SECONDS + START_SECONDS):
            raise RuntimeError(f"the clients failed: {self.log('client', 'load').read_text()[-400:]}")
