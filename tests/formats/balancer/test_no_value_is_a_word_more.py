"""No value changes the meaning of a configuration: it is refused, or one word, as HAProxy and nginx read it."""

import os
import re
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homelab.formats.balancer.haproxy import CA, CERTIFICATE, CLIENT_CERTIFICATE, Haproxy, haproxy_cfg
from homelab.formats.balancer.nginx import Nginx, nginx_conf
from homelab.formats.balancer.pools import FRONT_PROXY, SERVING, Pool, Server
from homelab.rehearsal.soap.certificate import self_signed
from tests.helpers import nginx_bench
from tests.helpers.haproxy_bench import HAPROXY

# What means something to HAProxy (its manual, "Quoting and escaping"; log formats), and what a user may well write.
SPECIAL = " \t\r\n\"'\\#$%{}[]();,|&!?*=@<>`\0\x0b\x1b\u2028é"
VALUE = st.text(st.sampled_from(SPECIAL + "abcXYZ019.-_/~:"), max_size=12)
PLAIN: dict[str, Any] = {
    "name": "finance", "address": "192.168.2.100", "path": "/finance", "check": "/healthz", "algorithm": "weighted",
    "port": 80, "layer": 7, "member": "w1", "member_address": "192.168.2.41", "member_port": 8080, "weight": 7,
    "status_address": "192.168.2.31", "stats_network": "192.168.2.0/24", "status_port": 8404,
    "api_name": "api.lab.home.arpa",
}  # fmt: skip


def configuration(said: Mapping[str, Any], folder: str) -> str:
    """haproxy.cfg of one pool of each layer, all of whose values are those."""
    server = Server(said["member"], said["member_address"], said["member_port"], said["weight"])
    api = Pool("api", said["address"], 6443, (server,), 7, said["algorithm"], check="readyz")
    pools = [
        Pool(said["name"], said["address"], said["port"], (server,), said["layer"], path=said["path"], tls=True),
        Pool("www", said["address"], 443, (server,), 7, said["algorithm"], check=said["check"]),
        Pool("db", said["address"], 5432, (server,), check=said["check"]),
    ]
    status = (said["status_port"], said["status_address"], said["stats_network"])
    wanted = Haproxy((api, *pools), "", *status, "www.pem", "check.pem", said["api_name"], "cp1")
    return haproxy_cfg(wanted, folder)


def shape(text: str) -> list[int]:
    """How many words each line has."""
    return [len(line.split()) for line in text.split("\n")]


@pytest.fixture(scope="module")
def taken(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], bool]:
    """Whether HAProxy itself takes a configuration."""
    folder = tmp_path_factory.mktemp("words")
    certificate, key = self_signed("example.com", "192.168.2.31")
    # What the role keeps of drains; HAProxy warns when there is none.
    (folder / "haproxy.state").write_text("1\n")
    for name in (CA, CERTIFICATE, CLIENT_CERTIFICATE, SERVING, FRONT_PROXY):
        (folder / name).write_bytes(certificate + (b"" if name == CA else key))

    def takes(text: str) -> bool:
        if HAPROXY is None:
            return True
        file = Path(folder / "haproxy.cfg")
        text = text.replace("/certificates", str(folder)).replace("/var/lib/homelab/", f"{folder}/")
        file.write_bytes(text.encode())
        done = subprocess.run([HAPROXY, "-c", "-f", str(file)], capture_output=True, text=True, timeout=20)
        return done.returncode == 0 and "WARNING" not in done.stderr

    return takes


@pytest.fixture(scope="module")
def taken_by_nginx(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], bool]:
    """Whether nginx itself takes a configuration; it listens for the test, wherever this machine can."""
    file = tmp_path_factory.mktemp("words") / "nginx.conf"
    authority, _ = self_signed("kubernetes", "192.168.2.31")
    (file.parent / "cluster-ca.crt").write_bytes(authority)

    def takes(text: str) -> bool:
        if not nginx_bench.IS_HERE or os.geteuid() != 0:
            return True
        here = re.sub(r"listen \d+[.]\d+[.]\d+[.]\d+:", "listen 127.0.0.1:", text)
        for folder in ("/var/lib/homelab-nginx", "/etc/homelab-nginx"):
            here = here.replace(folder, str(file.parent))
        file.write_bytes(here.encode())
        return nginx_bench.tested(file) == ""

    return takes


def by_nginx(said: Mapping[str, Any], _: str) -> str:
    """The same pools in nginx.conf."""
    server = Server(said["member"], said["member_address"], said["member_port"], said["weight"])
    other = Server("other", "192.168.2.49", 9)
    pools = [
        Pool("api", said["address"], 6443, (server,), 7, said["algorithm"], check="readyz"),
        Pool("db", said["address"], 5432, (server,), check=said["check"]),
        Pool(said["name"], said["address"], said["port"], (server,), said["layer"], path=said["path"], tls=True),
        Pool("www", said["address"], 443, (server, other), 7, said["algorithm"], check=said["check"], path="/www"),
    ]
    return nginx_conf(Nginx(tuple(pools), 8405, "www.pem", "PEM", "cp1"))


OF_NGINX = [field for field in PLAIN if not field.startswith(("status", "stats", "api"))]


@pytest.mark.parametrize("field", OF_NGINX)
def test_a_value_is_refused_or_one_word_for_nginx(field: str, taken_by_nginx: Callable[[str], bool]) -> None:
    one_word(field, by_nginx, taken_by_nginx)


@pytest.mark.parametrize("field", PLAIN)
def test_a_value_is_refused_or_one_word(field: str, taken: Callable[[str], bool]) -> None:
    one_word(field, configuration, taken)


def one_word(field: str, made_of: Callable[[Mapping[str, Any], str], str], taken: Callable[[str], bool]) -> None:
    """Whatever a field holds."""
    plain = made_of(PLAIN, "/certificates")
    assert taken(plain)

    @settings(max_examples=30, deadline=None)
    @given(value=VALUE)
    def holds(value: str) -> None:
        for odd in (value, f"{PLAIN[field]}{value}"):
            try:
                made = made_of({**PLAIN, field: odd}, "/certificates")
            except (ValueError, TypeError):
                continue
            # Without a path the pool takes all: that is a value of its own.
            assert shape(made) == shape(plain) or (field == "path" and odd == "")
            assert taken(made)

    holds()
