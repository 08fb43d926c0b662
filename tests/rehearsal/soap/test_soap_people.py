"""Managers around the host: accounts and roles, pools, logs and counters, certificates, disks of no VM."""

import tarfile
import urllib.request
from io import BytesIO

import pytest
from pyVim.connect import Disconnect, SmartConnect
from pyVmomi import vim, vmodl

from homelab.rehearsal.soap.certificate import self_signed
from tests.helpers.soap_host import SoapHost, config, controller, disk

GUEST = vim.host.LocalAccountManager.AccountSpecification(id="guest", password="Secret-1234")


def permission(principal: str, role: int) -> vim.AuthorizationManager.Permission:
    return vim.AuthorizationManager.Permission(principal=principal, group=False, roleId=role, propagate=True)


def test_an_account_logs_in_once_it_has_a_permission(soap: SoapHost) -> None:
    soap.content.accountManager.CreateUser(GUEST)
    place = {"host": soap.address, "port": soap.face.port, "sslContext": soap.tls}
    with pytest.raises(vim.fault.InvalidLogin):
        SmartConnect(user="guest", pwd="Secret-1234", **place)
    manager = soap.content.authorizationManager
    manager.SetEntityPermissions(soap.content.rootFolder, [permission("guest", -2)])
    Disconnect(SmartConnect(user="guest", pwd="Secret-1234", **place))
    assert [(one.principal, one.roleId) for one in manager.RetrieveAllPermissions()] == [("root", -1), ("guest", -2)]
    soap.content.accountManager.RemoveUser("guest")
    assert [one.principal for one in manager.RetrieveAllPermissions()] == ["root"]
    with pytest.raises(vim.fault.UserNotFound):
        manager.SetEntityPermissions(soap.content.rootFolder, [permission("guest", -2)])


def test_roles(soap: SoapHost) -> None:
    manager = soap.content.authorizationManager
    role = manager.AddRole("watcher", ["System.View"])
    with pytest.raises(vim.fault.AlreadyExists):
        manager.AddRole("watcher", [])
    manager.UpdateRole(role, "reader", ["System.Read"])
    assert [(one.name, list(one.privilege)) for one in manager.roleList if not one.system] == [
        ("reader", ["System.Read"])
    ]
    soap.content.accountManager.CreateUser(GUEST)
    manager.SetEntityPermissions(soap.folder, [permission("guest", role)])
    with pytest.raises(vim.fault.RemoveFailed):
        manager.RemoveRole(role, True)
    manager.RemoveRole(role, False)
    assert manager.RetrieveEntityPermissions(soap.folder, False) == []
    with pytest.raises(vmodl.fault.InvalidArgument):
        manager.RemoveRole(-1, False)


def test_a_vm_is_in_the_pool_that_it_was_made_in(soap: SoapHost) -> None:
    none = vim.ResourceConfigSpec(cpuAllocation=vim.ResourceAllocationInfo(limit=1000))
    none.memoryAllocation = vim.ResourceAllocationInfo()
    small = soap.pool.CreateResourcePool("small", none)
    with pytest.raises(vim.fault.DuplicateName):
        soap.pool.CreateResourcePool("small", none)
    assert (small.name, small.parent, small.config.cpuAllocation.limit) == ("small", soap.pool, 1000)
    vm = soap.result(soap.folder.CreateVM_Task(config("a"), small))
    assert (vm.resourcePool, list(small.vm), list(soap.pool.vm)) == (small, [vm], [])
    soap.result(small.Destroy_Task())
    assert (vm.resourcePool, list(soap.pool.resourcePool)) == (soap.pool, [])


def test_the_log_is_the_events(soap: SoapHost) -> None:
    manager = soap.content.diagnosticManager
    [log] = manager.QueryDescriptions()
    found = manager.BrowseDiagnosticLog(None, log.key, None, None)
    assert "logged in as" in found.lineText[-1]
    assert manager.BrowseDiagnosticLog(None, log.key, found.lineEnd, 10).lineText == []
    with pytest.raises(vmodl.fault.InvalidArgument):
        manager.BrowseDiagnosticLog(None, "vmkernel", None, None)
    [bundle] = soap.result(manager.GenerateLogBundles_Task(True, None))
    with urllib.request.urlopen(bundle.url.replace("*", soap.address), context=soap.tls) as answer:
        content = BytesIO(answer.read())
    with tarfile.open(fileobj=content) as archive:
        assert archive.getnames() == ["var/log/hostd.log"]


def test_counters_tell_what_is_known(soap: SoapHost) -> None:
    manager = soap.content.perfManager
    vm = soap.make_vm("a", controller(), disk(1 << 20))
    assert manager.QueryAvailablePerfMetric(vm) == []
    soap.result(vm.PowerOnVM_Task())
    names = {counter.key: f"{counter.groupInfo.key}.{counter.nameInfo.key}" for counter in manager.perfCounter}
    [found] = manager.QueryPerf([vim.PerformanceManager.QuerySpec(entity=vm)])
    values = {names[series.id.counterId]: series.value[0] for series in found.value}
    assert values["mem.granted"] == 64 * 1024
    assert values["sys.uptime"] < 60


def test_another_certificate_of_the_hosts_key(soap: SoapHost) -> None:
    manager = vim.HostSystem("ha-host", soap.stub).configManager.certificateManager
    assert "CN=127.0.0.74" in manager.certificateInfo.subject
    assert "BEGIN CERTIFICATE REQUEST" in manager.GenerateCertificateSigningRequest(True, None)
    with pytest.raises(vmodl.fault.InvalidArgument):
        manager.InstallServerCertificate(self_signed("other", "127.0.0.74")[0].decode())
    with pytest.raises(vmodl.fault.InvalidArgument):
        manager.InstallServerCertificate("nonsense")


def test_a_disk_of_no_vm(soap: SoapHost) -> None:
    manager = soap.content.vStorageObjectManager
    [store] = soap.datacenter.datastore
    backing = vim.vslm.CreateSpec.DiskFileBackingSpec(datastore=store, provisioningType="thin")
    made = soap.result(manager.HostCreateDisk_Task(vim.vslm.CreateSpec(name="a", capacityInMB=4, backingSpec=backing)))
    assert [one.id for one in manager.HostListVStorageObject(store)] == [made.config.id.id]
    assert manager.HostRetrieveVStorageObject(made.config.id, store, None).config.capacityInMB == 4
    path = soap.host.datastores.path_of(made.config.backing.filePath)
    assert path.exists()
    soap.result(manager.HostDeleteVStorageObject_Task(made.config.id, store, None))
    assert not path.exists()
    with pytest.raises(vim.fault.NotFound):
        manager.HostRetrieveVStorageObject(made.config.id, store, None)


def test_what_vms_can_be_made(soap: SoapHost) -> None:
    [place] = vim.Folder("ha-folder-host", soap.stub).childEntity
    browser = place.environmentBrowser
    assert [one.key for one in browser.QueryConfigOptionDescriptor() if one.defaultConfigOption] == ["vmx-14"]
    [guest] = browser.QueryConfigOptionEx(
        vim.EnvironmentBrowser.ConfigOptionQuerySpec(guestId=["debian10_64Guest"])
    ).guestOSDescriptor
    assert guest.fullName == "Debian GNU/Linux 10 (64-bit)"
    assert [one.name for one in browser.QueryConfigTarget(None).network] == ["VM Network"]
