"""What is encrypted with the vault's password opens with ansible-vault's own program, and with nothing of ours."""

import subprocess
import sys
from pathlib import Path

import pytest

from homelab.errors import UsageError
from homelab.ports.ansible.inventory import Vault
from homelab.ports.ansible.vault_file import encrypted, require_password

# What is no text, and what a text mode would change.
DATA = b"\x1f\x8b\0\r\n\xff" * 1000


def decrypted(file: Path, password: Path) -> bytes:
    command = [sys.executable, "-m", "ansible", "vault", "decrypt", "--vault-password-file", str(password)]
    return subprocess.run([*command, "--output", "-", str(file)], capture_output=True, timeout=120, check=True).stdout


@pytest.fixture
def password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own, and a password that nothing names yet."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("ANSIBLE_VAULT_PASSWORD_FILE", "ANSIBLE_VAULT_IDENTITY_LIST", "ANSIBLE_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    path = tmp_path / "password"
    path.write_text("open sesame\n", encoding="utf-8")
    return path


def test_the_password_of_ansibles_settings_opens_it(password: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANSIBLE_VAULT_PASSWORD_FILE", str(password))
    file = password.parent / "file"
    file.write_bytes(encrypted(Vault(), DATA))
    assert DATA[:6] not in file.read_bytes()
    assert decrypted(file, password) == DATA


def test_of_several_passwords_the_first_is_taken(password: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = password.parent / "other"
    other.write_text("another\n", encoding="utf-8")
    monkeypatch.setenv("ANSIBLE_VAULT_IDENTITY_LIST", f"lab@{password}, work@{other}")
    file = password.parent / "file"
    file.write_bytes(encrypted(Vault(), DATA))
    assert decrypted(file, password) == DATA


def test_a_typed_password_that_opened_something_opens_it(password: Path) -> None:
    vault = Vault(lambda: "open sesame")
    assert vault.ask()
    file = password.parent / "file"
    file.write_bytes(encrypted(vault, DATA))
    assert decrypted(file, password) == DATA


def test_nobody_is_asked_for_a_password_that_opens_nothing(password: Path) -> None:
    def never() -> str:
        raise AssertionError

    with pytest.raises(UsageError) as told:
        require_password(Vault(never))
    assert "ANSIBLE_VAULT_PASSWORD_FILE" in told.value.advice
    assert "vault_password_file" in told.value.advice
