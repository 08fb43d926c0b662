"""What can be configured of a VM that nothing in the rehearsal acts on: plain values by their path.

Paths are those of VirtualMachineConfigSpec. What a VM does not name is at its default; defaults, and the names in a
.vmx, are those of a real 6.5 or 6.7 host (`vim-cmd vmsvc/get.config`). What has a value and cannot have another one in
the rehearsal stands in CONSTANTS.
"""

from dataclasses import dataclass

Value = bool | int | str
SHARES = ("low", "normal", "high")


@dataclass(frozen=True)
class Setting:
    """One that is kept. `key` is its name in a .vmx; `choices` are all values of a text, `least` the least number.

    `cold` settings change only while a VM is off.
    """

    default: Value
    key: str
    choices: tuple[str, ...] = ()
    least: int = 0
    cold: bool = False


SETTINGS: dict[str, Setting] = {
    "alternateGuestName": Setting("", "guestOSAltName"),
    "numCoresPerSocket": Setting(1, "cpuid.coresPerSocket", least=1, cold=True),
    "cpuHotAddEnabled": Setting(False, "vcpu.hotadd", cold=True),
    "cpuHotRemoveEnabled": Setting(False, "vcpu.hotremove", cold=True),
    "memoryHotAddEnabled": Setting(False, "mem.hotadd", cold=True),
    "nestedHVEnabled": Setting(False, "vhv.enable", cold=True),
    "vPMCEnabled": Setting(False, "vpmc.enable", cold=True),
    "guestAutoLockEnabled": Setting(True, "tools.guest.desktop.autolock"),
    "maxMksConnections": Setting(-1, "RemoteDisplay.maxConnections", least=-1),
    "migrateEncryption": Setting(
        "opportunistic", "migrate.encryptionMode", choices=("disabled", "opportunistic", "required")
    ),
    "cpuAllocation.reservation": Setting(0, "sched.cpu.min"),
    "cpuAllocation.limit": Setting(-1, "sched.cpu.max", least=-1),
    "cpuAllocation.shares": Setting("normal", "sched.cpu.shares"),
    "memoryAllocation.reservation": Setting(0, "sched.mem.min"),
    "memoryAllocation.limit": Setting(-1, "sched.mem.max", least=-1),
    "memoryAllocation.shares": Setting("normal", "sched.mem.shares"),
    "memoryReservationLockedToMax": Setting(False, "sched.mem.pin"),
    "latencySensitivity.level": Setting(
        "normal", "sched.cpu.latencySensitivity", choices=("low", "normal", "medium", "high")
    ),
    "bootOptions.bootDelay": Setting(0, "bios.bootDelay"),
    "bootOptions.efiSecureBootEnabled": Setting(False, "uefi.secureBoot.enabled", cold=True),
    "bootOptions.bootRetryEnabled": Setting(False, "bios.bootRetry.enabled"),
    "bootOptions.bootRetryDelay": Setting(10000, "bios.bootRetry.delay"),
    "bootOptions.networkBootProtocol": Setting("ipv4", "bios.networkBootProtocol", choices=("ipv4", "ipv6")),
    "bootOptions.bootOrder": Setting("", "bios.bootOrder"),
    "flags.enableLogging": Setting(True, "logging"),
    "flags.diskUuidEnabled": Setting(False, "disk.EnableUUID", cold=True),
    "flags.htSharing": Setting("any", "sched.cpu.htsharing", choices=("any", "none", "internal")),
    "flags.virtualMmuUsage": Setting("automatic", "monitor.virtual_mmu", choices=("automatic", "on", "off"), cold=True),
    "flags.virtualExecUsage": Setting("hvAuto", "monitor.virtual_exec", choices=("hvAuto", "hvOn", "hvOff"), cold=True),
    "flags.vvtdEnabled": Setting(False, "vvtd.enable", cold=True),
    "tools.afterPowerOn": Setting(True, "toolScripts.afterPowerOn"),
    "tools.afterResume": Setting(True, "toolScripts.afterResume"),
    "tools.beforeGuestStandby": Setting(True, "toolScripts.beforeSuspend"),
    "tools.beforeGuestShutdown": Setting(True, "toolScripts.beforePowerOff"),
    "tools.syncTimeWithHost": Setting(False, "tools.syncTime"),
    "tools.toolsUpgradePolicy": Setting("manual", "tools.upgrade.policy", choices=("manual", "upgradeAtPowerCycle")),
    "powerOpInfo.powerOffType": Setting("soft", "powerType.powerOff", choices=("soft", "hard", "preset")),
    "powerOpInfo.suspendType": Setting("hard", "powerType.suspend", choices=("soft", "hard", "preset")),
    "powerOpInfo.resetType": Setting("soft", "powerType.reset", choices=("soft", "hard", "preset")),
}

CONSTANTS: dict[str, Value] = {
    "npivTemporaryDisabled": True,
    "cpuAllocation.expandableReservation": False,
    "memoryAllocation.expandableReservation": False,
    "bootOptions.enterBIOSSetup": False,
    "changeTrackingEnabled": False,
    "ftEncryptionMode": "ftEncryptionOpportunistic",
    "messageBusTunnelEnabled": False,
    "rebootPowerOff": False,
    "scheduledHardwareUpgradeInfo.upgradePolicy": "never",
    "scheduledHardwareUpgradeInfo.scheduledHardwareUpgradeStatus": "none",
    "sevEnabled": False,
    "swapPlacement": "inherit",
    "vAssertsEnabled": False,
    "flags.disableAcceleration": False,
    "flags.useToe": False,
    "flags.runWithDebugInfo": False,
    "flags.monitorType": "release",
    "flags.snapshotDisabled": False,
    "flags.snapshotLocked": False,
    "flags.snapshotPowerOffBehavior": "powerOff",
    "flags.recordReplayEnabled": False,
    "flags.faultToleranceType": "unset",
    "flags.cbrcCacheEnabled": False,
    "flags.vbsEnabled": False,
    "tools.toolsVersion": 0,
    "tools.toolsInstallType": "guestToolsTypeUnknown",
    "tools.beforeGuestReboot": False,
    "tools.syncTimeWithHostAllowed": True,
    "powerOpInfo.defaultPowerOffType": "soft",
    "powerOpInfo.defaultSuspendType": "hard",
    "powerOpInfo.defaultResetType": "soft",
    "powerOpInfo.standbyAction": "checkpoint",
}


def shares(kept: Value, each: dict[str, int], amount: int) -> tuple[str, int]:
    """Level and number of what is kept of shares: a level counts for `amount` things, a number for itself."""
    text = str(kept)
    return (text, each[text] * amount) if text in each else ("custom", int(text))


def megabytes_reserved(settings: dict[str, Value], memory_mib: int) -> int:
    """The memory that a VM has to itself while it runs."""
    pinned = settings.get("memoryReservationLockedToMax", False)
    return memory_mib if pinned else int(settings.get("memoryAllocation.reservation", 0))
