"""What every action on a VM asks of its state, and the event that it leaves."""

from homelab.rehearsal.state.host_state import HostState
from homelab.rehearsal.state.refusals import InvalidPowerState, InvalidState, PowerOnRefused
from homelab.rehearsal.state.vm import Vm

WORDS = {"poweredOn": "Powered on", "poweredOff": "Powered off", "suspended": "Suspended"}

# How many virtual CPUs a licence allows a VM; an evaluation sets no limit of its own.
CPUS = {"free": 8, "paid": 128}


def check_cpus(state: HostState, vm: Vm) -> None:
    """PowerOnRefused for a VM of more virtual CPUs than the host has threads, or than its licence allows."""
    most = min(state.model.threads, CPUS.get(state.licence, state.model.threads))
    if vm.cpus > most:
        text = (
            f"This virtual machine has {vm.cpus} virtual CPUs, but the host only supports {most}. The number of "
            "virtual CPUs may be limited by the guest operating system selected for the virtual machine or by the "
            "licensing for the host."
        )
        raise PowerOnRefused(text, reason=text)


def note(state: HostState, kind: str, vm: Vm, text: str) -> None:
    """Write an event about a VM; `{vm}` in the text is its name and its place."""
    where = f"{vm.name} on {state.name} in ha-datacenter"
    state.journal.add(kind, text.format(vm=where), vm=vm.moid, vm_name=vm.name)


def owner_of(state: HostState, vm: Vm) -> str:
    """Who holds the locks of a running VM's disks."""
    return f"{state.name}/{vm.moid}"


def must_be(vm: Vm, *, on: bool, wanted: str) -> None:
    """InvalidState while a VM asks a question, InvalidPowerState when it is not on or off as it must be."""
    if vm.question and not on:
        raise InvalidState("The operation is not allowed in the current state.")
    if vm.power_state != ("poweredOn" if on else "poweredOff"):
        raise InvalidPowerState(
            f"The attempted operation cannot be performed in the current state ({WORDS[vm.power_state]}).",
            requestedState=wanted,
            existingState=vm.power_state,
        )
