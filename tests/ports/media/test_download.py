"""What a server says of an image before it is fetched (field case O)."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from homelab.errors import HomelabError
from homelab.ports.media.download import offered

BODY = b"x" * 5_000_000


def handler(head: int, get: int, *, ranges: bool, length: bool) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(head)
            if head == 200 and length:
                self.send_header("Content-Length", str(len(BODY)))
            self.end_headers()

        def do_GET(self) -> None:
            part = ranges and get == 200 and self.headers.get("Range") == "bytes=0-0"
            self.send_response(206 if part else get)
            if part:
                self.send_header("Content-Range", f"bytes 0-0/{len(BODY)}")
            elif length:
                self.send_header("Content-Length", str(len(BODY)))
            self.end_headers()
            if get == 200:
                self.wfile.write(BODY[:1] if part else BODY)

        def log_message(self, *_: object) -> None:
            pass

    return Handler


@contextmanager
def server(head: int, get: int, *, ranges: bool = False, length: bool = True) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), handler(head, get, ranges=ranges, length=length)) as made:
        threading.Thread(target=made.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{made.server_port}/image.qcow2"
        made.shutdown()


@pytest.mark.parametrize("head", [200, 403, 405, 501])
@pytest.mark.parametrize("ranges", [True, False])
def test_an_image_is_there_when_it_can_be_had_whatever_head_says(head: int, ranges: bool) -> None:
    with server(head, 200, ranges=ranges) as url:
        assert offered(url) == "5 MB at the server"


def test_a_url_is_known_however_its_scheme_is_written() -> None:
    with server(200, 200) as url:
        assert offered(url.replace("http:", "HTTP:")) == "5 MB at the server"


def test_a_server_that_tells_no_size() -> None:
    with server(200, 200, length=False) as url:
        assert offered(url) == "at the server, which does not tell its size"


@pytest.mark.parametrize(("head", "get"), [(404, 200), (405, 404), (403, 403)])
def test_an_image_that_is_not_there_is_told(head: int, get: int) -> None:
    with server(head, get) as url, pytest.raises(HomelabError, match="the server answered 40"):
        offered(url)
