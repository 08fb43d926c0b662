"""The image as ESXi takes it: checked first, whole or absent, made once."""

import fcntl
import hashlib
import http.server
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from homelab.errors import DeadlinePassed, HomelabError, Unreachable
from homelab.formats.disk.vmdk import descriptor, geometry
from homelab.lab import Image
from homelab.ports.media import images as port
from homelab.ports.media.download import download
from homelab.ports.media.images import prepare_image
from homelab.rehearsal.storage.image import make_image
from tests.helpers.qcow2_writer import Packed, Plain, disk, qcow2

CLUSTER = 512
SIZE = 300 * 1024 + 512
CLUSTERS = {0: Plain(b"boot".ljust(CLUSTER, b".")), 3: Packed(b"x" * CLUSTER), 600: Plain(b"last".ljust(CLUSTER, b"!"))}
GOOD = qcow2(SIZE, CLUSTERS)
FLAT = disk(SIZE, CLUSTERS).ljust(301 * 1024, b"\0")


def silent(done: int, total: int) -> None:
    pass


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def image_of(path: Path | str, content: bytes) -> Image:
    return Image(source=str(path), sha256=sha256(content))


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} if folder.exists() else set()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "image.qcow2"
    path.write_bytes(GOOD)
    return path


class Server(http.server.ThreadingHTTPServer):
    """Serves GOOD; `answer` may be set to anything that writes to a handler."""

    requests = 0
    answer: Callable[[http.server.BaseHTTPRequestHandler], None]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/image.qcow2?v=1"


def whole(handler: http.server.BaseHTTPRequestHandler, content: bytes = GOOD, claimed: int = len(GOOD)) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", str(claimed))
    handler.end_headers()
    handler.wfile.write(content)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "*")

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            running.requests += 1
            running.answer(self)

        def log_message(self, *arguments: object) -> None:
            pass

    with Server(("127.0.0.1", 0), Handler) as running:
        running.answer = whole
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield running
        running.shutdown()


