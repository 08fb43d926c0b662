"""The question that a VM asks when its folder or its host is not what its .vmx was written for. Knows no protocol."""

import uuid as uuids
from itertools import count

from homelab.rehearsal.state.host_state import HostState
from homelab.rehearsal.state.refusals import InvalidArgument, InvalidState, PowerOnRefused
from homelab.rehearsal.state.vm import Question, Vm
from homelab.rehearsal.vms.registry import VmRegistry

CANCEL, MOVED, COPIED = "0", "1", "2"
CHOICES = ((CANCEL, "Cancel", "Cancel"), (MOVED, "I Moved It", "I Moved It"), (COPIED, "I Copied It", "I Copied It"))
TEXT = (
    "msg.uuid.altered:This virtual machine might have been moved or copied.\n"
    "In order to configure certain management and networking features, VMware ESX needs to know if this virtual "
    'machine was moved or copied.\n\nIf you don\'t know, answer "I Copied It".'
)
ACTIONS = {"keep": MOVED, "create": COPIED}
ANSWERS = {"i moved it": MOVED, "i copied it": COPIED}
_numbers = count(1)


class MoveQuestions:
    """Asks about VMs that were moved or copied, and takes the answers."""

    def __init__(self, state: HostState, vms: VmRegistry) -> None:
        self._state, self._vms = state, vms

    def settle(self, vm: Vm) -> None:
        """Ask whether a VM was moved or copied unless its .vmx says so; PowerOnRefused when the answer is Cancel.

        Call with the host's lock held, once; it is given up while the VM waits.
        """
        if not self._vms.was_moved(vm):
            return
        options = vm.extra_config
        choice = ACTIONS.get(options.get("uuid.action", "").lower())
        choice = choice or ANSWERS.get(options.get("answer.msg.uuid.altered", "").lower()) or self._ask(vm)
        if choice == CANCEL:
            text = "The operation was canceled: the question msg.uuid.altered was answered with Cancel."
            raise PowerOnRefused(text, reason=text)
        if choice == COPIED:
            # The BIOS's UUID and the MACs that follow from it; `vc.uuid` stays what it was (hashicorp/packer#7141).
            vm.uuid = str(uuids.uuid4())
            for nic in vm.nics:
                nic.mac = nic.mac if nic.address_type == "manual" else ""
        vm.location = ""
        self._vms.rewrite_vmx(vm)

    def answer(self, vm: Vm, question_id: str, choice: str) -> None:
        """Answer a VM's question; InvalidArgument for another question or choice, InvalidState when none is asked."""
        with self._state.lock:
            if vm.question is None or vm.question.answer is not None:
                raise InvalidState("The operation is not allowed in the current state.")
            if question_id != vm.question.id:
                raise _wrong("questionId")
            if choice not in [key for key, _, _ in vm.question.choices]:
                raise _wrong("answerChoice")
            vm.question.answer = choice
            self._state.touch(dirty=False)

    def _ask(self, vm: Vm) -> str:
        question = vm.question = Question(f"_vmx{next(_numbers)}", TEXT, CHOICES, default=2)
        self._state.touch(dirty=False)
        while question.answer is None and vm.question is question:
            self._state.changed.wait()
        vm.question = None
        return question.answer or CANCEL


def _wrong(name: str) -> InvalidArgument:
    return InvalidArgument(f"A specified parameter was not correct: {name}", invalidProperty=name)
