"""The names of NFS volumes: two that were published, and that every byte counts."""

import pytest

from homelab.formats.nfs.volume import volume_directory


@pytest.mark.parametrize(
    ("server", "share", "directory"),
    [
        ("10.131.9.153", "/nfs_share", "17212d56-03dc308d"),
        ("192.168.1.107", "/data/nfs_share", "68f39598-81703e7b"),
    ],
)
def test_volumes_are_named_as_real_hosts_name_them(server: str, share: str, directory: str) -> None:
    assert volume_directory(server, share) == directory


def test_every_spelling_is_another_volume() -> None:
    long = "/volume1/homelab/a/folder/that/is/longer/than/one/round/of/the/hash"
    spellings = [
        ("192.168.2.5", "/volume1/homelab"),
        ("192.168.2.5", "/volume1/homelab/"),
        ("192.168.2.5", "/Volume1/homelab"),
        ("nas", "/volume1/homelab"),
        ("nas", long),
        ("nas", f"{long}/"),
        ("nas", ""),
    ]
    assert len({volume_directory(*spelling) for spelling in spellings}) == len(spellings)
