"""The seed's ISO image, read back as the guest's kernel and as others do."""

import io
from typing import Any

from pycdlib import PyCdlib

from homelab.formats.guest.seed_iso import seed_iso

FILES = {
    "meta-data": "instance-id: a\n",
    "user-data": "#cloud-config\n# Grüße\n",
    "network-config": "version: 2\n" * 900,
}


def opened(image: bytes) -> PyCdlib:
    iso = PyCdlib()
    iso.open_fp(io.BytesIO(image))
    return iso


def content(facade: Any, name: str) -> str:
    file = io.BytesIO()
    facade.get_file_from_iso_fp(file, f"/{name}")
    return file.getvalue().decode()


def test_cloud_init_finds_it_by_its_label() -> None:
    iso = opened(seed_iso(FILES))
    assert iso.pvd.volume_identifier.strip() == b"cidata"
    assert iso.joliet_vd.volume_identifier.decode("utf-16-be").strip() == "cidata"


def test_every_file_reads_back_by_rock_ridge_and_by_joliet() -> None:
    iso = opened(seed_iso(FILES))
    for facade in (iso.get_rock_ridge_facade(), iso.get_joliet_facade()):
        assert {name: content(facade, name) for name in FILES} == FILES


def test_the_image_is_whole_sectors_and_small() -> None:
    image = seed_iso(FILES)
    assert len(image) % 2048 == 0
    assert len(image) < 1 << 20
