"""vim-cmd: a client of hostd in the shell, so it fails while hostd is still starting.

`vim-cmd vmsvc/power.getstate 7` is the function `vmsvc_power_getstate`. Column rules of getallvms come from four
recorded outputs: rows as wide as the widest value, headings in the middle, three spaces between.
"""

import inspect
import itertools
import sys
import threading
from collections.abc import Callable, Sequence
from functools import cache

from homelab.rehearsal.host import backup, licences
from homelab.rehearsal.host.host import Host
from homelab.rehearsal.shell import files
from homelab.rehearsal.shell.call import Answer, Call
from homelab.rehearsal.shell.esxcli import NO_HOSTD
from homelab.rehearsal.state.parts import SCRATCH
from homelab.rehearsal.state.refusals import InvalidState, Refusal
from homelab.rehearsal.state.settings import AutoStart
from homelab.rehearsal.state.vm import Vm
from homelab.rehearsal.vms.states import WORDS

SWITCH = {"0": False, "false": False, "1": True, "true": True}
TITLES = ("Vmid", "Name", "File", "Guest OS", "Version", "Annotation")

Function = Callable[[Host, Sequence[str]], str]

_tasks = itertools.count(1)


def vim_cmd(call: Call) -> Answer:
    """Find the command's function by its name and run it."""
    if not call.host.power.api_ready:
        return Answer(err=NO_HOSTD, status=1)
    if not call.arguments:
        return Answer("Commands available under /:\nhostsvc/ solo/ vimsvc/ vmsvc/\n")
    name, arguments = call.arguments[0], call.arguments[1:]
    function = functions().get(name.replace("/", "_").replace(".", "_"))
    if function is None or "/" not in name or "_" in name.partition("/")[0]:
        return Answer(err=f"Invalid command '{name}'.\n", status=1)
    try:
        return Answer(function(call.host, arguments))
    except Refusal as refusal:
        return Answer(err=f"{refusal.message}\n", status=1)
    except _Usage as usage:
        return Answer(err=f"{usage}\n", status=1)


@cache
def functions() -> dict[str, Function]:
    """Every command by its name, with underscores for the slash and the dot."""
    found = inspect.getmembers(sys.modules[__name__], inspect.isfunction)
    return {name: one for name, one in found if name.startswith(("hostsvc_", "solo_", "vimsvc_", "vmsvc_"))}


class _Usage(Exception):
    """An argument is missing."""


def _vm(host: Host, arguments: Sequence[str]) -> Vm:
    if len(arguments) != 1:
        raise _Usage("Insufficient arguments.")
    if arguments[0] not in host.registered_vms:
        raise _Usage(f'Unable to find a VM corresponding to "{arguments[0]}"')
    return host.registered_vms[arguments[0]]


