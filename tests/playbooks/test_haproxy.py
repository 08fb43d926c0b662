"""The role haproxy: its configuration, read by HAProxy itself."""

import re
import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from homelab.formats.balancer.haproxy import Haproxy, haproxy_cfg
from homelab.formats.balancer.pools import wanted_pools

HAPROXY = shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin:/usr/local/bin:/usr/bin")
STATE_FILE = "/var/lib/homelab/haproxy.state"
SERVERS = {"cp1": "192.168.2.21", "cp2": "192.168.2.22", "cp3": "192.168.2.23"}

API = {
    "address": "192.168.2.100",
    "port": 6443,
    "layer": 4,
    "servers": SERVERS,
    "server_port": 6443,
    "algorithm": "leastconn",
    "weights": {},
}
FURTHER: list[dict[str, Any]] = [
    {"name": "ingress", "port": 80, "members": ["192.168.2.41"], "server_port": 30080, "check": "/healthz"},
    {"name": "canary", "port": 8080, "members": ["192.168.2.41", "192.168.2.42"], "weights": [10, 90]},
]
WANTED = {
    "ca": "",
    "status_port": 8404,
    "status_address": "192.168.2.31",
    "stats_network": "127.0.0.0/8",
}

Rendered = Callable[..., str]


@pytest.fixture
def ca_file(tmp_path: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kubernetes")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "cluster-ca.crt"
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.fixture
def configuration() -> Rendered:
    def rendered(folder: str = "/etc/haproxy", **values: Any) -> str:
        api = API | {name: values.pop(name) for name in list(values) if name in API}
        pools = wanted_pools(api, values.pop("further", []), {})
        return haproxy_cfg(Haproxy(pools, **(WANTED | values)), folder)

    return rendered


def lines(text: str, word: str) -> list[str]:
    """The lines that start with a word, without indentation."""
    return [line.strip() for line in text.splitlines() if line.split()[:1] == [word]]


@pytest.mark.skipif(HAPROXY is None, reason="HAProxy is not installed here")
@pytest.mark.parametrize("algorithm", ["leastconn", "roundrobin", "weighted"])
@pytest.mark.parametrize("network", ["127.0.0.0/8", "192.168.2.0/24"])
def test_haproxy_takes_it_without_a_warning(
    configuration: Rendered, ca_file: Path, tmp_path: Path, algorithm: str, network: str
) -> None:
    file, state = tmp_path / "haproxy.cfg", tmp_path / "haproxy.state"
    # As the role makes it; without it HAProxy warns.
    state.write_text("1\n", encoding="utf-8")
    text = configuration(str(ca_file.parent), algorithm=algorithm, stats_network=network, further=FURTHER)
    assert STATE_FILE in text
    file.write_text(text.replace(STATE_FILE, str(state)), encoding="utf-8")
    assert HAPROXY is not None
    answer = subprocess.run([HAPROXY, "-c", "-f", str(file)], capture_output=True, text=True, timeout=20)
    assert answer.returncode == 0, answer.stderr
    assert "[WARNING]" not in answer.stderr
    assert "[ALERT]" not in answer.stderr


def test_it_listens_on_the_virtual_address_and_knows_every_server(configuration: Rendered) -> None:
    text = configuration()
    assert "bind 192.168.2.100:6443" in lines(text, "bind")
    assert lines(text, "server") == [f"server {name} {address}:6443" for name, address in SERVERS.items()]


def test_frontends_and_backends_have_names_of_their_own(configuration: Rendered) -> None:
    names = re.findall(r"^(?:frontend|backend|listen) (\S+)", configuration(), re.MULTILINE)
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("algorithm", "balance"), [("leastconn", "leastconn"), ("roundrobin", "roundrobin"), ("weighted", "roundrobin")]
)
def test_the_algorithm(configuration: Rendered, algorithm: str, balance: str) -> None:
    assert lines(configuration(algorithm=algorithm), "balance") == [f"balance {balance}"]


def test_weights_count_when_weighted_only(configuration: Rendered) -> None:
    weights = {"cp1": 90, "cp2": 10}
    weighted = lines(configuration(algorithm="weighted", weights=weights), "server")
    assert [line.partition(" weight ")[2] for line in weighted] == ["90", "10", "1"]
    assert "weight" not in configuration(algorithm="roundrobin", weights=weights)


def test_the_status_port_is_shut_to_the_lan_unless_opened(configuration: Rendered) -> None:
    assert lines(configuration(), "bind")[1:] == ["bind 127.0.0.1:8404"]
    opened = configuration(stats_network="192.168.2.0/24", status_address="192.168.2.31")
    assert lines(opened, "bind")[1:] == ["bind 127.0.0.1:8404", "bind 192.168.2.31:8404"]
    assert "http-request deny unless { src 127.0.0.0/8 192.168.2.0/24 }" in opened
