"""Moved or copied: the question that a VM asks when its folder is not the one that its .vmx was written for."""

import shutil
from typing import Any

import pytest
from pyVmomi import vim, vmodl

from homelab.formats.vmx import spaced_uuid
from homelab.rehearsal.shell.call import Call
from homelab.rehearsal.shell.vimcmd import vim_cmd
from tests.helpers.soap_host import SoapHost, until


def nic() -> Any:
    backing = vim.vm.device.VirtualEthernetCard.NetworkBackingInfo(deviceName="VM Network")
    device = vim.vm.device.VirtualVmxnet3(key=-9, backing=backing)
    return vim.vm.device.VirtualDeviceSpec(operation="add", device=device)


def copied(soap: SoapHost, *options: tuple[str, str]) -> Any:
    """A VM whose files were copied to another folder, registered from there."""
    values = [vim.option.OptionValue(key=key, value=value) for key, value in options]
    vm = soap.make_vm("old", nic(), extraConfig=values)
    vm.UnregisterVM()
    shutil.copytree(soap.file("old"), soap.file("new"))
    return soap.result(soap.folder.RegisterVM_Task("[NAS] new/old.vmx", "new", False, soap.pool))


def asks(vm: Any) -> tuple[Any, Any]:
    """The task that waits, and the question."""
    task = vm.PowerOnVM_Task()
    until(lambda: vm.runtime.question)
    return task, vm.runtime.question


def mac(vm: Any) -> str:
    cards = [card for card in vm.config.hardware.device if isinstance(card, vim.vm.device.VirtualEthernetCard)]
    return str(cards[0].macAddress)


def test_a_vm_from_another_folder_asks_and_waits(soap: SoapHost) -> None:
    vm = copied(soap)
    assert vm.runtime.question is None
    task, question = asks(vm)
    assert question.text.startswith("msg.uuid.altered:")
    assert [choice.key for choice in question.choice.choiceInfo] == ["0", "1", "2"]
    assert [choice.label for choice in question.choice.choiceInfo] == ["Cancel", "I Moved It", "I Copied It"]
    assert question.choice.defaultIndex == 2
    assert task.info.state == "running"
    assert vm.runtime.powerState == "poweredOff"
    with pytest.raises(vim.fault.InvalidState):
        soap.result(vm.PowerOnVM_Task())
    with pytest.raises(vim.fault.InvalidState):
        vm.UnregisterVM()
    with pytest.raises(vmodl.fault.InvalidArgument):
        vm.AnswerVM(question.id, "3")
    with pytest.raises(vmodl.fault.InvalidArgument):
        vm.AnswerVM("other", "1")
    vm.AnswerVM(question.id, "1")
    soap.result(task)


@pytest.mark.parametrize(("choice", "same"), [("1", True), ("2", False)])
def test_moved_keeps_the_identity_and_copied_makes_a_new_one(soap: SoapHost, choice: str, same: bool) -> None:
    vm = copied(soap)
    before = (vm.config.uuid, mac(vm))
    task, question = asks(vm)
    vm.AnswerVM(question.id, choice)
    soap.result(task)
    after = (vm.config.uuid, mac(vm))
    assert (after[0] == before[0], after[1] == before[1]) == (same, same)
    assert f'uuid.bios = "{spaced_uuid(after[0])}"' in soap.file("new/old.vmx").read_text()
    soap.result(vm.PowerOffVM_Task())
    soap.result(vm.PowerOnVM_Task())


def test_cancel_fails_the_power_on(soap: SoapHost) -> None:
    vm = copied(soap)
    task, question = asks(vm)
    vm.AnswerVM(question.id, "0")
    with pytest.raises(vim.fault.GenericVmConfigFault):
        soap.result(task)
    assert vm.runtime.powerState == "poweredOff"
    assert vm.runtime.question is None
    with pytest.raises(vim.fault.InvalidState):
        vm.AnswerVM(question.id, "1")
    assert asks(vm)[1].id != question.id


@pytest.mark.parametrize(
    ("option", "same"),
    [
        (("uuid.action", "keep"), True),
        (("uuid.action", "create"), False),
        (("answer.msg.uuid.altered", "I copied it"), False),
    ],
)
def test_the_vmx_can_answer_by_itself(soap: SoapHost, option: tuple[str, str], same: bool) -> None:
    vm = copied(soap, option)
    before = vm.config.uuid
    soap.result(vm.PowerOnVM_Task())
    assert (vm.config.uuid == before) == same


def test_a_vm_in_its_own_folder_asks_nothing(soap: SoapHost) -> None:
    vm = soap.make_vm("old")
    assert "uuid.location" in soap.file("old/old.vmx").read_text()
    vm.UnregisterVM()
    again = soap.result(soap.folder.RegisterVM_Task("[NAS] old/old.vmx", None, False, soap.pool))
    soap.result(again.PowerOnVM_Task())


def test_the_shell_shows_the_question_and_answers_it(soap: SoapHost) -> None:
    vm = copied(soap)

    def shell(*words: str) -> str:
        answer = vim_cmd(Call(soap.host, ("vim-cmd", *words)))
        assert answer.status == 0, answer.err
        return answer.out

    assert shell("vmsvc/message", vm._moId) == "No message.\n"
    task, question = asks(vm)
    lines = shell("vmsvc/message", vm._moId).splitlines()
    assert lines[0] == f"Virtual machine message {question.id}:"
    assert lines[1].startswith("msg.uuid.altered:")
    assert lines[-1] == "   2. I Copied It (I Copied It) [default]"
    shell("vmsvc/message", vm._moId, question.id, "2")
    soap.result(task)


def test_a_reboot_forgets_the_question(soap: SoapHost) -> None:
    task_vm = copied(soap)
    asks(task_vm)
    boots = soap.host.power.boots
    soap.host.power.reboot()
    until(lambda: soap.host.power.boots > boots and soap.host.power.api_ready)
    [vm] = soap.host.registered_vms.values()
    assert (vm.question, vm.powered_on) == (None, False)
    assert soap.host.vms.was_moved(vm)


@pytest.mark.parametrize("choice", ["1", "2"])
def test_a_copy_keeps_the_instance_uuid_of_its_original(soap: SoapHost, choice: str) -> None:
    """As hosts do: a clone made by hand has the `vc.uuid` of its original (hashicorp/packer#7141)."""
    vm = copied(soap)
    before = vm.config.instanceUuid
    task, question = asks(vm)
    vm.AnswerVM(question.id, choice)
    soap.result(task)
    assert vm.config.instanceUuid == before