def vmsvc_getallvms(host: Host, arguments: Sequence[str]) -> str:
    """The registered VMs, ordered by id as text."""
    rows = [
        (vm.moid, vm.name, vm.vmx_path, vm.guest_id, vm.hardware_version, vm.annotation)
        for vm in sorted(host.registered_vms.values(), key=lambda vm: vm.moid)
    ]
    widths = [max(len(line[index]) for line in [TITLES, *rows]) for index in range(len(TITLES))]
    # Not str.center: it puts the odd space on the left for odd widths, vim-cmd always on the right.
    head = [" " * ((width - len(title)) // 2) + title for title, width in zip(TITLES, widths, strict=True)]
    lines = [head, *rows]
    return "".join(
        "   ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + "\n" for line in lines
    )


def vmsvc_power_getstate(host: Host, arguments: Sequence[str]) -> str:
    """Powered on, off, or suspended."""
    return f"Retrieved runtime info\n{WORDS[_vm(host, arguments).power_state]}\n"


def vmsvc_power_on(host: Host, arguments: Sequence[str]) -> str:
    """Switch a VM on."""
    host.vm_power.on(_vm(host, arguments))
    return "Powering on VM:\n"


def vmsvc_power_off(host: Host, arguments: Sequence[str]) -> str:
    """Pull a VM's plug."""
    host.vm_power.off(_vm(host, arguments))
    return "Powering off VM:\n"


def vmsvc_power_shutdown(host: Host, arguments: Sequence[str]) -> str:
    """Ask the guest to shut down."""
    host.vm_power.shut_down_guest(_vm(host, arguments))
    return ""


def vmsvc_power_reset(host: Host, arguments: Sequence[str]) -> str:
    """Press a VM's reset button."""
    host.vm_power.reset(_vm(host, arguments))
    return "Reset VM:\n"


def vmsvc_message(host: Host, arguments: Sequence[str]) -> str:
    """What a VM asks, or with the question's id and a choice, the answer."""
    if len(arguments) not in (1, 3):
        raise _Usage("Insufficient arguments.")
    vm = _vm(host, arguments[:1])
    if len(arguments) == 3:
        host.vm_questions.answer(vm, arguments[1], arguments[2])
        return ""
    asked = vm.question
    if asked is None:
        return "No message.\n"
    rows = [f"   {key}. {label} ({summary})" for key, label, summary in asked.choices]
    rows[asked.default] += " [default]"
    return "\n".join([f"Virtual machine message {asked.id}:", asked.text, *rows, ""])


def vmsvc_device_connection(host: Host, arguments: Sequence[str]) -> str:
    """Connect or disconnect a device of a VM that is on: its key, and 0 or 1."""
    if len(arguments) != 3 or not arguments[1].isdecimal() or arguments[2].lower() not in SWITCH:
        raise _Usage("Insufficient arguments.")
    host.vm_power.connect(_vm(host, arguments[:1]), int(arguments[1]), connected=SWITCH[arguments[2].lower()])
    return ""


def vmsvc_reload(host: Host, arguments: Sequence[str]) -> str:
    """Read a VM's .vmx again."""
    host.vms.reload(_vm(host, arguments))
    return ""


def vmsvc_unregister(host: Host, arguments: Sequence[str]) -> str:
    """Forget a VM; its files stay."""
    host.vms.unregister(_vm(host, arguments))
    return ""


def vmsvc_destroy(host: Host, arguments: Sequence[str]) -> str:
    """Forget a VM and delete its files."""
    host.vms.destroy(_vm(host, arguments))
    return ""


def solo_registervm(host: Host, arguments: Sequence[str]) -> str:
    """Register the VM of a .vmx, named by its file's path or its datastore path; prints its id."""
    if not 1 <= len(arguments) <= 2:
        raise _Usage("Insufficient arguments.")
    path = arguments[0]
    label = path if path.startswith("[") else files.datastore_path(host, path)
    if label is None:
        raise _Usage(f"Unable to find a datastore for {path}")
    return f"{host.vms.register(label, *arguments[1:]).moid}\n"


def vimsvc_license(host: Host, arguments: Sequence[str]) -> str:
    """The licence; the layout is that of a recorded free one."""
    if tuple(arguments) != ("--show",):
        raise _Usage("Insufficient arguments.")
    licence = licences.describe(host, host.licence)
    serial = licence.key if host.licence == "evaluation" else "XXXX-XXXX-XXXX-XXXX"
    lines = [f"serial: {serial}", f"vmodl key: {licence.edition}", f"name: {licence.name}", f"total: {licence.total}"]
    lines += ["used: 1", f"unit: {licence.unit}".rstrip(), "Properties:"]
    lines += [f"  [ProductName] = {licences.PRODUCT}", f"  [ProductVersion] = {licence.version}"]
    if licence.unlimited:
        lines.append("  [count_disabled] = This license is unlimited")
    if host.licence == "evaluation":
        hours = max(0, int(licences.time_left(host).total_seconds() // 3600))
        lines.append(f"  [expirationHours] = {hours}")
    lines += [f'  [feature] = {name} ("{text}")' for name, text in licence.features]
    return "".join(f"   {line}\n" for line in lines)


def hostsvc_enable_ssh(host: Host, arguments: Sequence[str]) -> str:
    """Start SSH with every boot."""
    host.services.set("TSM-SSH", policy="on")
    return ""


def hostsvc_disable_ssh(host: Host, arguments: Sequence[str]) -> str:
    """Do not start SSH at boot."""
    host.services.set("TSM-SSH", policy="off")
    return ""


def hostsvc_start_ssh(host: Host, arguments: Sequence[str]) -> str:
    """Start SSH."""
    host.services.set("TSM-SSH", running=True)
    return ""


def hostsvc_stop_ssh(host: Host, arguments: Sequence[str]) -> str:
    """Stop SSH."""
    host.services.set("TSM-SSH", running=False)
    return ""


def hostsvc_maintenance_mode_enter(host: Host, arguments: Sequence[str]) -> str:
    """Begin to enter maintenance mode: the task goes on until no VM runs."""
    if host.in_maintenance:
        raise InvalidState("The operation is not allowed in the current state.")
    if any(vm.powered_on for vm in host.registered_vms.values()):
        threading.Thread(target=host.maintenance.enter, name="maintenance", daemon=True).start()
    else:
        host.maintenance.enter()
    return f"'vim.Task:haTask-ha-host-vim.HostSystem.enterMaintenanceMode-{next(_tasks)}'\n"


def hostsvc_maintenance_mode_exit(host: Host, arguments: Sequence[str]) -> str:
    """Leave maintenance mode."""
    host.maintenance.exit()
    return f"'vim.Task:haTask-ha-host-vim.HostSystem.exitMaintenanceMode-{next(_tasks)}'\n"


def hostsvc_autostartmanager_enable_autostart(host: Host, arguments: Sequence[str]) -> str:
    """Let VMs start with the host, or not."""
    if len(arguments) != 1 or arguments[0].lower() not in ("true", "false", "1", "0"):
        raise _Usage("Usage: enable_autostart 0/1")
    enabled = arguments[0].lower() in ("true", "1")
    host.start_order.set_defaults(enabled=enabled)
    return f"{'Enabled' if enabled else 'Disabled'} AutoStart\n"


def hostsvc_autostartmanager_update_autostartentry(host: Host, arguments: Sequence[str]) -> str:
    """Give a VM its place among those that start with the host. A number below 0 needs -- before all."""
    ended = list(arguments[:1]) == ["--"]
    words = arguments[1:] if ended else arguments
    if len(words) != 7 or (not ended and any(word.startswith("-") for word in words)):
        raise _Usage(
            "Usage: update_autostartentry VMId StartAction StartDelay StartOrder StopAction StopDelay WaitForHeartbeat"
        )
    moid, start, start_delay, order, stop, stop_delay, heartbeat = words
    _vm(host, [moid])
    try:
        item = AutoStart(int(order), _delay(start_delay), _delay(stop_delay), start, stop, heartbeat)
    except ValueError as error:
        raise _Usage(f"Invalid number: {error}") from error
    host.start_order.put(moid, item)
    return "Updated AutoStart.\n"


def _delay(word: str) -> int:
    return -1 if word.lower() == "systemdefault" else int(word)


def hostsvc_autostartmanager_get_autostartseq(host: Host, arguments: Sequence[str]) -> str:
    """The VMs that take part, in their order; the layout is that of 7.0."""
    kind, rows = "(vim.host.AutoStartManager.AutoPowerInfo)", []
    for moid, item in host.start_order.entries.items():
        fields = [
            f"key = 'vim.VirtualMachine:{moid}'",
            f"startOrder = {item.order}",
            f"startDelay = {item.start_delay}",
        ]
        fields += [f'waitForHeartbeat = "{item.heartbeat}"', f'startAction = "{item.start_action}"']
        fields += [f"stopDelay = {item.stop_delay}", f'stopAction = "{item.stop_action}"']
        rows.append(f"   {kind} {{\n      " + ", \n      ".join(fields) + "\n   }")
    return f"{kind} [" + ("\n" + ", \n".join(rows) + "\n" if rows else "") + "]\n"


def hostsvc_advopt_update(host: Host, arguments: Sequence[str]) -> str:
    """Set an advanced setting: KEY, its type (int, long, string, bool), VALUE."""
    if len(arguments) != 3:
        raise _Usage("Insufficient arguments.")
    key, kind, value = arguments
    if key not in host.options.all() or key == SCRATCH:
        raise _Usage(f"Invalid option: {key}")
    known = host.options.all()[key]
    kinds = ("bool",) if isinstance(known, bool) else ("int", "long") if isinstance(known, int) else ("string",)
    if kind not in kinds or (kind in ("int", "long") and not value.isdecimal()):
        raise _Usage(f"Invalid type or value for {key}: {kind} {value}")
    typed = value.lower() == "true" if kind == "bool" else int(value) if kind != "string" else value
    host.options.set(key, typed)
    return ""


def hostsvc_advopt_view(host: Host, arguments: Sequence[str]) -> str:
    """An advanced setting."""
    if len(arguments) != 1 or arguments[0] not in host.options.all():
        raise _Usage("Insufficient arguments." if len(arguments) != 1 else f"Invalid option: {arguments[0]}")
    value = host.options.all()[arguments[0]]
    shown = f'"{value}"' if isinstance(value, str) else str(value).lower()
    return (
        "(vim.option.OptionValue) [\n   (vim.option.OptionValue) {\n"
        f'      key = "{arguments[0]}", \n      value = {shown}\n   }}\n]\n'
    )


def hostsvc_firmware_backup_config(host: Host, arguments: Sequence[str]) -> str:
    """Make a copy of the configuration, and say where it can be fetched."""
    return f"Bundle can be downloaded at : http://*{backup.make(host)}\n"


def hostsvc_runtimeinfo(host: Host, arguments: Sequence[str]) -> str:
    """The part of the host's runtime that scripts read."""
    boot = host.boot_time.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return (
        "(vim.host.RuntimeInfo) {\n"
        '\tconnectionState = "connected",\n'
        '\tpowerState = "poweredOn",\n'
        f"\tinMaintenanceMode = {str(host.in_maintenance).lower()},\n"
        f'\tbootTime = "{boot}",\n'
        "}\n"
    )
