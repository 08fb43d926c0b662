"""Reading ISO images: names of every kind, and images that are broken."""

import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from homelab.errors import HomelabError
from homelab.ports.media.iso import open_iso
from tests.helpers.esxi_iso import esxi_files, write_iso


def contents(path: Path) -> dict[str, bytes]:
    with open_iso(path) as iso:
        return {"/" + "/".join(name): iso.read(name) for name in iso.files}


def test_every_file_is_read_under_its_own_name(tmp_path: Path) -> None:
    files = esxi_files() | {"/NOSUFFIX": b"1"}
    assert contents(write_iso(tmp_path / "a.iso", files)) == files


@pytest.mark.parametrize("kind", [{"joliet": 3}, {"rock_ridge": "1.09"}])
def test_long_names_of_a_custom_iso_are_kept(tmp_path: Path, kind: dict[str, object]) -> None:
    from io import BytesIO

    from pycdlib import PyCdlib

    iso = PyCdlib()
    iso.new(interchange_level=1, **kind)
    name = {"joliet_path": "/net55-r8168 long.v00"} if "joliet" in kind else {"rr_name": "net55-r8168 long.v00"}
    iso.add_fp(BytesIO(b"driver"), 6, "/NET55_R8.V00;1", **name)
    iso.write(str(tmp_path / "a.iso"))
    iso.close()
    assert contents(tmp_path / "a.iso") == {"/net55-r8168 long.v00": b"driver"}


def test_a_cut_iso_is_told_with_both_sizes(tmp_path: Path) -> None:
    path = write_iso(tmp_path / "a.iso", esxi_files())
    whole = path.stat().st_size
    with path.open("r+b") as file:
        file.truncate(whole - 3000)
    with pytest.raises(HomelabError, match=f"cut off: it should have {whole} bytes, and has {whole - 3000}"):
        contents(path)


@pytest.mark.parametrize("text", [b"", b"hello", b"\0" * 100_000])
def test_a_file_that_is_no_iso_is_told(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "a.iso").write_bytes(text)
    with pytest.raises(HomelabError, match="no ISO 9660 image"):
        contents(tmp_path / "a.iso")


def test_a_missing_iso_is_told_with_what_to_set(tmp_path: Path) -> None:
    with pytest.raises(HomelabError, match=r"there is no ISO .*a\.iso") as caught:
        contents(tmp_path / "a.iso")
    assert caught.value.where == "esxi_iso"


def test_a_folder_is_no_iso(tmp_path: Path) -> None:
    with pytest.raises(HomelabError, match="cannot be read"):
        contents(tmp_path)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 12_000), st.integers(0, 255)), min_size=1, max_size=8), st.randoms())
def test_a_damaged_iso_is_read_or_refused_in_words(
    tmp_path: Path, harms: list[tuple[int, int]], dice: random.Random
) -> None:
    path = tmp_path / "a.iso"
    raw = bytearray((path if path.exists() else write_iso(path, esxi_files())).read_bytes())
    for offset, value in harms:
        raw[32768 + dice.choice((0, 6144, 22_000)) + offset] = value
    (tmp_path / "b.iso").write_bytes(raw)
    try:
        contents(tmp_path / "b.iso")
    except HomelabError as error:
        assert error.where == str(tmp_path / "b.iso")
