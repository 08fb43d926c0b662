"""docs/reference/stability.md: what was promised holds, and a change is told by what it breaks."""

import copy
from collections.abc import Callable

import pytest

from tools.reference import RECORD
from tools.reference.promise import Promise, broken, new, read, today, with_new


@pytest.fixture(scope="module")
def now() -> Promise:
    return today()


def test_what_was_promised_holds(now: Promise) -> None:
    said = broken(read(RECORD), now)
    assert not said, "\n".join(("docs/reference/stability.md says what to do:", *said))


def test_what_is_there_is_recorded(now: Promise) -> None:
    assert not new(read(RECORD), now), "`make reference` records it"


def gone(section: str, name: str) -> Callable[[Promise], None]:
    return lambda promise: promise[section].pop(name) and None


def other(section: str, name: str, value: str) -> Callable[[Promise], None]:
    return lambda promise: promise[section].update({name: value})


def turned_round(promise: Promise) -> None:
    promise["steps"] = dict(reversed(promise["steps"].items()))


BREAKS = {
    "the command `homelab vm move` is gone": gone("commands", "vm move"),
    "`homelab vm move` takes HOST NAME, and took NAME HOST": other("commands", "vm move", "HOST NAME"),
    "`homelab plan` takes LAB, and took nothing": other("commands", "plan", "LAB"),
    "the option `homelab bootstrap --wait` is gone": gone("options", "bootstrap --wait"),
    "the option `homelab --yes` takes a value, and took nothing": other("options", "--yes", "a value"),
    "exit code 3 means OTHER, and meant CHANGES": other("exit codes", "3", "OTHER"),
    "the step reboot is gone": gone("steps", "reboot"),
    "the steps come in another order, manifests,": turned_round,
    "the variable esxi esxi_vlan is gone: inventories that set it": gone("variables", "esxi esxi_vlan"),
    "the variable all api_port is now `443`, and was `6443`": other("variables", "all api_port", "`443`"),
    "workers vm_clone: linked is no choice any more": gone("choices", "workers vm_clone: linked"),
    "playbooks/nfs.yml is gone: scripts and job templates": gone("playbooks", "nfs.yml"),
    "the argument module step: consent is gone": gone("arguments", "module step: consent"),
    "the argument role haproxy: haproxy_pools is now": other("arguments", "role haproxy: haproxy_pools", "str, "),
    "the result module step: changes is gone": gone("results", "module step: changes"),
    "the key plan: changes[].undo is gone": gone("json", "plan: changes[].undo"),
    "the key status: vip.ready is string, and was": other("json", "status: vip.ready", "string"),
    "the key event: summary: failed is gone": gone("json", "event: summary: failed"),
}


@pytest.mark.parametrize("sentence", BREAKS)
def test_a_change_is_told_by_what_it_breaks(now: Promise, sentence: str) -> None:
    changed = copy.deepcopy(now)
    BREAKS[sentence](changed)
    said = broken(now, changed)
    assert len(said) == 1
    assert sentence in said[0]
    # Recording again does not make it right.
    assert broken(with_new(now, changed), changed) == said


def test_what_is_added_breaks_nothing(now: Promise) -> None:
    grown = copy.deepcopy(now)
    grown["commands"] |= {"plan": "[LAB]", "dance": "nothing"}
    grown["json"]["plan: tune"] = "string"
    grown["steps"] = {"tune": "", **grown["steps"]}
    assert broken(now, grown) == []
    assert new(now, grown) == ["commands: dance", "steps: tune", "json: plan: tune"]
    assert new(with_new(now, grown), grown) == []
    assert with_new(now, grown)["commands"]["plan"] == "[LAB]"
