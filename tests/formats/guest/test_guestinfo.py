"""The seed as guestinfo, decoded as cloud-init's DataSourceVMware.decode and process_metadata do it."""

import base64
import gzip
import json
import random
from typing import Any

import pytest

from homelab.formats.guest.cloud_init import first_boot, seed
from homelab.formats.guest.guestinfo import KEYS, LIMIT, guestinfo, too_large
from tests.formats.guest.test_cloud_init import FILES, KEY, LAB, META, NETWORK


def read(values: dict[str, str], key: str) -> str:
    """cloudinit/sources/DataSourceVMware.py, decode: `gzip+base64`."""
    assert values[f"{key}.encoding"] == "gzip+base64"
    return gzip.decompress(base64.b64decode(values[key], validate=True)).decode()


def test_it_says_what_the_nocloud_image_says() -> None:
    values = guestinfo(FILES)
    assert tuple(values) == KEYS
    metadata = json.loads(read(values, "guestinfo.metadata"))
    assert metadata.pop("network") == NETWORK
    assert metadata == META
    assert read(values, "guestinfo.userdata") == FILES["user-data"]


def test_the_same_seed_is_the_same_guestinfo() -> None:
    assert guestinfo(FILES) == guestinfo(dict(FILES))


def keys(count: int) -> tuple[str, ...]:
    """Public keys, which no compression makes much smaller."""
    made = random.Random(1)
    return tuple(f"ssh-ed25519 {base64.b64encode(made.randbytes(51)).decode()} u{n}" for n in range(count))


def guestinfo_of(count: int) -> Any:
    more = LAB.guests.model_copy(update={"authorized_keys": keys(count)})
    lab = LAB.model_copy(update={"guests": more})
    return guestinfo(seed(first_boot(lab, lab.vm("cp1"), "00:50:56:00:00:01"), KEY, "t0"))


@pytest.mark.parametrize(("count", "fits"), [(0, True), (500, True), (900, False)])
def test_what_a_vm_does_not_take_is_told_with_its_numbers(count: int, fits: bool) -> None:
    values = guestinfo_of(count)
    assert (len(values["guestinfo.userdata"]) <= LIMIT) == fits
    size = len(values["guestinfo.userdata"])
    told = f"guestinfo.userdata of the seed is {size} bytes as gzip+base64, and a VM takes 65536"
    assert too_large(values) == ("" if fits else told)


def test_what_is_kept_free_counts() -> None:
    values = {"guestinfo.userdata": "x" * (LIMIT - 100)}
    assert not too_large(values)
    assert too_large(values, reserve=101).endswith("and a VM takes 65435")
