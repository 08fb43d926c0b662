"""Files that an inventory names."""

import hashlib
from pathlib import Path

import pytest

from homelab.errors import UsageError
from homelab.ports.files.named import named_file, sha256_of, text_of


def test_a_path_begins_at_the_inventory_s_folder(tmp_path: Path) -> None:
    hosts = tmp_path / "hosts.yml"
    hosts.write_text("")
    assert named_file(tmp_path, "ca.crt") == named_file(hosts, "ca.crt") == tmp_path / "ca.crt"
    assert named_file(tmp_path, "/etc/ca.crt") == Path("/etc/ca.crt")
    assert named_file(tmp_path, "~/ca.crt") == Path.home() / "ca.crt"


def test_a_file_is_read_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "ca.crt"
    file.write_bytes(b"# B\xfcro\r\nPEM\n")
    assert sha256_of(file) == hashlib.sha256(file.read_bytes()).hexdigest()
    assert text_of(file) == "# B\\xfcro\r\nPEM\n"


def test_one_that_is_not_there_is_told(tmp_path: Path) -> None:
    for read in (sha256_of, text_of):
        with pytest.raises(UsageError, match="cannot be read: No such file") as error:
            read(tmp_path / "missing")
        assert error.value.where == str(tmp_path / "missing")
