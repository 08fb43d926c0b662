"""A file from a web server, streamed: never held in memory, under its name only when it is complete."""

import http.client
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from homelab.errors import HomelabError, Unreachable
from homelab.ports.files.whole import whole_file

Progress = Callable[[int, int], None]
"""Called with (bytes done, bytes in all); the total is 0 while a server does not tell it."""

CHUNK = 1 << 20
SILENCE_SECONDS = 60.0
# Less than this in that time is a download that would take days.
STALLED_BYTES = 1 << 16
HEAD_SECONDS = 10.0
FOR_ALL = 0o644
NONE: Mapping[str, str] = {}
# What servers say that do not do HEAD: buckets with signed addresses, small web servers.
NO_HEAD = {400, 403, 405, 501}


def is_url(source: str) -> bool:
    """Tell whether an image is fetched; else it is a path."""
    return source.lower().startswith(("http://", "https://"))


def download(
    url: str, path: Path, report: Progress, silence: float = SILENCE_SECONDS, headers: Mapping[str, str] = NONE
) -> None:
    """Stream an http(s) URL into the file `path`.

    `silence` in seconds is how long the server may say nothing; there is no limit on the whole. Unreachable when it
    does not answer, falls silent, nearly stands still or hangs up early; HomelabError when it answers with another
    status than 200, or when the file cannot be written. What `report` raises ends the download.
    """
    part = path.with_name(f"{path.name}.part")
    try:
        with whole_file(path, part, mode=FOR_ALL) as file:
            for piece, done, total in _pieces(url, silence, headers):
                file.write(piece)
                report(done, total)
    except OSError as error:
        raise HomelabError(
            f"the download cannot be kept: {error.strerror or error}",
            where=str(part),
            advice="Make room there, or name another cache with XDG_CACHE_HOME; then run again",
        ) from error


def _pieces(url: str, silence: float, headers: Mapping[str, str]) -> Iterator[tuple[bytes, int, int]]:
    """Yield (piece, bytes so far, bytes in all); the one door where the web's exceptions are translated."""
    done = total = 0
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=dict(headers)), timeout=silence) as response:
            total = int(response.headers.get("Content-Length") or 0)
            since, then = time.monotonic(), 0
            while piece := response.read1(CHUNK):
                done += len(piece)
                yield piece, done, total
                if time.monotonic() - since > silence:
                    if done - then < STALLED_BYTES:
                        raise _unreachable(url, f"it stands nearly still: {done - then} bytes in {silence:g} s")
                    since, then = time.monotonic(), done
    except urllib.error.HTTPError as error:
        error.close()
        raise HomelabError(
            f"the server answered {error.code} {error.reason}", where=url, advice="Check the address in a browser"
        ) from None
    except TimeoutError:
        raise _unreachable(url, f"nothing came for {silence:g} s, after {done} bytes") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise _unreachable(url, f"it could not be fetched ({reason})") from None
    if done < total:
        raise _unreachable(url, f"the connection ended after {done} of {total} bytes")


def _asked(url: str) -> int:
    """The size that a server tells, 0 when none; one that does not know HEAD is asked by GET, and not heard out."""
    try:
        return _size(urllib.request.Request(url, method="HEAD"))
    except urllib.error.HTTPError as error:
        error.close()
        if error.code not in NO_HEAD:
            raise
    return _size(urllib.request.Request(url, headers={"Range": "bytes=0-0"}))


def _size(request: urllib.request.Request) -> int:
    with urllib.request.urlopen(request, timeout=HEAD_SECONDS) as response:
        whole = re.fullmatch(r"bytes \d+-\d+/(\d+)", response.headers.get("Content-Range") or "")
        told = whole[1] if whole else response.headers.get("Content-Length") or "0"
        return int(told) if told.isdecimal() else 0


def _unreachable(url: str, what: str) -> Unreachable:
    return Unreachable(
        what, where=url, advice="Check the address and this machine's way to it, then run the same command again"
    )


def offered(source: str) -> str:
    """How a file stands that a path or an http(s) URL names, without fetching it. HomelabError when it is not there."""
    if not is_url(source):
        path = Path(source).expanduser()
        if not path.is_file():
            raise HomelabError("there is no such file", where=source, advice="Correct the path")
        return f"{path.name}, {path.stat().st_size / 1e6:.0f} MB"
    try:
        size = _asked(source)
        return f"{size / 1e6:.0f} MB at the server" if size else "at the server, which does not tell its size"
    except urllib.error.HTTPError as error:
        error.close()
        raise HomelabError(
            f"the server answered {error.code} {error.reason}", where=source, advice="Check the address in a browser"
        ) from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise _unreachable(source, f"it cannot be had ({getattr(error, 'reason', None) or error})") from None
