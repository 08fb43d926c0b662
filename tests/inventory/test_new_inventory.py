"""Answers -> files, as pure functions; and what they become is read by our own reader."""

from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

import pytest
import yaml

from homelab.formats.nfs.export import Export
from homelab.formats.vsphere_product import Product
from homelab.inventory import read_lab
from homelab.inventory.answers import AnswersFile, missing, named, read_answers, understood, wrong
from homelab.inventory.proposals import doubts, proposed
from homelab.inventory.written import FROM_SAMPLE, VAULT, inventory_files, vault_text, with_values
from homelab.ports.ansible.inventory import Vault
from homelab.ports.net.around import Around
from homelab.ports.net.own_networks import OwnNetwork
from tests.helpers.checkout import ROOT

SAMPLE = {name: (ROOT / "inventory" / name).read_text() for name in FROM_SAMPLE}
ANSWERS: dict[str, Any] = {
    "lab_network": "10.20.0.0/24",
    "lab_gateway": "10.20.0.1",
    "lab_name": "attic",
    "lab_domain": "attic.example",
    "lab_nameservers": ["10.20.0.1", "10.20.0.2"],
    "api_vip": "10.20.0.100",
    "esxi": {"brix1": "10.20.0.11", "Brix2.attic.example": "10.20.0.12"},
    "nfs": {"nas": "10.20.0.5"},
    "nfs_export": "/mnt/My Pool/#1: lab",
    "nfs_datastore": "no",
    "control_plane": {"cp1": "10.20.0.21"},
    "load_balancers": {"lb1": "10.20.0.31"},
    "image_source": "~/images/debian: 12.qcow2",
    "image_sha256": "0" * 64,
    "kubernetes_version": "1.30.0",
    "guest_timeout": 900,
    "guest_authorized_keys": [],
    "lab_ntp_servers": [],
}
AROUND = Around(
    network=IPv4Network("192.168.2.0/24"),
    looked=True,
    products=(
        (IPv4Address("192.168.2.9"), Product("VMware vCenter Server 6.7.0 build-8217866", is_host=False)),
        (IPv4Address("192.168.2.11"), Product("VMware ESXi 6.7.0 build-8169922", is_host=True)),
    ),
    nfs=((IPv4Address("192.168.2.4"), None), (IPv4Address("192.168.2.5"), (Export("/volume1/homelab", ()),))),
    used=frozenset(IPv4Address(f"192.168.2.{last}") for last in (1, 4, 5, 9, 11, 22, 100)),
)


@pytest.mark.thorough
@pytest.mark.parametrize("password", ["plain", 'with "quotes" and \\', "{{ braces }}", "#{%", "ünïcödé 🔑", "12345"])
def test_what_is_written_is_read_without_a_mistake(tmp_path: Path, password: str) -> None:
    vault = Vault(lambda: "of-the-vault")
    files = inventory_files(ANSWERS, SAMPLE, str(tmp_path)) | {VAULT: vault.encrypt(vault_text(password))}
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    reading = read_lab([tmp_path], vault)
    lab = reading.lab
    # One control plane is no even number, and no name is of another domain: nothing is warned of.
    assert reading.warnings == ()
    assert {host.password.get_secret_value() for host in lab.esxi} == {password}
    assert {host.name: str(host.address) for host in lab.esxi} == ANSWERS["esxi"]
    assert (lab.nfs[0].export, lab.nfs[0].datastore) == ("/mnt/My Pool/#1: lab", "no")
    assert lab.image.source == "~/images/debian: 12.qcow2"
    assert lab.image.sha256 == "0" * 64
    assert (lab.kubernetes.version, lab.guests.timeout, lab.ntp_servers) == ("1.30.0", 900, ())
    assert (lab.name, lab.domain, str(lab.network), lab.vms[0].memory_mib) == (
        "attic",
        "attic.example",
        "10.20.0.0/24",
        4096,
    )


def test_the_sample_s_own_values_give_the_sample_s_own_files() -> None:
    values = yaml.safe_load(SAMPLE["group_vars/all.yml"])
    assert with_values(SAMPLE["group_vars/all.yml"], values) == SAMPLE["group_vars/all.yml"]


def answers(folder: Path, text: str) -> AnswersFile:
    (folder / "a.yml").write_text(text)
    return read_answers(folder / "a.yml")


