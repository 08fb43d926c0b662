"""Values from public reports that can never work (field cases F and J); each advice is followed."""

import re
from pathlib import Path

import pytest

from homelab.errors import InventoryError
from homelab.formats.trust.ssh_key import new_key
from homelab.inventory import read_lab
from homelab.lab import Lab
from tests.helpers.checkout import INVENTORIES, ROOT

BASE = (ROOT / "inventory", INVENTORIES / "password")
KEY = new_key("me@laptop")
ALL = "group_vars/all.yml"


def lab_with(folder: Path, text: str, name: str = "mine.yml") -> Lab:
    """The sample's lab, with a further source: NAME, or `group_vars/all.yml` beside one that is empty."""
    (folder / "group_vars").mkdir(exist_ok=True)
    source = folder / name if name != ALL else folder / "mine.yml"
    source.write_text("all:\n")
    (folder / name).write_text(text)
    return read_lab([*BASE, source]).lab


def mistake(folder: Path, text: str, name: str = "mine.yml") -> str:
    with pytest.raises(InventoryError) as told:
        lab_with(folder, text, name)
    [only] = told.value.mistakes
    return str(only)


def of_cp1(variable: str) -> str:
    return f"control_plane:\n  hosts:\n    cp1:\n      {variable}\n"


@pytest.mark.parametrize(
    "mac", ["00:0c:29:e7:c9:ec", "01:00:5e:00:00:01", "00:50:56:40:00:00", "00:50:56:ff:ff:ff", "52:54:00:12:34:5a"]
)
def test_a_mac_that_esxi_refuses_is_a_mistake(mac: str, tmp_path: Path) -> None:
    said = mistake(tmp_path, of_cp1(f'vm_mac: "{mac}"'))
    assert f"{mac} is not a MAC that ESXi takes from a person" in said
    for right in re.findall(r'"(00:50:56:[^"]+)"', said):
        assert lab_with(tmp_path, of_cp1(f'vm_mac: "{right}"')).vm("cp1").mac == right
    assert lab_with(tmp_path, of_cp1("vm_cpus: 2")).vm("cp1").mac is None


def test_a_key_file_among_the_keys_is_told_where_it_belongs(tmp_path: Path) -> None:
    (tmp_path / "id.pub").write_text(f"{KEY.public}\n")
    said = mistake(tmp_path, f"guest_authorized_keys: [{tmp_path}/id.pub]", ALL)
    assert "guest_authorized_keys[1] is no public key" in said
    advice = said.partition("write ")[2]
    assert advice == f"guest_authorized_key_files: [{tmp_path}/id.pub]"
    assert lab_with(tmp_path, advice, ALL).guests.authorized_keys == (KEY.public,)


def test_a_private_key_is_refused_and_not_shown(tmp_path: Path) -> None:
    private = KEY.private.replace("\n", "\\n")
    said = mistake(tmp_path, f'guest_authorized_keys: ["{private}"]', ALL)
    assert "is a private key" in said
    assert KEY.private.splitlines()[1][:20] not in said
    (tmp_path / "id").write_text(KEY.private)
    (tmp_path / "id.pub").write_text(KEY.public)
    said = mistake(tmp_path, f"guest_authorized_key_files: [{tmp_path}/id]", ALL)
    assert said.endswith(f"{tmp_path}/id is a private key; name its public half, {tmp_path}/id.pub")
    assert lab_with(tmp_path, f"guest_authorized_key_files: [{tmp_path}/id.pub]", ALL).guests.authorized_keys


@pytest.mark.parametrize(
    "line",
    [
        KEY.public,
        KEY.public.rpartition(" ")[0],
        f'from="192.168.2.0/24",no-agent-forwarding {KEY.public} with a comment',
    ],
    ids=["with a comment", "without", "with options"],
)
def test_keys_in_the_forms_that_sshd_takes(line: str, tmp_path: Path) -> None:
    assert lab_with(tmp_path, f"guest_authorized_keys: ['{line}']", ALL).guests.authorized_keys == (line,)


@pytest.mark.parametrize(
    "text", ["", "ssh-ed25519 AAAA", "hello", KEY.public[:40]], ids=["empty", "short", "word", "cut"]
)
def test_what_is_no_key_is_a_mistake(text: str, tmp_path: Path) -> None:
    assert "guest_authorized_keys[1] is" in mistake(tmp_path, f"guest_authorized_keys: ['{text}']", ALL)


def test_a_number_in_an_ini_file_is_told_as_ini_reads_it(tmp_path: Path) -> None:
    said = mistake(tmp_path, "[nfs]\nnas nfs_version=3\n", "mine.ini")
    advice = said.partition("in an INI file write ")[2]
    assert lab_with(tmp_path, f"[nfs]\nnas {advice}\n", "mine.ini").nfs[0].version == "3"


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("kubernetes_pod_network", "fd00:10:244::/56"),
        ("kubernetes_service_network", "fd00:10:96::/112"),
        ("lab_network", "2001:db8::/64"),
        ("api_vip", "2001:db8::1"),
    ],
)
def test_ipv6_is_told_to_be_unsupported(variable: str, value: str, tmp_path: Path) -> None:
    said = mistake(tmp_path, f'{variable}: "{value}"', ALL)
    assert f"{value} is IPv6, which is not supported" in said
    assert not re.search(rf"write \S*{re.escape(value)}", said)


def test_a_checksum_in_capitals_is_the_same(tmp_path: Path) -> None:
    lab = lab_with(tmp_path, f"image_sha256: {'AB' * 32}", ALL)
    assert lab.image.sha256 == "ab" * 32


def test_an_export_may_have_a_blank_inside(tmp_path: Path) -> None:
    text = 'nfs:\n  hosts:\n    nas:\n      nfs_export: "/mnt/My Pool/lab"\n'
    assert lab_with(tmp_path, text).nfs[0].export == "/mnt/My Pool/lab"


def test_an_export_that_we_lay_down_has_no_blank(tmp_path: Path) -> None:
    text = 'nfs:\n  hosts:\n    nas:\n      nfs_managed: true\n      nfs_export: "/srv/My Pool"\n'
    assert "nfs_export: /srv/My Pool has a blank, and nas is to be laid down" in mistake(tmp_path, text)
    assert lab_with(tmp_path, text.replace("My Pool", "pool")).nfs[0].managed
