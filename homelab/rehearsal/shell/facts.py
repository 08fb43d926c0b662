"""What several commands read out of a host: which package brings a module, and which version a module has."""

from homelab.rehearsal.host.host import Host
from homelab.rehearsal.state.parts import Module, Vib


def containing_vib(host: Host, module: Module) -> Vib | None:
    """The package that brings a module, where the host's list has it."""
    names = (module.name, f"net-{module.name}", f"net55-{module.name}")
    return next((vib for vib in host.vibs if vib.name in names), None)


def module_version(host: Host, name: str) -> str:
    """The module's own version where the model knows it, else the first part of its VIB's."""
    known = next((model.version for model in host.model.modules if model.name == name), "")
    if known or name not in host.drivers.modules:
        return known
    vib = containing_vib(host, host.drivers.modules[name])
    return vib.version.split("-")[0] if vib else f"Version {host.version}, Build: {host.build}"
