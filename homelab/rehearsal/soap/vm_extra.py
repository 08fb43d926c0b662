"""The additional options of a VM (extraConfig): what its .vmx has beside all that the API has a word for."""

import re
from typing import Any

from homelab.rehearsal.soap import vm_kept
from homelab.rehearsal.soap.taken import not_simulated
from homelab.rehearsal.state.vm import Vm
from homelab.rehearsal.state.vm_settings import SETTINGS
from homelab.rehearsal.vms.vmx import KEY, is_own, setting_of

# Settings that the rehearsal keeps in words of its own.
IN_WORDS = ("bootOptions.bootOrder", "cpuAllocation.shares", "memoryAllocation.shares")
WORDS = frozenset(SETTINGS[path].key.casefold() for path in IN_WORDS)
PATHS = {setting.key.casefold(): path for path, setting in SETTINGS.items() if path not in IN_WORDS}


def take(vm: Vm, options: Any) -> None:
    """Set options, or take those away that are set to nothing; a setting's own key sets the setting, as in the file.

    "You cannot set values that could otherwise be set with other properties" (vSphere's ovf.ExtraConfig): those are
    refused by their key. Capitals do not count, as in a .vmx.
    """
    for option in options or ():
        key, text = option.key, "" if option.value is None else str(option.value)
        path = PATHS.get(key.casefold())
        if not re.fullmatch(KEY, key):
            raise vm_kept.wrong("extraConfig.key")
        if path:
            _set(vm, path, text)
        elif is_own(key) or key.casefold() in WORDS:
            raise not_simulated(f"VirtualMachineConfigSpec.extraConfig with the key {key}")
        else:
            known = next((one for one in vm.extra_config if one.casefold() == key.casefold()), key)
            vm.extra_config[known] = text
            if not text:
                del vm.extra_config[known]


def _set(vm: Vm, path: str, text: str) -> None:
    usual = SETTINGS[path].default
    try:
        value = setting_of(text, usual) if text else usual
    except ValueError:
        raise vm_kept.wrong("extraConfig.value") from None
    vm_kept.keep(vm, path, value)
