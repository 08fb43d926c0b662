"""`.homelab/`: where it lies, its modes, and what never stands in it."""

from pathlib import Path

import pytest

from homelab.ports.files import HomeFiles, home_of, known_host_name


def test_home_lies_beside_the_first_inventory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packaged = tmp_path / "packaged" / "inventory"
    mine, overlay = tmp_path / "lab" / "inventory", tmp_path / "lab" / ".homelab" / "rehearsal" / "inventory"
    assert home_of([mine], packaged) == tmp_path / "lab" / ".homelab"
    assert home_of([mine, overlay], packaged) == overlay.parent
    monkeypatch.chdir(tmp_path)
    assert home_of([packaged], packaged) == tmp_path / ".homelab"


def test_modes_and_masks(tmp_path: Path) -> None:
    files = HomeFiles(tmp_path / ".homelab", secrets=("pass-word",))
    files.append("run.log", "it is pass-word\n")
    files.own_key()
    files.set_pin("brix1", "SHA256:00")
    files.set_host_key("192.168.2.11", "ssh-ed25519 AAAA")
    assert files.log.read_text() == "it is ********\n"
    for path in (files.log, files.key, files.trust, files.known_hosts):
        assert path.stat().st_mode & 0o777 == 0o600, path
    for folder in (files.home, files.log_folder):
        assert folder.stat().st_mode & 0o777 == 0o700, folder


def test_host_keys_are_replaced_and_forgotten(tmp_path: Path) -> None:
    files = HomeFiles(tmp_path)
    files.set_host_key(known_host_name("10.0.0.1", 2222), "ssh-ed25519 AAAA")
    assert files.known_hosts.read_text() == "[10.0.0.1]:2222 ssh-ed25519 AAAA\n"
    files.set_host_key("[10.0.0.1]:2222", "ssh-ed25519 BBBB")
    assert files.host_keys() == {"[10.0.0.1]:2222": "ssh-ed25519 BBBB"}
    files.set_host_key("[10.0.0.1]:2222", None)
    assert files.host_keys() == {}


def test_the_own_key_stays_the_same(tmp_path: Path) -> None:
    assert HomeFiles(tmp_path).own_key() == HomeFiles(tmp_path).own_key()
