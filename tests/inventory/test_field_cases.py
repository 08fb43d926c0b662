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


def mistakes(folder: Path, text: str, name: str = "mine.yml") -> list[str]:
    with pytest.raises(InventoryError) as told:
        lab_with(folder, text, name)
    return [str(one) for one in told.value.mistakes]


def mistake(folder: Path, text: str, name: str = "mine.yml") -> str:
    [only] = mistakes(folder, text, name)
    return only


def with_macs(macs: dict[str, str]) -> str:
    return "all:\n  hosts:\n" + "".join(f'    {vm}:\n      vm_mac: "{mac}"\n' for vm, mac in macs.items())


def test_a_mac_that_esxi_refuses_is_a_mistake(tmp_path: Path) -> None:
    wrong = ("00:0c:29:e7:c9:ec", "01:00:5e:00:00:01", "00:50:56:40:00:00", "00:50:56:ff:ff:ff", "52:54:00:12:34:5a")
    macs = dict(zip(("cp1", "cp2", "cp3", "lb1", "lb2"), wrong, strict=True))
    said = mistakes(tmp_path, with_macs(macs))
    assert len(said) == len(wrong)
    for mac, one in zip(wrong, said, strict=True):
        assert f"{mac} is not a MAC that ESXi takes from a person" in one
        right = re.findall(r'"(00:50:56:[^"]+)"', one)
        assert len(right) == 2
    lab = lab_with(tmp_path, with_macs(dict(zip(("cp1", "cp2"), right, strict=True))))
    assert [vm.mac for vm in lab.control_plane] == [*right, None]


def test_a_key_file_among_the_keys_is_told_where_it_belongs(tmp_path: Path) -> None:
    (tmp_path / "id.pub").write_text(f"{KEY.public}\n")
    said = mistake(tmp_path, f"guest_authorized_keys: [{tmp_path}/id.pub]", ALL)
    assert "guest_authorized_keys[1] is no public key" in said
    advice = said.partition("write ")[2]
    assert advice == f"guest_authorized_key_files: [{tmp_path}/id.pub]"
    assert lab_with(tmp_path, advice, ALL).guests.authorized_keys == (KEY.public,)


@pytest.mark.thorough
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


def test_keys_in_the_forms_that_sshd_takes(tmp_path: Path) -> None:
    with_options = f'from="192.168.2.0/24",no-agent-forwarding {KEY.public} with a comment'
    lines = (KEY.public, KEY.public.rpartition(" ")[0], with_options)
    text = "guest_authorized_keys:\n" + "".join(f"- '{line}'\n" for line in lines)
    assert lab_with(tmp_path, text, ALL).guests.authorized_keys == lines


def test_what_is_no_key_is_a_mistake(tmp_path: Path) -> None:
    said = mistakes(tmp_path, f"guest_authorized_keys: ['', 'ssh-ed25519 AAAA', 'hello', '{KEY.public[:40]}']", ALL)
    assert len(said) == 4
    assert all(f"guest_authorized_keys[{number}] is" in one for number, one in enumerate(said, 1))


def test_a_number_in_an_ini_file_is_told_as_ini_reads_it(tmp_path: Path) -> None:
    said = mistake(tmp_path, "[nfs]\nnas nfs_version=3\n", "mine.ini")
    advice = said.partition("in an INI file write ")[2]
    assert lab_with(tmp_path, f"[nfs]\nnas {advice}\n", "mine.ini").nfs[0].version == "3"


def test_ipv6_is_told_to_be_unsupported(tmp_path: Path) -> None:
    values = {
        "kubernetes_pod_network": "fd00:10:244::/56",
        "kubernetes_service_network": "fd00:10:96::/112",
        "lab_network": "2001:db8::/64",
        "api_vip": "2001:db8::1",
    }
    said = mistakes(tmp_path, "".join(f'{name}: "{value}"\n' for name, value in values.items()), ALL)
    assert len(said) == len(values)
    for (name, value), one in zip(values.items(), said, strict=True):
        assert f"{name}: {value} is IPv6, which is not supported" in one
        assert not re.search(rf"write \S*{re.escape(value)}", one)


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