def test_a_path_becomes_flat_and_descriptor(source: Path, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    prepared = prepare_image(image_of(source, GOOD), tmp_path / "cache", lambda *told_now: told.append(told_now))
    name = sha256(GOOD)
    assert prepared.flat == tmp_path / "cache/images" / f"{name}-flat.vmdk"
    assert prepared.flat.read_bytes() == FLAT
    assert prepared.size_bytes == len(FLAT)
    assert prepared.descriptor.read_text() == descriptor(name, len(FLAT))
    assert f'RW 602 VMFS "{name}-flat.vmdk"' in prepared.descriptor.read_text().splitlines()
    assert told[0] == (len(GOOD), len(GOOD))
    assert told[-1] == (len(FLAT), len(FLAT))
    assert names(prepared.flat.parent) == {f"{name}.vmdk", f"{name}-flat.vmdk", f"{name}.lock"}


def test_the_flat_file_is_sparse(tmp_path: Path) -> None:
    path, digest = make_image(tmp_path, "abc")
    prepared = prepare_image(Image(source=str(path), sha256=digest), tmp_path / "cache", silent)
    assert prepared.size_bytes == 8 << 20
    assert prepared.flat.stat().st_blocks * 512 <= 1 << 20
    assert prepared.flat.read_bytes().rstrip(b"\0") == b"homelab rehearsal root abc\n"


def test_a_relative_path_is_seen_from_the_working_directory(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(source.parent)
    assert prepare_image(image_of(source.name, GOOD), Path("cache"), silent).flat.read_bytes() == FLAT


def test_it_is_made_once(source: Path, tmp_path: Path) -> None:
    first = prepare_image(image_of(source, GOOD), tmp_path, silent)
    source.unlink()
    before = first.flat.stat()
    assert prepare_image(image_of(source, GOOD), tmp_path, silent) == first
    assert first.flat.stat() == before


def test_half_a_pair_is_made_again(source: Path, tmp_path: Path) -> None:
    first = prepare_image(image_of(source, GOOD), tmp_path, silent)
    first.flat.write_bytes(b"short")
    assert prepare_image(image_of(source, GOOD), tmp_path, silent).flat.read_bytes() == FLAT
    first.descriptor.unlink()
    prepare_image(image_of(source, GOOD), tmp_path, silent)
    assert first.descriptor.exists()


def test_another_file_than_was_meant_is_not_used(source: Path, tmp_path: Path) -> None:
    with pytest.raises(HomelabError) as caught:
        prepare_image(Image(source=str(source), sha256="0" * 64), tmp_path / "cache", silent)
    assert sha256(GOOD) in str(caught.value)
    assert "0" * 64 in str(caught.value)
    assert source.exists()
    assert names(tmp_path / "cache/images") == {f"{'0' * 64}.lock"}


def test_the_digest_is_checked_before_the_format(tmp_path: Path) -> None:
    (tmp_path / "page").write_bytes(b"<html>")
    with pytest.raises(HomelabError, match="SHA-256"):
        prepare_image(Image(source=str(tmp_path / "page"), sha256="0" * 64), tmp_path, silent)


@pytest.mark.parametrize(
    ("name", "content", "words", "advice"),
    [
        ("disk.img", b"KDMV" + bytes(600), "not begin as a sparse VMDK", "qemu-img convert"),
        ("disk.img", bytes(257) + b"ustar" + bytes(300), "no whole tar archive", "Get the image again"),
        ("disk.img", b"\xfd7zXZ\0", "packed by xz", "Unpack it"),
        ("disk.img", bytes(1024), "no disk image that is known", "qemu-img convert -O qcow2"),
        ("disk.img", qcow2(512, {}, backing=512), "backing file", "qemu-img convert -O qcow2"),
        ("disk.img", qcow2(512, {}, encryption=2), "encrypted", "qemu-img convert -O qcow2"),
        ("disk.img", qcow2(512, {}, features=8, compression=1), "zstd", "qemu-img convert -O qcow2"),
        ("disk.img", qcow2(512, {}, features=4), "external data file", "qemu-img convert -O qcow2"),
        ("disk.img", qcow2(512, {}, features=2), "corrupt", "Get the image again"),
    ],
)
def test_what_is_not_read_is_refused_with_a_way_out(
    tmp_path: Path, name: str, content: bytes, words: str, advice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Where qemu-img is installed, it is asked for what we do not read.
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / name).write_bytes(content)
    with pytest.raises(HomelabError, match=words) as caught:
        prepare_image(image_of(tmp_path / name, content), tmp_path / "cache", silent)
    assert advice in caught.value.advice
    assert not [path for path in names(tmp_path / "cache/images") if not path.endswith(".lock")]


def test_a_missing_file_is_told_with_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(HomelabError, match=r"no file there\.qcow2") as caught:
        prepare_image(image_of("there.qcow2", b""), tmp_path, silent)
    assert str(tmp_path) in caught.value.advice


def test_other_addresses_are_refused(tmp_path: Path) -> None:
    with pytest.raises(HomelabError, match="address"):
        prepare_image(image_of("ftp://example.org/image.qcow2", b""), tmp_path, silent)


def test_a_folder_is_no_image(tmp_path: Path) -> None:
    with pytest.raises(HomelabError, match="Is a directory"):
        prepare_image(image_of(tmp_path, b""), tmp_path / "cache", silent)


class Interrupted(BaseException):
    """Stands for Ctrl-C."""


@pytest.mark.parametrize("after", [1, 2, 3, 4])
def test_an_interrupted_conversion_leaves_nothing_that_looks_whole(source: Path, tmp_path: Path, after: int) -> None:
    calls = 0

    def stop(done: int, total: int) -> None:
        nonlocal calls
        calls += 1
        if calls == after:
            raise Interrupted

    with pytest.raises(Interrupted):
        prepare_image(image_of(source, GOOD), tmp_path / "cache", stop)
    assert names(tmp_path / "cache/images") == {f"{sha256(GOOD)}.lock"}
    assert prepare_image(image_of(source, GOOD), tmp_path / "cache", silent).flat.read_bytes() == FLAT


def test_a_killed_conversion_is_begun_anew(source: Path, tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    (folder / f"{sha256(GOOD)}-flat.vmdk.part").write_bytes(b"left over" * 1_000_000)
    prepared = prepare_image(image_of(source, GOOD), tmp_path, silent)
    assert prepared.flat.read_bytes() == FLAT
    assert not list(folder.glob("*.part"))


def test_a_damaged_image_leaves_nothing_that_looks_whole(tmp_path: Path) -> None:
    bad = GOOD[:-600]
    (tmp_path / "bad").write_bytes(bad)
    with pytest.raises(HomelabError, match="cannot be used"):
        prepare_image(image_of(tmp_path / "bad", bad), tmp_path / "cache", silent)
    assert names(tmp_path / "cache/images") == {f"{sha256(bad)}.lock"}


def test_two_at_once_convert_once(source: Path, tmp_path: Path) -> None:
    stages: list[int] = []

    def prepare() -> None:
        prepare_image(image_of(source, GOOD), tmp_path, lambda done, total: stages.append(total))

    threads = [threading.Thread(target=prepare) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert stages.count(len(GOOD)) == 1


def test_a_lock_held_too_long_is_told(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(port, "LOCK_SECONDS", -1.0)
    (tmp_path / "images").mkdir()
    with (tmp_path / "images" / f"{sha256(GOOD)}.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(DeadlinePassed, match="another homelab process"):
            prepare_image(image_of(source, GOOD), tmp_path, silent)


# --- from a server


def test_a_url_is_fetched_checked_and_not_kept(server: Server, tmp_path: Path) -> None:
    prepared = prepare_image(image_of(server.url, GOOD), tmp_path, silent)
    assert prepared.flat.read_bytes() == FLAT
    assert not list((tmp_path / "images").glob("*.source*"))
    prepare_image(image_of(server.url, GOOD), tmp_path, silent)
    assert server.requests == 1


def test_a_wrong_file_is_removed_from_the_cache(server: Server, tmp_path: Path) -> None:
    with pytest.raises(HomelabError, match="removed from the cache") as caught:
        prepare_image(Image(source=server.url, sha256="0" * 64), tmp_path, silent)
    assert sha256(GOOD) in caught.value.what
    assert names(tmp_path / "images") == {f"{'0' * 64}.lock"}


def test_a_fetched_image_is_kept_until_it_is_converted(server: Server, tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        if total == len(FLAT):
            raise Interrupted

    with pytest.raises(Interrupted):
        prepare_image(image_of(server.url, GOOD), tmp_path, stop)
    assert prepare_image(image_of(server.url, GOOD), tmp_path, silent).flat.read_bytes() == FLAT
    assert server.requests == 1


def test_a_server_that_says_no_is_quoted(server: Server, tmp_path: Path) -> None:
    server.answer = lambda handler: handler.send_error(404)
    with pytest.raises(HomelabError, match="404 Not Found"):
        prepare_image(image_of(server.url, GOOD), tmp_path, silent)


def test_a_server_that_hangs_up_is_told(server: Server, tmp_path: Path) -> None:
    server.answer = lambda handler: whole(handler, GOOD[:100])
    with pytest.raises(Unreachable, match=f"100 of {len(GOOD)} bytes"):
        prepare_image(image_of(server.url, GOOD), tmp_path, silent)
    assert names(tmp_path / "images") == {f"{sha256(GOOD)}.lock"}


def test_a_server_that_falls_silent_is_left(server: Server, tmp_path: Path) -> None:
    end = threading.Event()

    def mute(handler: http.server.BaseHTTPRequestHandler) -> None:
        whole(handler, GOOD[:100])
        handler.wfile.flush()
        end.wait(30)

    server.answer = mute
    try:
        with pytest.raises(Unreachable, match=r"nothing came for 0\.2 s, after 100 bytes"):
            download(server.url, tmp_path / "file", silent, silence=0.2)
    finally:
        end.set()
    assert names(tmp_path) == set()


def test_no_server_is_told(tmp_path: Path, server: Server) -> None:
    server.shutdown()
    server.server_close()
    with pytest.raises(Unreachable, match="refused"):
        download(server.url, tmp_path / "file", silent)


# --- the descriptor


def test_the_descriptor_is_what_esxi_writes() -> None:
    lines = descriptor("abc", 40 << 30).splitlines()
    assert lines[0] == "# Disk DescriptorFile"
    assert {
        "CID=fffffffe",
        "parentCID=ffffffff",
        'createType="vmfs"',
        'RW 83886080 VMFS "abc-flat.vmdk"',
        'ddb.adapterType = "lsilogic"',
        'ddb.geometry.cylinders = "5221"',
        'ddb.geometry.heads = "255"',
        'ddb.geometry.sectors = "63"',
        'ddb.thinProvisioned = "1"',
        'ddb.virtualHWVersion = "8"',
    } <= set(lines)
    assert "CID=0000beef" in descriptor("abc", 512, cid=0xBEEF).splitlines()


def test_the_geometry_is_what_esxi_counts() -> None:
    # Both as real hosts wrote them.
    assert geometry(1048576) == (512, 64, 32)
    assert geometry(83886080) == (5221, 255, 63)
    assert geometry(1) == (1, 64, 32)


@pytest.mark.parametrize(("name", "size"), [("a", 0), ("a", 513), ("", 512), ('a"b', 512), ("a/b", 512), ("a\nb", 512)])
def test_a_descriptor_that_would_lie_is_not_written(name: str, size: int) -> None:
    with pytest.raises(ValueError, match=r"descriptor|sectors"):
        descriptor(name, size)
