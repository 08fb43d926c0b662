"""What answers at a host's address and is no ESXi host is told in words, within the deadline, whatever it sends.

The shapes are those of captive portals, load balancers' error pages and NAS log-in pages (field-cases, I1).
"""

import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from homelab.errors import HomelabError, HostFault, Starting, Unreachable
from homelab.lab import EsxiHost
from homelab.ports.files.home import HomeFiles
from homelab.ports.net.exchange import Exchange, pinned
from homelab.ports.vsphere import open_session
from homelab.ports.vsphere.esxcli import esxcli
from homelab.ports.vsphere.storage import download, file_size
from tests.helpers import tls_server
from tests.helpers.tls_server import greets, http, says, serving, trickles

PAGE = b"<!DOCTYPE html><html><body>login & go</body></html>"
CUT = b'<?xml version="1.0"?><soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"><soapenv:Bo'
SHAPES = {
    "a web page": (http(PAGE), "a web page (HTTP 200): login & go"),
    "a bare body": (http(b"<body>login & go</body>"), "a web page (HTTP 200): login & go"),
    "JSON": (http(b'{"error": "not found"}', kind="application/json"), 'JSON (HTTP 200): {"error": "not found"}'),
    "cut XML": (http(CUT, kind="text/xml"), "XML that is cut off, or is no SOAP (HTTP 200)"),
    "other XML": (
        http(b"<a><b>hello</b></a>", kind="text/xml"),
        "XML that is cut off, or is no SOAP (HTTP 200): hello",
    ),
    "an empty body": (http(b""), "an empty answer (HTTP 200)"),
    "500 with HTML": (http(PAGE, "500 Internal Server Error"), "a web page (HTTP 500): login & go"),
    "404": (http(PAGE, "404 Not Found"), "a web page (HTTP 404): login & go"),
    "a redirect": (
        http(b"", "302 Found", more="Location: https://portal.example/\r\n"),
        "a redirect (HTTP 302) to https://portal.example/",
    ),
    "no HTTP": (b"220 mail.example ESMTP\r\n", "something that speaks no HTTP: 220 mail.example ESMTP"),
    "escape codes": (http(b"\x1b[31mred\x1b[0m\x07"), "something else (HTTP 200): [31mred [0m"),
    "endless headers": (b"HTTP/1.1 200 OK\r\n" + b"X-Filler: 1\r\n" * 200, "an empty answer (HTTP 200)"),
}


def host(port: int, timeout: int = 2) -> EsxiHost:
    return EsxiHost(name="brix3", address=tls_server.ADDRESS, password="right", api_port=port, api_timeout=timeout)


def session_at(port: int, home: Path, timeout: int = 2) -> object:
    """What esxcli and transfers need of a session, at a server that cannot be logged in to."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    der = x509.load_pem_x509_certificate(tls_server.certificate()).public_bytes(Encoding.DER)
    wanted = host(port, timeout)
    return SimpleNamespace(host=wanted, files=HomeFiles(home), where="brix3", cookie="c=1", tls=pinned(der))


def meet(port: int, home: Path, timeout: int = 2) -> None:
    with open_session(host(port, timeout), HomeFiles(home), lambda _: None):
        pass


@pytest.mark.parametrize("shape", SHAPES)
def test_no_esxi_answers_there_is_said_with_what_does(shape: str, tmp_path: Path) -> None:
    answer, words = SHAPES[shape]
    with serving(says(answer)) as port, pytest.raises(HostFault) as caught:
        meet(port, tmp_path)
    assert caught.value.what.startswith("no ESXi answers there, but ")
    assert words in caught.value.what
    assert "\x1b" not in caught.value.what
    assert "ansible_host" in caught.value.advice


@pytest.mark.parametrize("shape", SHAPES)
def test_esxcli_says_the_same(shape: str, tmp_path: Path) -> None:
    answer, words = SHAPES[shape]
    if shape == "other XML":
        words = "lacks something"
    with serving(says(answer)) as port, pytest.raises(HomelabError) as caught:
        esxcli(session_at(port, tmp_path), "system module list")  # type: ignore[arg-type]
    assert words in caught.value.what


def test_a_host_whose_api_is_not_ready_is_starting(tmp_path: Path) -> None:
    busy = http(b"503 Service Unavailable", "503 Service Unavailable", "text/plain")
    with serving(says(busy)) as port, pytest.raises(Starting, match="its API does not yet"):
        meet(port, tmp_path)


def test_something_without_tls_is_no_host(tmp_path: Path) -> None:
    greeting = greets(b"SSH-2.0-OpenSSH_9.2\r\n")
    with serving(greeting, tls=False) as port, pytest.raises(Unreachable, match="no TLS connection"):
        meet(port, tmp_path)


@pytest.mark.parametrize(
    "slow", [trickles(b"X", first=b"HTTP/1.1 200 OK\r\nX-Filler: "), trickles(b"<a>", first=b"HTTP/1.1 200 OK\r\n\r\n")]
)
def test_an_answer_that_never_ends_is_left_at_the_deadline(slow: tls_server.Answer, tmp_path: Path) -> None:
    began = time.monotonic()
    with serving(slow) as port:
        with pytest.raises(HomelabError):
            meet(port, tmp_path, 1)
        with pytest.raises(HomelabError):
            esxcli(session_at(port, tmp_path, 1), "system module list")  # type: ignore[arg-type]
    assert time.monotonic() - began < 6


def test_a_file_without_an_end_is_not_read_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("homelab.ports.vsphere.storage.SMALL_FILE", 1 << 20)
    flood = trickles(b"x" * (1 << 16), 0.0, b"HTTP/1.1 200 OK\r\n\r\n")
    with serving(flood) as port, pytest.raises(HostFault, match="it sent more than 1 MiB"):
        download(session_at(port, tmp_path), "/downloads/1/configBundle.tgz")  # type: ignore[arg-type]


@pytest.mark.parametrize("length", ["many", "-1", "1e3"])
def test_a_size_that_is_no_number_is_told(length: str, tmp_path: Path) -> None:
    answer = f"HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n".encode()
    with serving(says(answer)) as port, pytest.raises(HomelabError):
        file_size(session_at(port, tmp_path), "nas", "a")  # type: ignore[arg-type]


def test_every_connection_to_a_host_keeps_deadlines(tmp_path: Path) -> None:
    assert session_at(1, tmp_path).tls.sslsocket_class is Exchange  # type: ignore[attr-defined]
