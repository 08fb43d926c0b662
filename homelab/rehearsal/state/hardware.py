"""The machines that a rehearsal knows: what a freshly installed one of each looks like.

Versions of VIBs come from public recordings of real hosts where there are any. The PCI id of the GB-BRi7-8550's I219-V
and the build strings of 6.5's drivers are expected, not recorded.
"""

from dataclasses import dataclass, replace
from datetime import date

INSTALLED = date(2019, 12, 27)


@dataclass(frozen=True)
class NicModel:
    """A NIC as it is soldered in; `pci_id` is VENDOR:DEVICE in hex.

    One on USB has the address `Pseudo`, no id, and the driver that esxcli tells of it, which is no module's name.
    """

    name: str
    pci_address: str
    pci_id: str
    vendor: str
    device: str
    usb_driver: str = ""

    @property
    def description(self) -> str:
        """The text of `esxcli network nic list`."""
        return f"{self.vendor} {self.device}"


@dataclass(frozen=True)
class ModuleModel:
    """A kernel module of a release: `claims` are the PCI ids it can drive, `native` is false for vmklinux drivers."""

    name: str
    native: bool
    claims: tuple[str, ...] = ()
    version: str = ""


@dataclass(frozen=True)
class VibModel:
    """An installed package."""

    name: str
    version: str
    vendor: str = "VMW"
    acceptance: str = "VMwareCertified"


@dataclass(frozen=True)
class PciModel:
    """Another PCI device; class and ids in hex, without 0x."""

    address: str
    pci_id: str
    device_class: str
    vendor: str
    device: str


@dataclass(frozen=True)
class DiskModel:
    """A disk as it is bought; `name` is what it tells of itself, `sectors` are of 512 bytes."""

    vendor: str
    name: str
    revision: str
    sectors: int
    ssd: bool = True
    usb: bool = False

    @property
    def size(self) -> int:
        """Bytes."""
        return self.sectors * 512


@dataclass(frozen=True)
class HardwareModel:
    """One machine with the release it runs. Memory in MiB."""

    name: str
    vendor: str
    cpu: str
    cpu_mhz: int
    cores: int
    threads: int
    memory_mib: int
    version: str
    build: str
    update: str
    nics: tuple[NicModel, ...]
    modules: tuple[ModuleModel, ...]
    vibs: tuple[VibModel, ...]
    pci: tuple[PciModel, ...] = ()
    disks: tuple[DiskModel, ...] = ()


# The stick that every host boots from.
STICK = DiskModel("USB", "Cruzer Fit", "1.00", 31266816, ssd=False, usb=True)
M2_250 = DiskModel("ATA", "TS250GMTS425S", "V0804A", 488397168)
M2_1000 = DiskModel("ATA", "Samsung SSD 860 EVO M.2 1TB", "RVT24B6Q", 1953525168)

I219_IDS = ("8086:15d7", "8086:15d8", "8086:156f", "8086:1570", "8086:15b7", "8086:15b8", "8086:15e3")
OLDER_E1000E_IDS = ("8086:10d3", "8086:153a", "8086:153b")
E1000E_IDS = (*I219_IDS, *OLDER_E1000E_IDS)

_BASE_MODULES = (
    ModuleModel("vmkernel", native=True),
    ModuleModel("chardevs", native=True),
    ModuleModel("user", native=True),
    ModuleModel("vmkapi_mgmt", native=True),
    ModuleModel("netschedHClk", native=True),
    ModuleModel("etherswitch", native=True),
    ModuleModel("tcpip4", native=True),
    ModuleModel("nfsclient", native=True),
    ModuleModel("vmkusb", native=True, claims=("8086:9d2f", "8086:1e31")),
    ModuleModel("vmw_ahci", native=True, claims=("8086:9d03", "8086:1e03")),
    ModuleModel("ne1000", native=True, claims=E1000E_IDS),
    ModuleModel("vmklinux_9", native=False),
)

GB_XM11_3337 = HardwareModel(
    name="GB-XM11-3337",
    vendor="GIGABYTE",
    cpu="Intel(R) Core(TM) i5-3337U CPU @ 1.80GHz",
    cpu_mhz=1796,
    cores=2,
    threads=4,
    memory_mib=16 * 1024,
    version="6.5.0",
    build="5969303",
    update="Update 1",
    nics=(
        NicModel(
            "vmnic0",
            "0000:02:00.0",
            "10ec:8168",
            "Realtek Semiconductor Co., Ltd.",
            "RTL8111/8168/8411 PCI Express Gigabit Ethernet Controller",
        ),
    ),
    modules=(
        *_BASE_MODULES,
        ModuleModel("e1000e", native=False, claims=E1000E_IDS, version="3.2.2.1-NAPI"),
        ModuleModel("r8168", native=False, claims=("10ec:8168",), version="8.045a-NAPI"),
    ),
    vibs=(
        VibModel("net55-r8168", "8.045a-napi", "Realtek", "CommunitySupported"),
        VibModel("esx-base", "6.5.0-1.26.5969303", "VMware"),
        VibModel("ne1000", "0.8.0-16vmw.650.1.26.5969303"),
        VibModel("net-e1000e", "3.2.2.1-2vmw.650.0.0.4564106"),
        VibModel("shim-vmklinux-9-2-1-0", "6.5.0-0.0.4564106", "VMW"),
    ),
    pci=(
        PciModel("0000:00:1f.2", "8086:1e03", "0106", "Intel Corporation", "Panther Point AHCI Controller"),
        PciModel("0000:00:14.0", "8086:1e31", "0c03", "Intel Corporation", "Panther Point USB xHCI Host Controller"),
    ),
    disks=(M2_250,),
)

