"""Nothing that a client sets of a VM is dropped: it is told back, or refused by its name.

The properties are all that pyVmomi's own tables of types have, so a new one cannot be forgotten.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from pyVmomi import VmomiSupport, vim, vmodl

from homelab.rehearsal.soap.versions import NAMES
from homelab.rehearsal.state.vm_settings import SETTINGS
from homelab.rehearsal.vms.vmx import is_own
from tests.helpers.soap_host import MIB, SoapHost, controller, disk

KINDS = vim.vm.device
# What a specification says and a client does not ask back by the same name.
ELSEWHERE = {"powerOpInfo": "defaultPowerOps", "numCPUs": "hardware.numCPU", "memoryMB": "hardware.memoryMB"}
ELSEWHERE["numCoresPerSocket"] = "hardware.numCoresPerSocket"
# Carried out, and held by tests of their own.
APART = ("deviceChange", "extraConfig", "bootOptions.bootOrder")
# A list of another type's devices; the device's own index says more.
TOO_DEEP = 4
SHARES_LEVEL = vim.SharesInfo.Level
NEWEST = NAMES["8.0.3.0"]


@pytest.fixture(scope="module")
def soap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SoapHost]:
    made = SoapHost(tmp_path_factory.mktemp("specs"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def newest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SoapHost]:
    """A host that a client can ask all that it knows: it leaves out what a host's release did not have."""
    made = SoapHost(tmp_path_factory.mktemp("newest"), "127.0.0.77", "GB-BRi7-8550 8.0")
    yield made
    made.close()


@pytest.fixture(scope="module")
def vm(soap: SoapHost) -> Any:
    return furnished(soap)


@pytest.fixture(scope="module")
def newest_vm(newest: SoapHost) -> Any:
    return furnished(newest)


def furnished(soap: SoapHost) -> Any:
    return soap.make_vm("a", controller(), disk(4 * MIB), nic(), cdrom())


def cdrom() -> Any:
    """A drive of the host's, as govc adds one."""
    backing = KINDS.VirtualCdrom.AtapiBackingInfo(deviceName="cdrom-3000", useAutoDetect=False)
    return KINDS.VirtualDeviceSpec(
        operation="add", device=KINDS.VirtualCdrom(key=-3, controllerKey=200, backing=backing)
    )


def nic(**fields: Any) -> Any:
    backing = KINDS.VirtualEthernetCard.NetworkBackingInfo(deviceName="VM Network")
    return KINDS.VirtualDeviceSpec(operation="add", device=KINDS.VirtualVmxnet3(key=-9, backing=backing, **fields))


