"""The seed: what cloud-init will read, read back."""

from pathlib import Path

import pytest
import yaml
from cryptography.hazmat.primitives.serialization import load_ssh_private_key, load_ssh_public_key

from homelab.formats.guest.cloud_init import first_boot, seed
from homelab.formats.trust.ssh_key import HostKey, new_key
from homelab.lab import Lab

LAB = Lab.model_validate(
    {
        "lab_name": "attic",
        "lab_domain": "lab.home.arpa",
        "lab_network": "192.168.2.0/23",
        "lab_gateway": "192.168.2.1",
        "lab_nameservers": ["192.168.2.1", "192.168.2.2"],
        "api": {"api_vip": "192.168.2.100"},
        "image": {"image_source": "disk.qcow2", "image_sha256": "0" * 64},
        "guests": {
            "guest_user": "ada",
            "guest_authorized_keys": ["ssh-ed25519 AAAA one", "ssh-ed25519 BBBB two"],
        },
        "kubernetes": {"kubernetes_version": "1.36.3"},
        "control_plane": [{"name": "cp1", "ansible_host": "192.168.2.101"}],
    }
)
KEY = new_key("cp1")
FILES = seed(first_boot(LAB, LAB.vm("cp1"), "52:54:00:AA:00:01"), KEY, "t0")
META, USER, NETWORK = (yaml.safe_load(FILES[name]) for name in ("meta-data", "user-data", "network-config"))


def test_the_three_files_have_the_names_that_nocloud_asks_for() -> None:
    assert list(FILES) == ["meta-data", "user-data", "network-config"]
    assert FILES["user-data"].startswith("#cloud-config\n")


def test_the_instance_changes_with_the_token_alone() -> None:
    assert META == {"instance-id": "attic-cp1-t0", "local-hostname": "cp1"}
    same = seed(first_boot(LAB, LAB.vm("cp1"), "52:54:00:aa:00:02"), new_key("other"), "t0")
    assert same["meta-data"] == FILES["meta-data"]


def test_the_node_knows_its_own_name_without_a_name_server() -> None:
    assert (USER["hostname"], USER["fqdn"]) == ("cp1", "cp1.lab.home.arpa")
    assert USER["prefer_fqdn_over_hostname"] is False
    assert USER["manage_etc_hosts"] is False
    assert USER["write_files"] == [
        {"path": "/etc/hosts", "append": True, "content": "192.168.2.101 cp1.lab.home.arpa cp1\n"}
    ]


def test_the_guest_asks_the_lab_s_time_servers() -> None:
    """By timesyncd, which is in every cloud image of Debian and Ubuntu; the words are those of timesyncd.conf(5)."""
    lab = LAB.model_copy(update={"ntp_servers": ("192.168.2.1", "pool.ntp.org")})
    user = yaml.safe_load(seed(first_boot(lab, lab.vm("cp1"), "52:54:00:aa:00:01"), KEY, "t0")["user-data"])
    assert user["write_files"][1:] == [
        {
            "path": "/etc/systemd/timesyncd.conf.d/homelab.conf",
            "content": "[Time]\nNTP=192.168.2.1 pool.ntp.org\n",
        }
    ]


def test_one_user_gets_in_with_a_key_and_nobody_with_a_password() -> None:
    (user,) = USER["users"]
    assert user["name"] == "ada"
    assert user["lock_passwd"] is True
    assert user["sudo"] == "ALL=(ALL) NOPASSWD:ALL"
    assert user["ssh_authorized_keys"] == ["ssh-ed25519 AAAA one", "ssh-ed25519 BBBB two"]
    assert USER["ssh_pwauth"] is False
    assert USER["disable_root"] is True


def test_the_host_key_is_the_one_that_was_given() -> None:
    assert USER["ssh_deletekeys"] is True
    assert USER["ssh_keys"] == {"ed25519_private": KEY.private, "ed25519_public": KEY.public}


def test_nothing_waits_for_the_internet() -> None:
    assert USER["package_update"] is False
    assert USER["package_upgrade"] is False
    assert not {"packages", "apt", "snap", "ntp", "runcmd", "ssh_import_id"} & set(USER)
    assert "http" not in FILES["user-data"].replace(KEY.private, "")


def test_the_network_is_found_by_its_mac() -> None:
    (interface,) = NETWORK["ethernets"].values()
    assert NETWORK["version"] == 2
    assert interface["match"] == {"macaddress": "52:54:00:aa:00:01"}
    assert interface["addresses"] == ["192.168.2.101/23"]
    assert interface["routes"] == [{"to": "0.0.0.0/0", "via": "192.168.2.1"}]
    assert interface["nameservers"] == {"addresses": ["192.168.2.1", "192.168.2.2"], "search": ["lab.home.arpa"]}
    assert interface["dhcp4"] is False


@pytest.mark.parametrize("mac", ["11:22:33:44:55:06", "00:50:56:00:00:00"])
def test_a_mac_stays_text(mac: str) -> None:
    # YAML 1.1 reads 11:22:33:44:55:06 as a number to the base of 60.
    files = seed(first_boot(LAB, LAB.vm("cp1"), mac), KEY, "t0")
    assert yaml.safe_load(files["network-config"])["ethernets"]["lan"]["match"]["macaddress"] == mac


def test_a_new_key_is_a_pair_in_openssh_form(tmp_path: Path) -> None:
    private = load_ssh_private_key(KEY.private.encode(), password=None)
    public = load_ssh_public_key(KEY.public.encode())
    assert private.public_key() == public  # type: ignore[union-attr]
    assert KEY.public.startswith("ssh-ed25519 ")
    assert KEY.public.endswith(" cp1")
    assert KEY.private.endswith("-----END OPENSSH PRIVATE KEY-----\n")
    assert new_key("cp1") != KEY


def test_a_private_key_does_not_show() -> None:
    assert "secret" not in repr(HostKey("secret", "public"))
