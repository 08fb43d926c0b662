"""Advanced settings: the host's own, and hostd's."""

from collections.abc import Iterator, Mapping
from typing import Any

from pyVmomi import VmomiSupport, vim

from homelab.rehearsal.soap.managed import Managed, writes
from homelab.rehearsal.soap.wire import fault
from homelab.rehearsal.state.parts import SCRATCH

HOST = "ha-adv-options"
AGENT = "HostAgentSettings"
AGENT_DEFAULTS: dict[str, Any] = {
    "Config.HostAgent.log.level": "info",
    "Config.HostAgent.plugins.solo.webServer.enableWebClient": True,
}
READ_ONLY = (SCRATCH,)
LARGEST = (1 << 63) - 1


class OptionManager(Managed):
    """Settings by name."""

    @classmethod
    def ids(cls, face: Any, caller: Any) -> Iterator[str]:
        """The host's advanced settings, and those of its agent."""
        yield from (HOST, AGENT)

    @property
    def setting(self) -> Any:
        """All settings."""
        return listed(self._values())

    @property
    def supportedOption(self) -> Any:
        """What each setting takes. Limits are those of its type: the real ones are not recorded."""
        fresh = AGENT_DEFAULTS if self._moid == AGENT else self._host.options.fresh()
        return [_definition(key, value) for key, value in sorted(fresh.items())]

    def QueryOptions(self, name: str | None) -> Any:
        """The setting of a name, or all below a name that ends in a dot; InvalidName when there is none."""
        known = sorted(self._values().items())
        if not name:
            return [_option(key, value) for key, value in known]
        found = [(key, value) for key, value in known if key == name or (name.endswith(".") and key.startswith(name))]
        if not found:
            raise _unknown(name)
        return [_option(key, value) for key, value in found]

    @writes
    def UpdateOptions(self, changedValue: Any) -> None:
        """Set settings, all or none; InvalidName, and InvalidArgument for a value of another type.

        A number must come as xsd:long: ESXi refuses an xsd:int, which every Python client meets once.
        """
        with self._host.lock:
            known = self._values()
            for option in changedValue:
                if option.key not in known:
                    raise _unknown(option.key)
                if option.key in READ_ONLY:
                    raise fault("NotSupported", f"The option {option.key} is read-only")
                wanted = VmomiSupport.long if _is_number(known[option.key]) else type(known[option.key])
                if not isinstance(option.value, wanted):
                    message = f"A specified parameter was not correct: {option.key}"
                    raise fault("InvalidArgument", message, invalidProperty=option.key)
            for option in changedValue:
                value = int(option.value) if _is_number(known[option.key]) else option.value
                if self._moid == AGENT:
                    self._host.settings.agent[option.key] = value
                    self._host.touch()
                else:
                    self._host.options.set(option.key, value)

    def _values(self) -> dict[str, Any]:
        if self._moid == AGENT:
            return AGENT_DEFAULTS | self._host.settings.agent
        return self._host.options.all()


def _unknown(name: str) -> Any:
    message = f"The name '{name}' is not valid: there is no such option, or it is not part of the rehearsal."
    return fault("InvalidName", message, name=name)


def listed(values: Mapping[str, Any]) -> list[Any]:
    """Settings as the API lists them."""
    return [_option(name, value) for name, value in sorted(values.items())]


def _option(name: str, value: Any) -> Any:
    return vim.option.OptionValue(key=name, value=VmomiSupport.long(value) if _is_number(value) else value)


def _definition(key: str, value: Any) -> Any:
    kind = vim.option
    fixed = key in READ_ONLY
    if _is_number(value):
        limits = {"min": VmomiSupport.long(0), "max": VmomiSupport.long(LARGEST)}
        taken = kind.LongOption(valueIsReadonly=fixed, defaultValue=VmomiSupport.long(value), **limits)
    elif isinstance(value, bool):
        taken = kind.BoolOption(valueIsReadonly=fixed, supported=True, defaultValue=value)
    else:
        taken = kind.StringOption(valueIsReadonly=fixed, defaultValue=str(value))
    return kind.OptionDef(key=key, label=key, summary=key, optionType=taken)


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