def test_all_mistakes_of_an_answers_file_come_at_once(tmp_path: Path) -> None:
    given = answers(
        tmp_path,
        "lab_network: 192.168.2.0/24\nlab_netwrk: 1\nnfs: 5\nesxi_password: x\napi_vip: 192.168.3.100\n"
        "esxi:\n  brix_1: 192.168.2.11\n  brix2: 192.168.2.999\nkubernetes_version: 1.30\n"
        "control_plane:\n  - 192.168.2.21\n  - 192.168.2.21\n",
    )
    told = [*given.mistakes, *missing(given.values, "a.yml", given.broken), *wrong(given.values, given.lines)]
    said = {(one.where.rpartition("a.yml")[2], one.what.partition(";")[0]) for one in told}
    assert said >= {
        (":2", "lab_netwrk is not a key of an answers file"),
        (":3", "nfs is no list of machines"),
        (":4", "esxi_password is not a key of an answers file"),
        (":5", "api_vip: 192.168.3.100 is not a host's address in lab_network 192.168.2.0/24"),
        (":8", "ansible_host: 192.168.2.999 is not an IPv4 address"),
        (":9", "kubernetes_version: YAML reads 1.30 as 1.3, a number"),
        ("", "load_balancers is missing, and nothing that was found proposes one"),
    }
    assert any(where == ":7" and "underscore" in what for where, what in said)
    assert any(where == ":12" and what.startswith("192.168.2.21 is the address of cp2") for where, what in said)
    assert not any("nfs is missing" in what for _, what in said)
    assert not any("the-nfs" in what or "no datastore" in what for _, what in said)


def test_answers_that_are_no_yaml_are_told_with_their_line(tmp_path: Path) -> None:
    [mistake] = answers(tmp_path, "lab_name: x\nlab_network: [\n").mistakes
    assert mistake.what.startswith("this is not YAML")


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("nfs", "192.168.2.5", {"nas": "192.168.2.5"}),
        ("esxi", "192.168.2.11, b=192.168.2.12", {"esxi1": "192.168.2.11", "b": "192.168.2.12"}),
        ("api_vip", "192.168.2.100", "192.168.2.100"),
    ],
)
def test_machines_are_typed_with_or_without_a_name(key: str, text: str, value: Any) -> None:
    assert understood(key, text) == value
    assert named("esxi", {"a": 1}) is None


def test_proposals_are_what_was_found_and_what_is_free() -> None:
    own = [OwnNetwork(IPv4Network("192.168.2.0/24"), IPv4Address("192.168.2.1"))]
    values: dict[str, Any] = {}
    for key in (
        "lab_network",
        "esxi",
        "nfs",
        "nfs_export",
        "lab_gateway",
        "api_vip",
        "control_plane",
        "load_balancers",
    ):
        values[key] = proposed(key, values, AROUND, own)
    assert values == {
        "lab_network": "192.168.2.0/24",
        "esxi": {"esxi1": "192.168.2.11"},
        "nfs": {"nas": "192.168.2.5"},
        "nfs_export": "/volume1/homelab",
        "lab_gateway": "192.168.2.1",
        "api_vip": "192.168.2.101",
        "control_plane": {"cp1": "192.168.2.21", "cp2": "192.168.2.23", "cp3": "192.168.2.24"},
        "load_balancers": {"lb1": "192.168.2.31", "lb2": "192.168.2.32"},
    }
    assert doubts(values, AROUND) == []
    assert doubts({"api_vip": "192.168.2.22", "esxi": {"brix9": "192.168.2.19"}}, AROUND) == [
        "brix9 (192.168.2.19): no ESXi host answered there",
        "api_vip (192.168.2.22): somebody answers at this address already",
    ]


def test_nothing_is_proposed_of_a_network_that_was_not_looked_at() -> None:
    values = {"lab_network": "10.0.0.0/8"}
    around = Around(IPv4Network("10.0.0.0/8"))
    assert [proposed(key, values, around, []) for key in ("esxi", "nfs", "nfs_export", "api_vip")] == [None] * 4
    assert missing(values, "a.yml")[0].fix == "write esxi: {brix1: 192.168.2.11, brix2: 192.168.2.12}"
