"""The API servers of a lab: stand-ins, or real ones. Both are begun and broken in the same words."""

import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from tests.bench.failover import api_client, api_server, clock
from tests.bench.failover.certificates import CA, CLIENT_CAS, FRONT_PROXY_CA, SERVICE
from tests.bench.failover.machines import Machine, wait_for
from tests.bench.failover.places import ETCD, PORT, SERVERS
from tests.helpers.api_server import program, write_signing_key

if TYPE_CHECKING:
    from tests.bench.failover.lab import Lab

# In the lab's folder: what clients show API servers.
TOKEN = "token"
# A kube-apiserver 1.36.3 on a busy machine opens its port while it reads its configuration, and serves so much later.
ASLEEP_SECONDS = 2.5
# As the role cluster_ca configures them; what a balancer of layer 7 tells is believed as kubeadm sets it up.
FLAGS = (
    "--authorization-mode=Node,RBAC",
    "--endpoint-reconciler-type=none",
    f"--etcd-servers=http://{ETCD}:{clock.PORT}",
    "--goaway-chance=0.001",
    f"--secure-port={PORT}",
    f"--service-account-issuer=https://{SERVICE}",
    "--service-cluster-ip-range=10.96.0.0/12",
    "--requestheader-allowed-names=front-proxy-client",
    "--requestheader-extra-headers-prefix=X-Remote-Extra-",
    "--requestheader-group-headers=X-Remote-Group",
    "--requestheader-username-headers=X-Remote-User",
    "--shutdown-delay-duration=10s",
    "--shutdown-watch-termination-grace-period=10s",
)


@dataclass(frozen=True)
class Paths:
    """What clients ask for: an object, a watch with an event each second, a watch without any."""

    request: str
    watch: str
    silent: str


class ApiServers(Protocol):
    """Those of one lab; `machines` are what they need besides their own, `token` is what clients show them."""

    paths: Paths
    token: str
    machines: Sequence[Machine]

    def begin(self) -> None:
        """What all of them need, before the first is started."""
        ...

    def argv(self, name: str, again: bool) -> list[str]:
        """The program of one; `again` when it was killed a moment ago."""
        ...

    def wait(self) -> None:
        """Until all of them serve; TimeoutError."""
        ...

    def unready(self, name: str) -> None:
        """From now on it answers 500, for it has no etcd."""
        ...


class StandIns:
    """api_server.py on each server's machine."""

    paths = Paths("/api/v1/namespaces/default", "/watch", "/watch/silent")
    token = "none"
    machines: Sequence[Machine] = ()
    SECONDS = 15.0

    def __init__(self, lab: "Lab") -> None:
        self.lab = lab

    def begin(self) -> None:
        """They need nothing."""

    def argv(self, name: str, again: bool) -> list[str]:
        """Its port is open for a while before anybody is behind it, when it comes back at once."""
        self.lab.log(name, "api").unlink(missing_ok=True)
        files = [str(self.lab.folder / each) for each in (f"{name}.pem", CLIENT_CAS)]
        asleep = f"--asleep={ASLEEP_SECONDS if again else 0.0}"
        return [sys.executable, "-m", api_server.__name__, name, SERVERS[name], str(PORT), *files, asleep]

    def wait(self) -> None:
        """Until all of them listen."""
        logs = [self.lab.log(name, "api") for name in SERVERS]

        def listen() -> bool:
            return all(log.exists() and api_server.LISTENING in log.read_text() for log in logs)

        wait_for("API servers that listen", listen, self.SECONDS)

    def unready(self, name: str) -> None:
        """As when etcd is gone."""
        self.lab.signal(name, "api", signal.SIGUSR1)


class Real:
    """kube-apiserver, and one etcd for all, on a machine of its own: what befalls a server befalls that server alone.

    A clock writes an object each second, past the API servers.
    """

    _OBJECTS = "/api/v1/namespaces/default/configmaps?watch=1&fieldSelector=metadata.name%3D"
    paths = Paths("/api/v1/namespaces/default", f"{_OBJECTS}{clock.NAME}", f"{_OBJECTS}nothing")
    token = "a-token-of-the-bench"
    SECONDS = 120.0

    def __init__(self, lab: "Lab") -> None:
        self.lab = lab
        self.store = Machine(lab.bridge, "etcd", ETCD, lab.folder)
        self.machines: Sequence[Machine] = (self.store,)
        (lab.folder / "users.csv").write_text(f'{self.token},bench,bench,"system:masters"\n')
        write_signing_key(lab.folder / "sa.key")

    def begin(self) -> None:
        """etcd, the clock, and the way to etcd for everybody."""
        for machine in self.lab.servers.values():
            machine.run("nft", "flush", "ruleset")
        url = f"http://{ETCD}:{clock.PORT}"
        folder = str(self.lab.folder / "etcd")
        urls = [f"--listen-client-urls={url}", f"--advertise-client-urls={url}"]
        etcd = [str(program("etcd")), f"--data-dir={folder}", *urls, "--unsafe-no-fsync", "--log-level=error"]
        self.lab.start(self.store, "etcd", etcd)
        self.lab.start(self.store, "clock", [sys.executable, "-m", clock.__name__, url, *self._clients()])

    def argv(self, name: str, again: bool) -> list[str]:
        """The program that was built for a bundle."""
        folder = self.lab.folder
        files = {
            "cert-dir": folder / f"{name}-run",
            "client-ca-file": folder / CA,
            "requestheader-client-ca-file": folder / FRONT_PROXY_CA,
            "service-account-key-file": folder / "sa.key",
            "service-account-signing-key-file": folder / "sa.key",
            "tls-cert-file": folder / f"{name}.pem",
            "tls-private-key-file": folder / f"{name}.pem",
            "token-auth-file": folder / "users.csv",
        }
        own = [f"--advertise-address={SERVERS[name]}", f"--bind-address={SERVERS[name]}"]
        return [str(program("kube-apiserver")), *FLAGS, *own, *(f"--{flag}={path}" for flag, path in files.items())]

    def wait(self) -> None:
        """Until all of them are ready and have the object that is asked for."""
        words = [f"--wait={self.SECONDS:g}", "/readyz", self.paths.request]
        asked = [sys.executable, "-m", api_client.__name__, *self._clients(), *words]
        done = self.store.run(*asked, check=False, seconds=self.SECONDS + 10)
        if done.returncode:
            raise TimeoutError(f"API servers that are ready: {done.stderr.strip()}")

    def unready(self, name: str) -> None:
        """Its connections to etcd are cut, and new ones refused, as when a stacked etcd ends."""
        rule = f"ip daddr {ETCD} meta l4proto tcp reject with tcp reset"
        chain = "add chain inet broken out { type filter hook output priority 0; }"
        self.lab.servers[name].run("nft", f"add table inet broken; {chain}; add rule inet broken out {rule}")

    def _clients(self) -> list[str]:
        """What the programs beside them are told: the CA, the token's file, the servers."""
        return [str(self.lab.folder / CA), str(self.lab.folder / TOKEN), ",".join(SERVERS.values())]
