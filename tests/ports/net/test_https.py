"""One HTTPS request: its deadline is for all of it, what it reads is bounded, and its errors are ours."""

import time
from collections.abc import Callable

import pytest

from homelab.errors import HomelabError, HostFault, Unreachable
from homelab.ports.net import https
from homelab.rehearsal.soap import certificate
from tests.helpers import tls_server
from tests.helpers.tls_server import greets, http, says, serving, trickles


@pytest.fixture
def ca(monkeypatch: pytest.MonkeyPatch) -> str:
    pair = certificate.self_signed(https.API_SERVER_NAME, tls_server.ADDRESS)
    monkeypatch.setattr(tls_server, "_PAIR", pair)
    return pair[0].decode()


def test_a_whole_answer(ca: str) -> None:
    with serving(says(http(b"ok \xff", "401 Unauthorized"))) as port:
        assert https.get(tls_server.ADDRESS, port, "/readyz", ca, timeout=5) == (401, "ok �")


@pytest.mark.parametrize(
    "answer",
    [
        trickles(b"X", first=b"HTTP/1.1 200 OK\r\nX-Filler: "),
        trickles(b"X", first=b"HTTP/1.1 200 OK\r\n\r\n"),
        trickles(b"", 30.0),
    ],
    ids=["headers", "body", "silence"],
)
def test_a_server_that_trickles_is_left_at_the_deadline(ca: str, answer: tls_server.Answer) -> None:
    began = time.monotonic()
    with serving(answer) as port, pytest.raises(Unreachable, match=r"no whole answer within 0.5 s"):
        https.get(tls_server.ADDRESS, port, "/readyz", ca, timeout=0.5)
    assert time.monotonic() - began < 3


def test_a_server_that_never_shakes_hands_is_left_at_the_deadline(ca: str) -> None:
    with serving(greets(b""), tls=False) as port, pytest.raises(Unreachable, match=r"within 0.5 s"):
        https.get(tls_server.ADDRESS, port, "/readyz", ca, timeout=0.5)


def test_an_answer_without_an_end_is_not_read_for_ever(ca: str) -> None:
    flood = trickles(b"x" * (1 << 18), 0.0, b"HTTP/1.1 200 OK\r\n\r\n")
    with serving(flood) as port, pytest.raises(HostFault, match="it sent more than 4 MiB"):
        https.get(tls_server.ADDRESS, port, "/version", ca, timeout=30)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (says(b"220 mail.example\r\n"), "no HTTP answer"),
        (says(b""), "Remote end closed connection|no HTTP answer"),
        (says(b"HTTP/1.1 200 OK\r\n" + b"X: 1\r\n" * 200 + b"\r\n"), "got more than 100 headers"),
        (says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"), "no HTTP answer"),
    ],
)
def test_what_is_no_http_is_told(ca: str, answer: Callable[..., None], said: str) -> None:
    with serving(answer) as port, pytest.raises(HomelabError, match=said):
        https.get(tls_server.ADDRESS, port, "/readyz", ca, timeout=5)


def test_what_could_not_be_had_keeps_its_cause(ca: str) -> None:
    with serving(says(b"")) as port:
        pass
    with pytest.raises(Unreachable) as refused:
        https.get(tls_server.ADDRESS, port, "/readyz", ca, timeout=5)
    assert isinstance(refused.value.__cause__, ConnectionRefusedError)
    with serving(says(http(b"ok"))) as port, pytest.raises(Unreachable, match="certificate verify failed"):
        https.get(tls_server.ADDRESS, port, "/readyz", other_ca(), timeout=5)


@pytest.mark.parametrize(
    "broken", ["", "no certificate", "-----BEGIN CERTIFICATE-----\nAA\n-----END CERTIFICATE-----\n"]
)
def test_a_ca_that_is_none_is_told(broken: str) -> None:
    with pytest.raises(HomelabError):
        https.get(tls_server.ADDRESS, 1, "/readyz", broken, timeout=1)


def other_ca() -> str:
    return certificate.self_signed("other", tls_server.ADDRESS)[0].decode()
