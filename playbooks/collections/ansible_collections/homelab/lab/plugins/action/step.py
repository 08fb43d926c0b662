"""The action plugin `step`: hands the hosts of a task to homelab, all at once, and gives each its own answer.

Ansible runs a task in one process for each host. The first that gets the lock does the work for all of them, which
costs one look at the lab and one run of it; the others find their answers in a file of this run of ansible-playbook.
"""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ansible import constants, context
from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible.utils.vars import load_extra_vars

MISSING = (
    "This task needs the Python package homelab, and {python} has none. Install it there (pip install homelab), or run "
    "ansible-playbook of the environment that has it. The playbooks for guests need none."
)
OPTIONS = {
    "name": {"type": "list", "elements": "str", "required": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "consent": {"type": "raw"},
    "look": {"type": "bool", "default": False},
    "ahead": {"type": "list", "elements": "str", "default": []},
}


class ActionModule(ActionBase):
    """`homelab.lab.step`."""

    _requires_connection = False
    _supports_check_mode = True
    _supports_diff = True

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        """The answer of one host."""
        super().run(tmp, task_vars)
        options = self.validate_argument_spec(OPTIONS)[1]
        host = task_vars["inventory_hostname"]
        folder = Path(constants.DEFAULT_LOCAL_TMP) / "homelab-step"
        folder.mkdir(mode=0o700, exist_ok=True)
        answers = folder / f"{self._task._uuid}.json"
        alone = self._goes_alone()
        with locked(folder / "lock"):
            known = json.loads(answers.read_text()) if answers.exists() and not alone else {}
            if host not in known:
                targets = [host] if alone else list(task_vars.get("ansible_play_batch") or [host])
                known = self._bring(options, targets, task_vars["hostvars"])
                answers.touch(mode=0o600)
                answers.write_text(json.dumps(known))
        if options["look"]:
            return {**known[host], "changed": False, "diff": [], "right": not _planned(known[host])}
        return known[host]

    def _goes_alone(self) -> bool:
        """Whether it depends on the host if, or how, this task is done: then nobody does it for others."""
        task = self._task
        differs = "{{" in repr(task.get_ds())
        return bool(task.when or task.loop or task.delegate_to or task.until or differs or _in_rescue(task))

    def _bring(self, options: Mapping[str, Any], targets: list[str], hostvars: Any) -> dict[str, Any]:
        try:
            from homelab.commands.playbook_step import Asked, bring, consent_of
            from homelab.errors import HomelabError
        except ImportError as error:
            if error.name and error.name.partition(".")[0] != "homelab":
                raise
            import sys

            raise AnsibleActionFail(MISSING.format(python=sys.executable)) from error
        extra = load_extra_vars(self._loader)
        said = options["consent"] if options["consent"] is not None else extra.get("homelab_consent")
        try:
            consent = consent_of(plain(said))
        except HomelabError as error:
            raise AnsibleActionFail(str(error)) from error
        asked = Asked(
            steps=tuple(self._chosen(options["name"])),
            targets=tuple(map(str, targets)),
            consent=consent,
            check=bool(self._task.check_mode) or options["look"],
            absent=options["state"] == "absent",
            ahead=tuple(options["ahead"]),
        )
        sources, raw = inventory_of(hostvars, self._loader)
        quiet = options["look"] and not self._task.check_mode
        return bring(asked, sources, raw, silence if quiet else progress)

    def _chosen(self, names: list[str]) -> list[str]:
        """The steps that --tags and --skip-tags leave; one whose name is no tag of the task is not chosen by them."""
        own = set(self._task.tags)
        only, skipped = set(context.CLIARGS.get("tags") or ()), set(context.CLIARGS.get("skip_tags") or ())
        named = own & only & set(names)
        return [name for name in names if (not named or name in named) and not (name in own and name in skipped)]


def progress(text: str) -> None:
    """A line on the way; stdout is the callback's, which may write JSON there."""
    Display().display(text, stderr=True)


def silence(text: str) -> None:
    """Nothing: a look tells by its answer."""


def _planned(answer: Mapping[str, Any]) -> bool:
    return bool(answer["failed"] or answer["changes"] or answer["blocked"] or answer["hand_overs"])


def _in_rescue(task: Any) -> bool:
    """Whether a block around the task has `rescue` or `always`: then hosts of one play go different ways."""
    parent = task._parent
    while parent is not None:
        if getattr(parent, "rescue", None) or getattr(parent, "always", None):
            return True
        parent = parent._parent
    return False


def inventory_of(hostvars: Any, loader: Any) -> tuple[list[Path], Any]:
    """The inventory of this run, as `ansible-inventory --list` tells it, with the extra variables; and its sources.

    Facts and variables of plays are none of it.
    """
    from ansible.vars.manager import VariableManager

    from homelab.ports.ansible.inventory import RawInventory

    inventory = hostvars._inventory
    variables = VariableManager(loader=loader, inventory=inventory)
    groups = inventory.groups.values()
    told = {
        host.name: plain(variables.get_vars(host=host, include_hostvars=False, stage="all"))
        for host in inventory.hosts.values()
    }
    for values in told.values():
        for internal in constants.INTERNAL_STATIC_VARS:
            values.pop(internal, None)
    raw = RawInventory(
        hosts_of={group.name: tuple(host.name for host in group.hosts) for group in groups},
        children_of={group.name: tuple(child.name for child in group.child_groups) for group in groups},
        hostvars=told,
    )
    return [Path(source) for source in inventory._sources if Path(source).exists()], raw


def plain(value: Any) -> Any:
    """A value without what Ansible keeps about it (where it stands, whether it may be a template)."""
    if isinstance(value, Mapping):
        return {str(name): plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple | set):
        return [plain(one) for one in value]
    if isinstance(value, bool) or value is None:
        return value
    for kind in (int, float):
        if isinstance(value, kind):
            return kind(value)
    return "".join(str(value))


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """The only process of this run that is in here."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