GB_BRI7_8550 = HardwareModel(
    name="GB-BRi7-8550",
    vendor="GIGABYTE",
    cpu="Intel(R) Core(TM) i7-8550U CPU @ 1.80GHz",
    cpu_mhz=1992,
    cores=4,
    threads=8,
    memory_mib=32 * 1024,
    version="6.7.0",
    build="8169922",
    update="GA",
    nics=(NicModel("vmnic0", "0000:00:1f.6", "8086:15d8", "Intel Corporation", "Ethernet Connection (4) I219-V"),),
    modules=(
        *_BASE_MODULES,
        ModuleModel("e1000e", native=False, claims=E1000E_IDS, version="3.2.2.1-NAPI"),
    ),
    vibs=(
        VibModel("esx-base", "6.7.0-0.0.8169922", "VMware"),
        VibModel("ne1000", "0.8.3-4vmw.670.0.0.8169922"),
        VibModel("net-e1000e", "3.2.2.1-2vmw.670.0.0.8169922"),
        VibModel("shim-vmklinux-9-2-1-0", "6.7.0-0.0.8169922", "VMW"),
    ),
    pci=(
        PciModel(
            "0000:00:17.0", "8086:9d03", "0106", "Intel Corporation", "Sunrise Point-LP SATA Controller [AHCI mode]"
        ),
        PciModel("0000:00:14.0", "8086:9d2f", "0c03", "Intel Corporation", "Sunrise Point-LP USB 3.0 xHCI Controller"),
    ),
    disks=(M2_1000,),
)


# Further NICs that mini-PCs have, or get. The address of each is another one.
I219_LM = NicModel("vmnic0", "0000:00:1f.6", "8086:15d7", "Intel Corporation", "Ethernet Connection (4) I219-LM")
N82574L = NicModel("vmnic1", "0000:02:00.0", "8086:10d3", "Intel Corporation", "82574L Gigabit Network Connection")
I211 = NicModel("vmnic1", "0000:03:00.0", "8086:1539", "Intel Corporation", "I211 Gigabit Network Connection")
X540 = NicModel("vmnic2", "0000:04:00.0", "8086:1528", "Intel Corporation", "Ethernet Controller 10 Gigabit X540-AT2")
RTL8168 = NicModel("vmnic3", "0000:05:00.0", "10ec:8168", "Realtek Semiconductor Co., Ltd.", "RTL8111/8168/8411")
USB_NIC = NicModel("vusb0", "Pseudo", "", "Unknown", "Unknown", usb_driver="uether")

# What drives them: a module, the package that brings it, whether 7.0 and later have it.
_DRIVERS = (
    (ModuleModel("igbn", native=True, claims=("8086:1539", "8086:1521")), VibModel("igbn", "0.1.1.0-5vmw.670.3.73")),
    (ModuleModel("igb", native=False, claims=("8086:1539", "8086:1521")), VibModel("net-igb", "5.0.5.1.1-5vmw.670")),
    (ModuleModel("ixgben", native=True, claims=("8086:1528",)), VibModel("ixgben", "1.4.1-11vmw.670.0.0.8169922")),
    (
        ModuleModel("r8168", native=False, claims=("10ec:8168",), version="8.045a-NAPI"),
        VibModel("net55-r8168", "8.045a-napi", "Realtek", "CommunitySupported"),
    ),
)


def fitted(model: HardwareModel, *nics: NicModel) -> HardwareModel:
    """The machine with other NICs, and with the drivers that its release has for them."""
    legacy = any(not module.native for module in model.modules)
    ids, there = {nic.pci_id for nic in nics}, {module.name for module in model.modules}
    drivers = [
        (module, vib)
        for module, vib in _DRIVERS
        if ids & set(module.claims) and module.name not in there and (module.native or legacy)
    ]
    return replace(
        model,
        nics=nics,
        modules=(*model.modules, *(module for module, _ in drivers)),
        vibs=(*model.vibs, *(vib for _, vib in drivers)),
    )


def _modern(name: str, version: str, build: str, update: str, driver: str) -> HardwareModel:
    """The newer machine with a release that has no vmklinux drivers any more; for tests of what is refused there."""
    return replace(
        GB_BRI7_8550,
        name=name,
        version=version,
        build=build,
        update=update,
        modules=tuple(module for module in GB_BRI7_8550.modules if module.native),
        vibs=(VibModel("esx-base", f"{version}-0.0.{build}", "VMware"), VibModel("ne1000", driver)),
    )


# The versions of ne1000 are recorded; the builds are those in their names.
MODERN_7 = _modern("GB-BRi7-8550 7.0", "7.0.3", "20036589", "Update 3", "0.9.0-1vmw.703.0.50.20036589")
MODERN_8 = _modern("GB-BRi7-8550 8.0", "8.0.3", "24022510", "Update 3", "0.9.2-1vmw.803.0.0.24022510")
MODELS = {model.name: model for model in (GB_XM11_3337, GB_BRI7_8550, MODERN_7, MODERN_8)}