def leaves(kind: Any, depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Every path of a data type and below, with its type; a list is one leaf."""
    for info in kind._GetPropertyList():
        if info.name in ("dynamicProperty", "dynamicType") or not VmomiSupport.IsChildVersion(NEWEST, info.version):
            continue
        if hasattr(info.type, "_GetPropertyList") and not issubclass(info.type, VmomiSupport.ManagedObject):
            if issubclass(info.type, vim.SharesInfo):
                # A number counts where the level is custom.
                yield f"{info.name}.level", SHARES_LEVEL
            elif not own_fields(info.type):
                # What has no fields is said by being there: to decrypt a VM is such a one.
                yield info.name, info.type
            elif depth < TOO_DEEP:
                yield from ((f"{info.name}.{rest}", leaf) for rest, leaf in leaves(info.type, depth + 1))
        else:
            yield info.name, info.type


def own_fields(kind: Any) -> list[str]:
    return [info.name for info in kind._GetPropertyList() if info.name not in ("dynamicProperty", "dynamicType")]


def another(kind: Any, now: Any) -> Any:
    """A value of a type that is not the one of now; None where there is none to be made."""
    if issubclass(kind, list):
        item = filled(kind.Item) if hasattr(kind.Item, "_GetPropertyList") else another(kind.Item, None)
        return kind([item]) if item is not None else None
    if hasattr(kind, "_GetPropertyList") and not own_fields(kind):
        return kind()
    if issubclass(kind, bool):
        return not now
    if hasattr(kind, "values"):
        return next(value for value in kind.values if value != now)
    if issubclass(kind, int):
        return kind((now or 0) + 4)
    if issubclass(kind, str):
        return kind("efi" if now == "bios" else "something")
    return None


def filled(kind: Any) -> Any:
    """An object with what it cannot be without."""
    made = kind()
    for info in made._GetPropertyList():
        if not info.flags & VmomiSupport.F_OPTIONAL and not getattr(made, info.name):
            is_object = hasattr(info.type, "_GetPropertyList") and not issubclass(info.type, VmomiSupport.ManagedObject)
            setattr(made, info.name, filled(info.type) if is_object else another(info.type, None))
    return made


def put(top: Any, path: str, value: Any) -> None:
    first, _, rest = path.partition(".")
    if not rest:
        setattr(top, first, value)
        return
    if getattr(top, first) is None:
        setattr(top, first, filled(top._GetPropertyInfo(first).type))
    put(getattr(top, first), rest, value)


def told(top: Any, path: str) -> Any:
    for step in path.split("."):
        top = getattr(top, step, None)
    return top


def outcome(soap: SoapHost, vm: Any, spec: Any) -> str:
    """Nothing when a specification was taken, else what the host said to it."""
    try:
        soap.result(vm.ReconfigVM_Task(spec))
    except (vmodl.MethodFault, vmodl.RuntimeFault) as error:
        return f"{type(error).__name__}: {error.msg} {getattr(error, 'invalidProperty', '')}"
    return ""


PATHS = [path for path, _ in leaves(vim.vm.ConfigSpec) if not path.startswith(APART)]


@pytest.mark.thorough
def test_every_property_of_a_specification_is_told_back_or_refused_by_its_name(
    newest: SoapHost, newest_vm: Any
) -> None:
    soap, vm = newest, newest_vm
    dropped, taken, kinds = [], [], dict(leaves(vim.vm.ConfigSpec))
    for path in PATHS:
        top, _, rest = path.partition(".")
        place = ".".join(filter(None, (ELSEWHERE.get(top, top), rest)))
        wanted = another(kinds[path], told(vm.config, place))
        spec = vim.vm.ConfigSpec()
        if wanted is not None:
            put(spec, path, wanted)
        answer = outcome(soap, vm, spec) if wanted is not None else "none can be made"
        names = path.partition(".")[0] in answer or "modified since" in answer
        if not answer and told(vm.config, place) == wanted:
            taken.append(path)
        elif not answer or not (names or "Invalid" in answer or answer == "none can be made"):
            dropped.append((path, answer))
    assert dropped == []
    assert len(taken) > 30
    assert {"nestedHVEnabled", "cpuAllocation.limit", "bootOptions.bootDelay", "annotation"} <= set(taken)


@pytest.mark.parametrize(
    "spec",
    [
        vim.vm.ConfigSpec(crypto=vim.encryption.CryptoSpecDecrypt()),
        vim.vm.ConfigSpec(crypto=vim.encryption.CryptoSpec()),
        vim.vm.ConfigSpec(vcpuConfig=[vim.vm.VcpuConfig()]),
        vim.vm.ConfigSpec(bootOptions=vim.vm.BootOptions(bootOrder=[vim.vm.BootOptions.BootableDevice()])),
    ],
    ids=["decrypt", "any crypto", "one more CPU", "a device of no kind"],
)
def test_an_object_that_says_nothing_but_its_kind_is_refused(spec: Any, newest: SoapHost, newest_vm: Any) -> None:
    with pytest.raises(vmodl.fault.NotSupported):
        newest.result(newest_vm.ReconfigVM_Task(spec))


@pytest.mark.thorough
@pytest.mark.parametrize("kind", ["VirtualDisk", "VirtualVmxnet3", "VirtualCdrom", "ParaVirtualSCSIController"])
def test_every_property_of_a_device_is_told_back_or_refused_by_its_name(
    kind: str, newest: SoapHost, newest_vm: Any
) -> None:
    soap, vm = newest, newest_vm

    def device() -> Any:
        return next(one for one in vm.config.hardware.device if type(one)._wsdlName == kind)

    # Told by a host and not looked at; a plug is in only while the VM runs.
    ignored = ("key", "connectable.status", "connectable.connected", "backing.datastore", "backing.network", "device")
    ignored += ("hotAddRemove",)
    dropped = []
    now = device()
    paths = [(path, leaf) for path, leaf in leaves(type(now)) if path.partition(".")[0] != "backing"]
    paths += [(f"backing.{path}", leaf) for path, leaf in leaves(type(now.backing))] if now.backing else []
    for path, leaf in paths:
        if path in ignored or path.startswith("deviceInfo."):
            continue
        changed = device()
        wanted = another(leaf, told(changed, path))
        if wanted is None or "parent.parent" in path:
            continue
        try:
            put(changed, path, wanted)
        except TypeError:
            continue  # The type is abstract; its descendants have the property.
        answer = outcome(
            soap, vm, vim.vm.ConfigSpec(deviceChange=[KINDS.VirtualDeviceSpec(operation="edit", device=changed)])
        )
        if not answer and told(device(), path) != wanted:
            dropped.append(path)
        elif answer and f"{kind}.{path.partition('.')[0]}" not in answer and "Invalid" not in answer:
            dropped.append(f"{path}: {answer}")
    assert dropped == [], dropped


def test_what_a_vm_has_already_is_no_refusal(soap: SoapHost, vm: Any) -> None:
    """Terraform sends back all of it with every change (vmware/terraform-provider-vsphere#1049)."""
    now = vm.config
    spec = vim.vm.ConfigSpec(
        changeVersion=now.changeVersion,
        name=now.name,
        version=now.version,
        guestId=now.guestId,
        files=now.files,
        tools=now.tools,
        flags=now.flags,
        powerOpInfo=now.defaultPowerOps,
        bootOptions=now.bootOptions,
        cpuAllocation=now.cpuAllocation,
        memoryAllocation=now.memoryAllocation,
        latencySensitivity=now.latencySensitivity,
        swapPlacement=now.swapPlacement,
        deviceChange=[KINDS.VirtualDeviceSpec(operation="edit", device=one) for one in now.hardware.device],
    )
    assert outcome(soap, vm, spec) == ""


def test_a_boot_order_is_kept(soap: SoapHost, vm: Any) -> None:
    order = [
        vim.vm.BootOptions.BootableCdromDevice(),
        vim.vm.BootOptions.BootableDiskDevice(deviceKey=2000),
        vim.vm.BootOptions.BootableEthernetDevice(deviceKey=4000),
    ]
    soap.result(vm.ReconfigVM_Task(vim.vm.ConfigSpec(bootOptions=vim.vm.BootOptions(bootOrder=order))))
    kept = vm.config.bootOptions.bootOrder
    assert [(type(one), getattr(one, "deviceKey", None)) for one in kept] == [
        (type(one), getattr(one, "deviceKey", None)) for one in order
    ]


def test_settings_outlive_the_inventory(soap: SoapHost) -> None:
    vm = soap.make_vm("kept", controller(), disk(4 * MIB), nic(wakeOnLanEnabled=False), cdrom(), nestedHVEnabled=True)
    allocation = vim.ResourceAllocationInfo(limit=1000, shares=vim.SharesInfo(level="high", shares=0))
    soap.result(vm.ReconfigVM_Task(vim.vm.ConfigSpec(cpuAllocation=allocation, firmware="efi")))
    before = vm.config
    vm.UnregisterVM()
    again = soap.result(soap.folder.RegisterVM_Task("[NAS] kept/kept.vmx", None, False, soap.pool, None)).config
    assert (again.nestedHVEnabled, again.firmware) == (True, "efi")
    assert (again.cpuAllocation.limit, again.cpuAllocation.shares.shares) == (1000, 2000)
    assert [repr(one) for one in again.hardware.device] == [repr(one) for one in before.hardware.device]
    assert 'vhv.enable = "TRUE"' in soap.file("kept/kept.vmx").read_text()


def test_secure_boot_needs_efi(soap: SoapHost) -> None:
    secure = vim.vm.BootOptions(efiSecureBootEnabled=True)
    with pytest.raises(vim.fault.InvalidVmConfig):
        soap.make_vm("bios", bootOptions=secure)
    assert not soap.file("bios").exists()
    assert soap.make_vm("efi", firmware="efi", bootOptions=secure).config.bootOptions.efiSecureBootEnabled


@pytest.mark.parametrize("guest", ["debian12_64Guest", "ubuntu-64", "rhel9_64Guest", "debian13_64Guest"])
def test_a_guest_that_a_release_does_not_know_is_refused(guest: str, soap: SoapHost) -> None:
    """As somebody was told by 6.0 (hashicorp/packer#9153)."""
    with pytest.raises(vmodl.fault.InvalidArgument) as refused:
        soap.make_vm("guest", guestId=guest)
    assert refused.value.invalidProperty == "configSpec.guestId"


def test_a_newer_release_knows_newer_guests_and_hardware(newest: SoapHost) -> None:
    vm = newest.make_vm("b", guestId="debian12_64Guest", version="vmx-20")
    assert (vm.config.version, newest.make_vm("c").config.version) == ("vmx-20", "vmx-21")


@pytest.mark.parametrize("version", ["vmx-15", "vmx-3", "14", "vmx-99", "vmx-12"])
def test_hardware_that_a_release_does_not_know_is_refused(version: str, soap: SoapHost) -> None:
    with pytest.raises(vim.fault.VirtualHardwareVersionNotSupported):
        soap.make_vm("hardware", version=version)


@pytest.mark.parametrize("version", ["vmx-12", "vmx-16"])
def test_hardware_of_programs_for_desktops_is_refused(version: str, newest: SoapHost) -> None:
    """VMware's KB 1003746 has both for Workstation alone."""
    with pytest.raises(vim.fault.VirtualHardwareVersionNotSupported):
        newest.make_vm("desktop", version=version)


def test_more_cpus_than_the_host_has_are_told_when_it_starts(soap: SoapHost) -> None:
    vm = soap.make_vm("wide", numCPUs=16)
    with pytest.raises(vim.fault.GenericVmConfigFault, match="has 16 virtual CPUs, but the host only supports 8"):
        soap.result(vm.PowerOnVM_Task())


def test_memory_is_promised_twice_unless_it_is_reserved(soap: SoapHost) -> None:
    vm = soap.make_vm("large")
    soap.result(vm.ReconfigVM_Task(vim.vm.ConfigSpec(memoryMB=64 * 1024)))
    soap.result(vm.PowerOnVM_Task())
    soap.result(vm.PowerOffVM_Task())
    soap.result(vm.ReconfigVM_Task(vim.vm.ConfigSpec(memoryReservationLockedToMax=True)))
    with pytest.raises(vim.fault.InsufficientMemoryResourcesFault):
        soap.result(vm.PowerOnVM_Task())


def test_low_latency_wants_all_memory_reserved(soap: SoapHost) -> None:
    vm = soap.make_vm("quick", latencySensitivity=vim.LatencySensitivity(level="high"))
    with pytest.raises(vim.fault.GenericVmConfigFault, match=r"sched\.mem\.min"):
        soap.result(vm.PowerOnVM_Task())


def test_cpus_and_memory_of_a_running_vm_stay(soap: SoapHost) -> None:
    vm = soap.make_vm("runs", memoryHotAddEnabled=True)
    soap.result(vm.PowerOnVM_Task())
    with pytest.raises(vim.fault.CpuHotPlugNotSupported):
        soap.result(vm.ReconfigVM_Task(vim.vm.ConfigSpec(numCPUs=2)))
    with pytest.raises(vim.fault.MemoryHotPlugNotSupported):
        soap.result(vm.ReconfigVM_Task(vim.vm.ConfigSpec(memoryMB=32)))
    with pytest.raises(vmodl.fault.NotSupported, match="not part of the rehearsal"):
        soap.result(vm.ReconfigVM_Task(vim.vm.ConfigSpec(memoryMB=128)))
    with pytest.raises(vim.fault.InvalidPowerState):
        soap.result(vm.ReconfigVM_Task(vim.vm.ConfigSpec(nestedHVEnabled=True)))
    soap.result(vm.PowerOffVM_Task())


def test_who_read_an_older_configuration_is_told(soap: SoapHost, vm: Any) -> None:
    soap.result(vm.ReconfigVM_Task(vim.vm.ConfigSpec(annotation="one")))
    read = vm.config.changeVersion
    soap.result(vm.ReconfigVM_Task(vim.vm.ConfigSpec(changeVersion=read, annotation="two")))
    with pytest.raises(vim.fault.ConcurrentAccess):
        soap.result(vm.ReconfigVM_Task(vim.vm.ConfigSpec(changeVersion=read, annotation="three")))


@pytest.mark.parametrize(
    "key", ["memSize", "MEMSIZE", "displayName", "uuid.bios", "bios.bootOrder", "scsi0:1.fileName", "Ethernet0.address"]
)
def test_no_additional_option_is_what_the_api_has_a_word_for(key: str, soap: SoapHost, vm: Any) -> None:
    """The vSphere API's ovf.ExtraConfig: "you cannot set values that could otherwise be set with other properties"."""
    before = soap.file("a/a.vmx").read_text()
    with pytest.raises(vmodl.fault.NotSupported, match=f"extraConfig with the key {key} is not part of the rehearsal"):
        soap.result(vm.ReconfigVM_Task(vim.vm.ConfigSpec(extraConfig=[vim.option.OptionValue(key=key, value="4")])))
    assert soap.file("a/a.vmx").read_text() == before


def test_a_setting_s_own_key_is_the_setting(soap: SoapHost) -> None:
    """As people switch on disk.EnableUUID for Kubernetes (`govc vm.change -e disk.enableUUID=TRUE`)."""
    vm = soap.make_vm("uuids", extraConfig=[vim.option.OptionValue(key="disk.enableUUID", value="TRUE")])
    assert vm.config.flags.diskUuidEnabled
    assert soap.file("uuids/uuids.vmx").read_text().count('disk.EnableUUID = "TRUE"') == 1
    soap.result(vm.ReconfigVM_Task(vim.vm.ConfigSpec(flags=vim.vm.FlagInfo(diskUuidEnabled=False))))
    assert "enableuuid" not in soap.file("uuids/uuids.vmx").read_text().casefold()
    with pytest.raises(vmodl.fault.InvalidArgument):
        number = vim.option.OptionValue(key="bios.bootDelay", value="soon")
        soap.result(vm.ReconfigVM_Task(vim.vm.ConfigSpec(extraConfig=[number])))


def test_additional_options_are_the_same_in_capitals(soap: SoapHost) -> None:
    vm = soap.make_vm("capitals", extraConfig=[vim.option.OptionValue(key="guestinfo.Name", value="one")])
    for value, kept in (("two", {"guestinfo.Name": "two"}), ("", {})):
        option = vim.option.OptionValue(key="GUESTINFO.name", value=value)
        soap.result(vm.ReconfigVM_Task(vim.vm.ConfigSpec(extraConfig=[option])))
        assert {one.key: one.value for one in vm.config.extraConfig} == kept


def test_every_key_of_a_vmx_is_known_as_the_vm_s_own(soap: SoapHost, vm: Any) -> None:
    keys = [line.partition(" = ")[0] for line in soap.file("a/a.vmx").read_text().splitlines()]
    settings = {setting.key for setting in SETTINGS.values()}
    assert [key for key in keys if not is_own(key) and key not in settings] == []
    assert keys


def test_what_a_device_has_is_not_covered_by_what_was_left_of_another(soap: SoapHost) -> None:
    """As in a .vmx that a person wrote: a disk that is not `present`, under a key in small letters."""
    soap.make_vm("left", controller(), disk(4 * MIB)).UnregisterVM()
    file = soap.file("left/left.vmx")
    file.write_text(file.read_text() + 'scsi0:1.present = "FALSE"\nscsi0:1.filename = "gone.vmdk"\n')
    vm = soap.result(soap.folder.RegisterVM_Task("[NAS] left/left.vmx", None, False, soap.pool))
    one_more = disk(4 * MIB, unit=1)
    one_more.device.controllerKey = 1000
    soap.result(vm.ReconfigVM_Task(vim.vm.ConfigSpec(deviceChange=[one_more])))
    vm.Reload()
    paths = [one.backing.fileName for one in vm.config.hardware.device if isinstance(one, KINDS.VirtualDisk)]
    assert paths == ["[NAS] left/left.vmdk", "[NAS] left/left_1.vmdk"]
