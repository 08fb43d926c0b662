"""Datastores over HTTPS: listings, parts of files, and what a host answers to mistakes."""

import base64
import http.client
import os
import re
from urllib.parse import quote

import pytest

from tests.helpers.soap_host import SoapHost

# As a client reads the list of datastores (check_datastores.py, WTFPL, 2013): split by this, then by `>`.
DATASTORE = '<td><a href="/folder?dcPath=ha%2ddatacenter&amp;dsName='
# As Apache CloudStack recorded a folder's rows (VmwareContext.java).
ROW = re.compile(r'<tr><td><a href="([^"]+)">([^<]+)</a></td><td align="right">([^<]+)</td><td align="right">([^<]+)')


def ask(
    soap: SoapHost, method: str, path: str, body: bytes | None = None, **headers: str
) -> tuple[int, http.client.HTTPMessage, bytes]:
    connection = http.client.HTTPSConnection(soap.address, soap.face.port, context=soap.tls, timeout=10)
    login = {"Authorization": f"Basic {base64.b64encode(b'root:secret').decode()}"}
    connection.request(method, path, body, login | headers)
    answer = connection.getresponse()
    found = answer.status, answer.headers, answer.read()
    connection.close()
    return found


def url(path: str) -> str:
    return f"/folder/{quote(path)}?dcPath=ha-datacenter&dsName=NAS"


def test_the_way_down_from_the_datacenters(soap: SoapHost) -> None:
    soap.file("my vm").mkdir()
    file = soap.file("my vm/a-1.vmx")
    file.write_bytes(b"text")
    os.utime(file, (1_282_000_000, 1_282_000_000))
    (soap.file("my vm") / "disk.vmdk.d").mkdir()
    _, _, page = ask(soap, "GET", "/folder")
    [link] = re.findall(r'href="([^"]+)"', page.decode())
    _, _, page = ask(soap, "GET", link.replace("&amp;", "&"))
    [before, row] = page.decode().split(DATASTORE)
    assert before.startswith("<!DOCTYPE html")
    cells = row.split(">")
    assert cells[0] == 'NAS"'
    assert int(cells[4].partition("<")[0]) >= int(cells[6].partition("<")[0]) > 0
    _, headers, page = ask(soap, "GET", "/folder?dcPath=ha-datacenter&dsName=NAS")
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert ROW.findall(page.decode())[0][1] == "my vm/"
    _, _, page = ask(soap, "GET", url("my vm"))
    assert "<title>Index of my vm on datastore NAS in datacenter ha-datacenter</title>" in page.decode()
    [(link, *cells)] = ROW.findall(page.decode())
    assert cells == ["a-1.vmx", "16-Aug-2010 23:06", "4"]
    assert link == "/folder/my%20vm/a%2d1%2evmx?dcPath=ha%2ddatacenter&amp;dsName=NAS"
    assert ask(soap, "GET", link.replace("&amp;", "&"))[2] == b"text"
    parent = re.findall(r'href="([^"]+)">Parent Directory', page.decode())
    assert parent == ["/folder?dcPath=ha%2ddatacenter&amp;dsName=NAS"]


@pytest.mark.parametrize(
    ("asked", "status", "told", "body"),
    [
        ("bytes=2-4", 206, "bytes 2-4/10", b"234"),
        ("bytes=7-", 206, "bytes 7-9/10", b"789"),
        ("bytes=-3", 206, "bytes 7-9/10", b"789"),
        ("bytes=0-99", 206, "bytes 0-9/10", b"0123456789"),
        ("bytes=10-", 416, "bytes */10", b""),
        ("bytes=-0", 416, "bytes */10", b""),
        ("bytes=4-2", 200, None, b"0123456789"),
        ("bytes=0-1,4-5", 200, None, b"0123456789"),
        ("lines=1-2", 200, None, b"0123456789"),
    ],
)
def test_a_part_of_a_file(soap: SoapHost, asked: str, status: int, told: str | None, body: bytes) -> None:
    """RFC 9110, 14.1 and 14.2: what is no range is the whole file, and ranges are for GET alone."""
    soap.file("digits").write_bytes(b"0123456789")
    found, headers, content = ask(soap, "GET", url("digits"), Range=asked)
    assert (found, headers["Content-Range"], content) == (status, told, body)
    found, headers, content = ask(soap, "HEAD", url("digits"), Range=asked)
    assert (found, headers["Content-Range"], headers["Content-Length"]) == (200, None, "10")


def test_a_part_of_a_file_that_may_be_another_is_the_whole(soap: SoapHost) -> None:
    """RFC 9110, 13.1.5: If-Range with what does not match."""
    soap.file("digits").write_bytes(b"0123456789")
    status, headers, body = ask(soap, "GET", url("digits"), Range="bytes=2-4", **{"If-Range": '"other"'})
    assert (status, headers["Content-Range"], body) == (200, None, b"0123456789")


def test_head_tells_what_get_would_bring(soap: SoapHost) -> None:
    soap.file("digits").write_bytes(b"0123456789")
    status, headers, body = ask(soap, "HEAD", url("digits"))
    assert (status, headers["Content-Length"], headers["Accept-Ranges"], body) == (200, "10", "bytes", b"")
    assert ask(soap, "HEAD", url("nothing"))[0] == 404
    assert ask(soap, "HEAD", url(""))[0] == 200


def test_mistakes_have_their_codes(soap: SoapHost) -> None:
    assert ask(soap, "GET", "/folder?dcPath=elsewhere&dsName=NAS")[0] == 404
    assert ask(soap, "GET", "/folder/file?dcPath=ha-datacenter")[0] == 404
    assert ask(soap, "PUT", "/folder?dcPath=ha-datacenter", b"x")[0] == 405
    assert ask(soap, "PUT", url(""), b"x")[0] == 405
    assert ask(soap, "GET", url("nothing"))[0] == 404
    # dcPath may be left out on a host (Web Services SDK programming guide, datastore access).
    soap.file("file").write_bytes(b"x")
    assert ask(soap, "GET", "/folder/file?dsName=NAS")[0] == 200


def test_the_root_of_a_datastore_is_never_deleted(soap: SoapHost) -> None:
    soap.file("file").write_bytes(b"x")
    status, _, body = ask(soap, "DELETE", url(""))
    assert (status, body) == (500, b"Cannot delete file [NAS]")
    assert soap.file("file").exists()


def test_the_data_of_a_running_vm_cannot_be_read(soap: SoapHost) -> None:
    """A real host answers 500 for the locked extent and 200 for the descriptor (read on ESXi 8.0.3)."""
    soap.file("alpha").mkdir()
    path = soap.file("alpha/alpha.vmdk")
    soap.host.datastores.volumes.create_disk(path, 1 << 20, label="alpha")
    soap.host.datastores.volumes.lock_files([path], owner="alpha")
    assert ask(soap, "GET", url("alpha/alpha.vmdk"))[0] == 200
    assert ask(soap, "GET", url("alpha/alpha-flat.vmdk"))[0] == 500
    soap.host.datastores.volumes.unlock_files(owner="alpha")
    assert ask(soap, "GET", url("alpha/alpha-flat.vmdk"))[0] == 200
