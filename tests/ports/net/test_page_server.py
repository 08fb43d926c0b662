"""The web server that only shows: who is answered, with what, and who is not."""

import socket
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass

import pytest

from homelab.errors import UsageError
from homelab.ports.net.page_server import AT_ONCE, in_url, is_own, serving


@dataclass(frozen=True)
class Text:
    text: str
    kind: str = "text/plain"
    policy: str = "default-src 'none'"


def answer(path: str, query: Mapping[str, str]) -> Text | None:
    return Text(f"it stands; {query.get('width', '')}") if path == "/" else None


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with serving("127.0.0.1", 0, answer) as url:
        yield int(url.rstrip("/").rpartition(":")[2])


def said(port: int, request: str, address: str = "127.0.0.1") -> str:
    """All that is answered to these bytes."""
    with closing(socket.create_connection((address, port), 10)) as line:
        line.sendall(request.replace("\n", "\r\n").encode())
        line.shutdown(socket.SHUT_WR)
        heard = b""
        while piece := line.recv(65536):
            heard += piece
        return heard.decode()


def status(answered: str) -> int:
    return int(answered.split(" ", 2)[1])


def test_a_browser_that_was_sent_here_is_answered_with_what_it_may_do(port: int) -> None:
    heard = said(port, f"GET /?width=390 HTTP/1.1\nHost: 127.0.0.1:{port}\n\n")
    head, _, body = heard.partition("\r\n\r\n")
    assert status(heard) == 200
    assert body == "it stands; 390"
    for line in (
        "Content-Security-Policy: default-src 'none'",
        "X-Content-Type-Options: nosniff",
        "Cross-Origin-Resource-Policy: same-origin",
        "Referrer-Policy: no-referrer",
        "Cache-Control: no-store",
        "Server: homelab",
    ):
        assert line in head.splitlines()
    assert "Access-Control" not in head


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:{port}",
        "127.0.0.1.evil.example:{port}",
        "127.0.0.1",
        "127.0.0.1:1",
        "localhost:{port}@evil.example",
        "192.168.2.100:{port}",
        "",
    ],
)
def test_a_foreign_host_header_is_refused(port: int, host: str) -> None:
    heard = said(port, f"GET / HTTP/1.1\nHost: {host.format(port=port)}\n\n")
    assert status(heard) == 421
    assert "it stands" not in heard


def test_so_is_none_and_more_than_one(port: int) -> None:
    assert status(said(port, "GET / HTTP/1.1\n\n")) == 421
    assert status(said(port, f"GET / HTTP/1.1\nHost: 127.0.0.1:{port}\nHost: evil.example\n\n")) == 421


@pytest.mark.parametrize("host", ["localhost:{port}", "LOCALHOST:{port}", "[::1]:{port}", "127.0.0.1:{port}"])
def test_this_machine_s_own_names_are_known(port: int, host: str) -> None:
    assert status(said(port, f"GET / HTTP/1.1\nHost: {host.format(port=port)}\n\n")) == 200


def test_the_address_that_was_asked_is_known_wherever_it_listens() -> None:
    with serving("0.0.0.0", 0, answer) as url:
        port = int(url.rstrip("/").rpartition(":")[2])
        asked = said(port, f"GET / HTTP/1.1\nHost: 127.0.0.9:{port}\n\n", "127.0.0.9")
        assert status(asked) == 200
        assert status(said(port, f"GET / HTTP/1.1\nHost: 127.0.0.8:{port}\n\n", "127.0.0.9")) == 421
    assert is_own("[fe80::1]:8480", "fe80::1%eth0", 8480)
    assert is_own("192.168.2.9:8480", "::ffff:192.168.2.9", 8480)
    assert is_own("localhost", "127.0.0.1", 80)
    assert not is_own("192.168.2.9:8480", "192.168.2.10", 8480)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "NONSENSE"])
def test_nothing_is_done_by_it(port: int, method: str) -> None:
    heard = said(port, f"{method} / HTTP/1.1\nHost: 127.0.0.1:{port}\nContent-Length: 0\n\n")
    assert status(heard) == 405
    assert "Allow: GET, HEAD" in heard


def test_head_has_no_body_and_what_is_not_there_is_not_found(port: int) -> None:
    heard = said(port, f"HEAD / HTTP/1.1\nHost: 127.0.0.1:{port}\n\n")
    assert status(heard) == 200
    assert heard.endswith("\r\n\r\n")
    for path in ("/etc/passwd", "/../../etc/passwd", "/.homelab", "/%00", "*"):
        assert status(said(port, f"GET {path} HTTP/1.1\nHost: 127.0.0.1:{port}\n\n")) in (400, 404), path


def test_a_foreign_host_in_the_request_line_is_refused_too(port: int) -> None:
    assert status(said(port, f"GET http://evil.example/ HTTP/1.1\nHost: 127.0.0.1:{port}\n\n")) == 421


@pytest.mark.parametrize("words", ["\n\n", "GET\n\n", "GET / HTTP/9.9\n\n", "\x16\x03\x01\x02\n", "G" * 70000 + "\n"])
def test_nonsense_is_answered_or_hung_up_on_and_the_next_is_served(port: int, words: str) -> None:
    with suppress(ConnectionError):
        assert "it stands" not in said(port, words)
    assert status(said(port, f"GET / HTTP/1.1\nHost: localhost:{port}\n\n")) == 200


def test_those_who_say_nothing_hold_up_nobody(port: int) -> None:
    idle = [socket.create_connection(("127.0.0.1", port), 10) for _ in range(AT_ONCE - 2)]
    try:
        assert status(said(port, f"GET / HTTP/1.1\nHost: localhost:{port}\n\n")) == 200
    finally:
        for line in idle:
            line.close()


def test_an_address_that_is_not_ours_or_a_port_that_is_taken_is_a_mistake_in_words(port: int) -> None:
    for address, taken in (("127.0.0.1", port), ("192.0.2.1", 8480)):
        with pytest.raises(UsageError, match="no page can be served there"), serving(address, taken, answer):
            pass


def test_addresses_in_urls() -> None:
    assert [in_url(one) for one in ("127.0.0.1", "::1", "::ffff:10.0.0.1")] == ["127.0.0.1", "[::1]", "10.0.0.1"]
