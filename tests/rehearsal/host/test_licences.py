"""Licences: what the host tells of them, and how another one is put in force."""

from datetime import timedelta
from typing import Any

import pytest
from pyVmomi import vim

from homelab.rehearsal.host.licences import KEYS
from homelab.rehearsal.shell.call import Call
from homelab.rehearsal.shell.vimcmd import vim_cmd
from tests.helpers.soap_host import SoapHost


@pytest.fixture
def manager(soap: SoapHost) -> Any:
    return soap.content.licenseManager


def properties(licence: Any) -> dict[str, Any]:
    return {item.key: item.value for item in licence.properties}


def can_write(soap: SoapHost) -> bool:
    try:
        soap.content.fileManager.MakeDirectory("[NAS] folder", soap.datacenter, True)
    except vim.fault.RestrictedVersion:
        return False
    soap.result(soap.content.fileManager.DeleteDatastoreFile_Task("[NAS] folder", soap.datacenter))
    return True


def test_a_new_host_is_in_its_evaluation(manager: Any) -> None:
    [licence] = manager.licenses
    assert (licence.licenseKey, licence.editionKey, licence.used) == (KEYS["evaluation"], "eval", 1)
    told = {item.key: item.value for item in manager.evaluation.properties}
    assert 60 * 24 - 1 <= told["expirationHours"] <= 60 * 24
    assert told["expirationDate"] == properties(licence)["expirationDate"]
    assert manager.licensedEdition == "eval"


@pytest.mark.parametrize(
    ("kind", "edition", "writes"),
    [("paid", "esx.standard.cpuPackage", True), ("free", "esx.hypervisor.cpuPackage", False)],
)
def test_a_key_changes_the_licence(soap: SoapHost, manager: Any, kind: str, edition: str, writes: bool) -> None:
    answered = manager.UpdateLicense(KEYS[kind].lower(), [])
    assert answered.editionKey == edition == manager.licensedEdition
    assert [licence.editionKey for licence in manager.licenses] == [edition]
    assert can_write(soap) == writes
    manager.UpdateLicense(KEYS["evaluation"], [])
    assert can_write(soap)
    assert [(one.editionKey, one.used) for one in manager.licenses] == [("eval", 1), (edition, 0)]


def test_the_free_licence_tells_what_was_recorded(soap: SoapHost, manager: Any) -> None:
    soap.host.licence, soap.host.version = "free", "7.0.3"
    [licence] = manager.licenses
    assert (licence.editionKey, licence.name) == ("esx.hypervisor.cpuPackageCoreLimited", "vSphere 7 Hypervisor")
    assert (licence.total, licence.used, licence.costUnit) == (0, 1, "cpuPackage:32core")
    told = properties(licence)
    assert told["ProductName"] == "VMware ESX Server"
    assert told["ProductVersion"] == "7.0"
    assert told["count_disabled"] == "This license is unlimited"
    assert (told["feature"].key, told["feature"].value) == ("vsmp:8", "Up to 8-way virtual SMP")


def test_a_key_can_be_kept_and_forgotten(soap: SoapHost, manager: Any) -> None:
    manager.AddLicense(KEYS["paid"], [vim.KeyValue(key="where", value="rack")])
    assert soap.host.licence == "evaluation"
    added = manager.licenses[1]
    assert (added.licenseKey, added.used, added.labels[0].value) == (KEYS["paid"], 0, "rack")
    manager.UpdateLicenseLabel(KEYS["paid"], "where", "shelf")
    assert manager.licenses[1].labels[0].value == "shelf"
    manager.RemoveLicenseLabel(KEYS["paid"], "where")
    assert not manager.licenses[1].labels
    manager.UpdateLicense(KEYS["paid"], [])
    manager.RemoveLicense(KEYS["paid"])
    assert [licence.editionKey for licence in manager.licenses] == ["eval"]
    with pytest.raises(vim.fault.NotFound):
        manager.RemoveLicense(KEYS["paid"])


def test_a_key_is_decoded_and_a_wrong_one_is_no_licence(soap: SoapHost, manager: Any) -> None:
    assert manager.DecodeLicense(KEYS["free"]).editionKey == "esx.hypervisor.cpuPackage"
    for call in (manager.DecodeLicense, manager.AddLicense, manager.UpdateLicense):
        assert "not valid" in properties(call("11111-22222-33333-44444-55555"))["diagnostic"]
    assert soap.host.licence == "evaluation"


def test_an_evaluation_that_is_over_only_reads(soap: SoapHost, manager: Any) -> None:
    soap.host.evaluation_ends = soap.host.now() - timedelta(hours=1)
    assert properties(manager.licenses[0])["expirationHours"] == 0
    with pytest.raises(vim.fault.RestrictedVersion, match="Current license or ESXi version prohibits"):
        soap.content.fileManager.MakeDirectory("[NAS] folder", soap.datacenter, True)
    manager.UpdateLicense(KEYS["paid"], [])
    assert can_write(soap)


@pytest.mark.parametrize("kind", ["evaluation", "paid", "free"])
def test_the_shell_tells_the_same(soap: SoapHost, manager: Any, kind: str) -> None:
    manager.UpdateLicense(KEYS[kind], [])
    told = vim_cmd(Call(soap.host, ("vim-cmd", "vimsvc/license", "--show"))).out
    licence = manager.licenses[0]
    for line in (f"vmodl key: {licence.editionKey}", f"name: {licence.name}", f"total: {licence.total}"):
        assert f"   {line}\n" in told
    assert ("[count_disabled]" in told) == ("count_disabled" in properties(licence))
